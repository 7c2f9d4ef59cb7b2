"""What `SentenceEncoder` and `CrossEncoder` share: loading, prompts, inputs as token ids, and results as tensors."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Annotated, Any, ClassVar, NamedTuple, TypeAlias, TypedDict

import numpy as np

from ..checkpoint.sentence_folder import MODULES_FILE, Module, encoder_path, read_modules
from ..errors import ConfigError
from ..hub import in_organization, resolve_model
from ..layers.params import Array
from ..messages import shown, warn
from ..pipelines.base import Pipeline
from ..pipelines.options import CallOptions, Option, as_boolean, as_integer, as_text
from ..pipelines.truncation import truncate
from ..pretrained import CONFIG, MODULES, TOKENIZER, WEIGHTS
from ..tokenizer import RobertaTokenizer
from .sentence_settings import EncoderSettings, SentenceSettings

# A result that may be made of torch tensors. torch is not a dependency, so it has no type here.
Tensors: TypeAlias = Any


def as_cpu(name: str, value: Any) -> str:
    """Check a device. Raises ValueError if it is not the CPU."""
    if str(value) not in ("cpu", "-1"):
        raise ValueError(f"{name} {str(value)!r:.80} is not supported: models run on the CPU")
    return "cpu"


class SentenceOptions(CallOptions, total=False):
    """Options of `SentenceEncoder.encode` and `CrossEncoder.predict`."""

    prompt_name: Annotated[str | None, Option(None, as_text, "name of the prompt to prepend to each text")]
    prompt: Annotated[str | None, Option(None, as_text, "a text to prepend to each text, instead of a named prompt")]
    show_progress_bar: Annotated[bool | None, Option(False, as_boolean, "show a progress bar")]
    device: Annotated[Any, Option("cpu", as_cpu, "accepted as in sentence-transformers; only the CPU is supported")]


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

    def tokenizer(self, task: str) -> RobertaTokenizer:
        """Load the tokenizer, by the settings of the encoder. Raises ConfigError, TokenizerError."""
        settings = EncoderSettings.load(self.encoder, task) if self.modules else EncoderSettings()
        return RobertaTokenizer.from_folder(self.encoder, settings.tokenizer, lowercase=settings.do_lower_case)


class SentenceModel(Pipeline[tuple[int, ...], Array]):
    """A model that reads texts, or pairs of texts, after a prompt, and returns an array for each."""

    _ORGANIZATION: ClassVar[str]  # that sentence-transformers assumes for a name without one
    _MIN_LENGTH: ClassVar[int]  # special tokens, and one token of each text
    _PROMPTS: ClassVar[Mapping[str, str]] = MappingProxyType({})  # that every model has
    device: ClassVar[str] = "cpu"
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
        device: Any,
    ) -> None:
        if tokenizer is None:
            raise ValueError(f"a loaded model needs its tokenizer: {type(self).__name__}(model, tokenizer)")
        super().__init__(model, tokenizer)
        as_cpu("device", device)
        self.max_seq_length = self.max_length if max_seq_length is None else max_seq_length
        self.prompts = {**self._PROMPTS, **settings.prompts, **(prompts or {})}
        self.default_prompt_name = settings.default_prompt_name if default_prompt_name is None else default_prompt_name
        if self.default_prompt_name is not None and self.default_prompt_name not in self.prompts:
            names = ", ".join(map(repr, self.prompts)) or "none"
            raise ConfigError(f"default_prompt_name is {shown(self.default_prompt_name)}, but the prompts are {names}")

    @classmethod
    def _find(
        cls,
        name_or_path: str | os.PathLike[str],
        revision: str | None,
        cache_dir: str | os.PathLike[str] | None,
        local_files_only: bool,
    ) -> SentenceFolder:
        folder = resolve_model(
            in_organization(name_or_path, cls._ORGANIZATION),
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            parts=(CONFIG, WEIGHTS, TOKENIZER, MODULES),
        )
        modules = read_modules(folder) if (folder / MODULES_FILE).exists() else []
        encoder = folder / encoder_path(modules) if modules else folder
        return SentenceFolder(folder, modules, SentenceSettings.load(folder), encoder)

    def get_max_seq_length(self) -> int:
        """`max_seq_length`, by its name in older programs."""
        return self.max_seq_length

    def _save_encoder(self, folder: Path, task: str, settings: SentenceSettings) -> None:
        """Write the encoder, its tokenizer and the settings of both."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        settings.save(folder)
        tokenizer = {"model_max_length": self.max_seq_length}
        EncoderSettings(tokenizer, self.tokenizer.lowercase).save(folder, task)

    # -- as a pipeline -----------------------------------------------------------------------------------------

    def _check_call(self, options: SimpleNamespace) -> None:
        if options.prompt is not None and options.prompt_name is not None:
            warn(f"prompt takes precedence over prompt_name; {options.prompt_name!r} is not used")
        elif options.prompt is None:
            name = self.default_prompt_name if options.prompt_name is None else options.prompt_name
            if name is not None and name not in self.prompts:
                raise ValueError(f"no prompt is named {name!r}; the names are: {', '.join(self.prompts) or 'none'}")
            options.prompt = "" if name is None else self.prompts[name]

    def _token_ids(self, prompt: str, texts: Sequence[Any], index: int | None) -> tuple[int, ...]:
        """The ids of one or two texts, with special tokens, truncated to `max_seq_length`, the longer text first.

        Raises:
            PipelineException, TypeError: as `_encode`.
            ValueError: `max_seq_length` is too small.
        """
        limit = as_integer("max_seq_length", self.max_seq_length, smallest=self._MIN_LENGTH)
        first, *rest = texts
        encoding = self._encode(prompt + first if isinstance(first, str) else first, index, *rest)
        return tuple(truncate(encoding, min(limit, self.model.config.max_sequence_length), "longest_first", index))

    def _answer_one(self, inputs: Any, options: SimpleNamespace) -> Any:
        return as_tensor(self._finished(super()._answer_one(inputs, options), options), options)

    def _answer_list(self, inputs: Sequence[Any], options: SimpleNamespace) -> Any:
        rows = super()._answer_list(inputs, options)
        result = as_tensor(self._stacked(rows, options), options)
        return result if options.convert_to_numpy or options.convert_to_tensor else list(result)

    def _answer_stream(self, inputs: Any, options: SimpleNamespace) -> Iterator[Any]:
        return (as_tensor(self._finished(row, options), options) for row in super()._answer_stream(inputs, options))

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
