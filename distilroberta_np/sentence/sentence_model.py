"""What `SentenceEncoder` and `CrossEncoder` share: loading, prompts, inputs as token ids, and results as tensors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeAlias, TypedDict, TypeVar

import numpy as np

from ..checkpoint.sentence_folder import MODULES_FILE, Module, encoder_path, read_modules
from ..errors import ConfigError
from ..harmless import OnTheCPU
from ..hub import in_organization, resolve_model
from ..layers.params import Array
from ..messages import shown, warn
from ..models.base import PretrainedModel
from ..pipelines.base import Pipeline, as_column
from ..pipelines.loading import LoadingOptions, PathLike, check_config
from ..pipelines.options import (
    CallOptions,
    Option,
    as_boolean,
    as_given,
    as_integer,
    as_mapping,
    as_text,
    declared,
    one_of,
    resolve,
)  # fmt: skip
from ..pipelines.truncation import truncate
from ..pretrained import CONFIG, MODULES, TOKENIZER, WEIGHTS
from ..runtime.batching import batches
from ..tokenizer import RobertaTokenizer
from .sentence_settings import EncoderSettings, SentenceSettings

# A result that may be made of torch tensors. torch is not a dependency, so it has no type here.
Tensors: TypeAlias = Any
Model = TypeVar("Model", bound=PretrainedModel[Any])


class SentenceLoadingOptions(LoadingOptions, total=False):
    """Arguments of `SentenceEncoder` and `CrossEncoder`, as of sentence-transformers, for a folder or a name."""

    cache_folder: Annotated[PathLike | None, Option(None, as_given, "the same as cache_dir")]
    backend: Annotated[str | None, Option(None, one_of("torch"), "without effect")]
    processor_kwargs: Annotated[
        Mapping[str, Any] | None,
        Option({}, as_mapping, "settings that take precedence over those of tokenizer_config.json"),
    ]
    tokenizer_kwargs: Annotated[Mapping[str, Any] | None, Option({}, as_mapping, "the same as processor_kwargs")]


class SentenceOptions(CallOptions, total=False):
    """Options of `SentenceEncoder.encode` and `CrossEncoder.predict`."""

    prompt_name: Annotated[str | None, Option(None, as_text, "name of the prompt to prepend to each text")]
    prompt: Annotated[str | None, Option(None, as_text, "a text to prepend to each text, instead of a named prompt")]
    show_progress_bar: Annotated[bool | None, Option(False, as_boolean, "the same as progress")]
    device: Annotated[Any, declared(LoadingOptions)["device"]]


class TensorOptions(TypedDict, total=False):
    """Options with which the results are torch tensors, as in sentence-transformers."""

    convert_to_numpy: Annotated[bool, Option(True, as_boolean, "False for a list of torch tensors")]
    convert_to_tensor: Annotated[bool, Option(False, as_boolean, "return a single torch tensor")]


class SentenceFolder(NamedTuple):
    """A folder of sentence-transformers, or of transformers, which lists no modules."""

    path: Path
    modules: list[Module]
    settings: SentenceSettings
    encoder: Path  # the folder of the encoder and its tokenizer
    options: SimpleNamespace  # `SentenceLoadingOptions`

    def model(self, model_type: type[Model]) -> Model:
        """Load the encoder. Raises DistilRobertaError, and ValueError for a config that is not its own."""
        model = model_type.from_pretrained(self.encoder, memory_map=self.options.memory_map)
        check_config(self.options.config, model)
        return model

    def tokenizer(self, task: str) -> RobertaTokenizer:
        """Load the tokenizer, by the settings of the encoder. Raises ConfigError, TokenizerError."""
        settings = EncoderSettings.load(self.encoder, task) if self.modules else EncoderSettings()
        given = {**self.options.tokenizer_kwargs, **self.options.processor_kwargs}
        settings_of_tokenizer = {**settings.tokenizer, **given}
        return RobertaTokenizer.from_folder(self.encoder, settings_of_tokenizer, lowercase=settings.do_lower_case)


class SentenceModel(OnTheCPU, Pipeline[tuple[int, ...], Array]):
    """A model that reads texts, or pairs of texts, after a prompt, and returns an array for each."""

    _has_records = False
    ORGANIZATION: ClassVar[str]  # that sentence-transformers assumes for a name without one
    _MIN_LENGTH: ClassVar[int]  # special tokens, and one token of each text
    _PROMPTS: ClassVar[Mapping[str, str]] = MappingProxyType({})  # that every model has
    # The evaluators of sentence-transformers report their metrics here.
    model_card_data: ClassVar[SimpleNamespace] = SimpleNamespace(set_evaluation_metrics=lambda *_, **__: None)

    def __init__(
        self,
        model: Any,
        tokenizer: RobertaTokenizer | None,
        settings: SentenceSettings,
        max_seq_length: int | None,
        prompts: Mapping[str, str] | None,
        default_prompt_name: str | None,
    ) -> None:
        if tokenizer is None:
            raise ValueError(f"a loaded model needs its tokenizer: {type(self).__name__}(model, tokenizer)")
        super().__init__(model, tokenizer)
        self.max_seq_length = self.max_length if max_seq_length is None else max_seq_length
        self.prompts = {**self._PROMPTS, **settings.prompts, **(prompts or {})}
        self.default_prompt_name = settings.default_prompt_name if default_prompt_name is None else default_prompt_name
        if self.default_prompt_name is not None and self.default_prompt_name not in self.prompts:
            names = ", ".join(map(repr, self.prompts)) or "none"
            raise ConfigError(f"default_prompt_name is {shown(self.default_prompt_name)}, but the prompts are {names}")

    @classmethod
    def from_pretrained(cls, name_or_path: PathLike, **arguments: Any) -> Self:
        """The class itself, called with a folder or a name."""
        return cls(name_or_path, **arguments)

    @classmethod
    def _find(cls, name_or_path: PathLike, loading: SentenceLoadingOptions) -> SentenceFolder:
        options = resolve(SentenceLoadingOptions, None, loading)
        folder = resolve_model(
            in_organization(name_or_path, cls.ORGANIZATION),
            revision=options.revision,
            cache_dir=options.cache_dir or options.cache_folder,
            local_files_only=options.local_files_only,
            parts=(CONFIG, WEIGHTS, TOKENIZER, MODULES),
        )
        modules = read_modules(folder) if (folder / MODULES_FILE).exists() else []
        encoder = folder / encoder_path(modules) if modules else folder
        return SentenceFolder(folder, modules, SentenceSettings.load(folder), encoder, options)

    def get_max_seq_length(self) -> int:
        """`max_seq_length`, by its old name."""
        return self.max_seq_length

    def _save_encoder(self, folder: Path, task: str, settings: SentenceSettings) -> None:
        """Write the encoder, its tokenizer and the settings of both."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        settings.save(folder)
        tokenizer = {"model_max_length": self.max_seq_length}
        EncoderSettings(tokenizer, self.tokenizer.lowercase).save(folder, task)

    def _run(self, inputs: Any, options: SimpleNamespace) -> Any:
        if isinstance(inputs, np.ndarray):  # of pairs too, which have two dimensions
            inputs = inputs.tolist()
        elif not isinstance(inputs, str | list | tuple) and (column := as_column(inputs)) is not None:
            inputs = column
        return super()._run(inputs, options)

    def _check_call(self, options: SimpleNamespace) -> None:
        if options.show_progress_bar:
            options.progress = options.progress or True
        if options.prompt is not None and options.prompt_name is not None:
            warn(f"prompt takes precedence over prompt_name; {options.prompt_name!r} is not used")
        elif options.prompt is None:
            name = self.default_prompt_name if options.prompt_name is None else options.prompt_name
            if name is not None and name not in self.prompts:
                raise ValueError(f"no prompt is named {name!r}; the names are: {', '.join(self.prompts) or 'none'}")
            options.prompt = "" if name is None else self.prompts[name]

    def _token_ids(self, prompt: str, texts: Sequence[Any], index: int | None) -> tuple[int, ...]:
        """The ids of one or two texts, with special tokens, truncated to `max_seq_length`, the longer text first.
        Raises as `_encode`, and ValueError if `max_seq_length` is too small."""
        limit = as_integer("max_seq_length", self.max_seq_length, smallest=self._MIN_LENGTH)
        first, *rest = texts
        encoding = self._encode(prompt + first if isinstance(first, str) else first, index, *rest, read="some")
        limit = min(limit, self.model.config.max_sequence_length)
        return tuple(truncate(encoding, limit, "longest_first", index, self.tokenizer.truncation_side))

    def _answer(self, items: Sequence[tuple[int, ...]], options: SimpleNamespace) -> list[Array]:
        return [row for batch in batches(list(map(len, items))) for row in self._compute(items[batch], options)]

    @abstractmethod
    def _compute(self, sequences: Sequence[tuple[int, ...]], options: SimpleNamespace) -> list[Array]:
        """The result for each sequence of a batch."""

    def _answer_one(self, inputs: Any, options: SimpleNamespace) -> Any:
        return as_tensor(self._finished(super()._answer_one(inputs, options), options), options)

    def _answer_list(self, inputs: Sequence[Any], options: SimpleNamespace) -> Any:
        rows = super()._answer_list(inputs, options)
        result = as_tensor(self._stacked(rows, options), options)
        return result if options.convert_to_numpy or options.convert_to_tensor else list(result)

    def _attempt_stream(self, inputs: Any, options: SimpleNamespace, total: int | None = None) -> Iterator[Any]:
        for row in super()._attempt_stream(inputs, options, total):
            yield row if isinstance(row, Exception) else as_tensor(self._finished(row, options), options)

    def _finished(self, result: Array, options: SimpleNamespace) -> Array:
        """A row as a call returns it, or all rows (N, D) of a list."""
        return result

    @abstractmethod
    def _stacked(self, rows: list[Array], options: SimpleNamespace) -> Array | list[Array]:
        """The results for a list, which may be empty."""


def as_tensor(result: Any, options: SimpleNamespace) -> Any:
    """An array as a torch tensor, if one is requested. Raises ImportError if torch is not installed."""
    if isinstance(result, list) or (options.convert_to_numpy and not options.convert_to_tensor):
        return result
    try:
        torch = import_module("torch")
    except ImportError:
        raise ImportError("tensors need torch: pip install torch") from None
    return torch.from_numpy(np.asarray(result))


def like(given: object, result: Array) -> Array:
    """An array as a torch tensor, if it was computed from one."""
    is_tensor = type(given).__module__ == "torch"
    array: Array = as_tensor(result, SimpleNamespace(convert_to_tensor=is_tensor, convert_to_numpy=True))
    return array
