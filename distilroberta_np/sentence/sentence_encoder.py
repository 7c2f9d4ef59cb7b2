"""`SentenceEncoder`: sentences in, a vector for each out, as the models of sentence-transformers have it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..checkpoint.load import open_checkpoint
from ..checkpoint.sentence_folder import MODULES_FILE, Module, encoder_path, read_modules
from ..errors import CheckpointError, ConfigError, PipelineException
from ..hub import in_organization, resolve_model
from ..layers.linear import LinearWeights, ignore_stray_flags, linear
from ..layers.params import Array
from ..messages import shown, warn
from ..models import RobertaModel
from ..pipelines.base import Pipeline, as_boolean, as_integer
from ..pretrained import CONFIG, MODULES, TOKENIZER, WEIGHTS
from ..runtime.batching import distinct, encode_at
from ..tokenizer import RobertaTokenizer
from .modules import (
    SentenceSettings,
    activation,
    check_modules,
    read_max_seq_length,
    read_module_config,
    read_sentence_settings,
)
from .pooling import POOLING_MODES, pooling, pooling_places
from .prompts import choose_prompt
from .similarity import SIMILARITY_FUNCTIONS, normalize, similarity, similarity_pairwise

# Tokens whose vectors are held until they are pooled: 50 MB in distilroberta-base.
_MOST_TOKENS = 16_384
# <s>, a token and </s>.
_SHORTEST = 3
# Whose prompts of these names sentence-transformers looks up, in this order.
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")


@dataclass(frozen=True)
class PoolingSettings:
    """How the vectors of tokens become one.

    Attributes:
        modes: of `POOLING_MODES`; the vectors of several are joined.
        include_prompt: whether the tokens of a prompt count.

    Raises:
        ConfigError: an unknown mode, or none.
    """

    modes: tuple[str, ...] = ("mean",)
    include_prompt: bool = True

    def __post_init__(self) -> None:
        if not self.modes or not set(self.modes) <= set(POOLING_MODES):
            raise ConfigError(f"pooling: modes must be of {', '.join(POOLING_MODES)}, not {shown(self.modes)}")


@dataclass(frozen=True)
class Options:
    """The arguments of a call, checked. `SentenceEncoder.encode` says what they mean."""

    prompt: str
    skipped: int  # tokens at the beginning that aren't pooled
    batch_size: int | None
    normalize_embeddings: bool
    truncate_dim: int | None


class SentenceEncoder(Pipeline):
    """Sentences to vectors, whose likeness is that of the sentences (Reimers & Gurevych 2019, "Sentence-BERT").

    Args:
        model: the encoder.
        tokenizer: its tokenizer.
        pooling: how the vectors of a sentence's tokens become one.
        layers: what follows: functions from rows to rows, such as a dense layer (N, H) -> (N, D).
        max_seq_length: most tokens of a sentence, special ones included; what is longer is cut. As many as model and
            tokenizer have room for, if None.
        prompts: what may be put before sentences, by names.
        default_prompt_name: of the one that is put there where none is asked for.
        similarity_fn_name: how `similarity` compares: "cosine", "dot", "euclidean" or "manhattan".
        truncate_dim: how many numbers of each vector are kept; all if None.

    All of these but the first four are attributes that may be set.

    Raises:
        PipelineException: model and tokenizer don't belong together.
    """

    task = "sentence-similarity"

    def __init__(
        self,
        model: RobertaModel,
        tokenizer: RobertaTokenizer,
        *,
        pooling: PoolingSettings | None = None,
        layers: Sequence[Callable[[Array], Array]] = (),
        max_seq_length: int | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str = "cosine",
        truncate_dim: int | None = None,
    ) -> None:
        super().__init__(model, tokenizer)
        self.pooling = pooling or PoolingSettings()
        self.layers = tuple(layers)
        self.max_seq_length = self.max_length if max_seq_length is None else max_seq_length
        self.prompts = {"query": "", "document": ""} | dict(prompts or {})
        self.default_prompt_name = default_prompt_name
        self.similarity_fn_name = similarity_fn_name
        self.truncate_dim = truncate_dim

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str | None = None,
        truncate_dim: int | None = None,
    ) -> Self:
        """Load a folder of sentence-transformers, or a model of the hub by its name.

        A model without modules.json, which is no sentence encoder by itself, gives the mean of its tokens' vectors,
        with a warning.

        Args:
            name_or_path: a folder, or a name such as "sentence-transformers/all-distilroberta-v1". A name without an
                organization is one of sentence-transformers', but for those of RoBERTa itself.
            revision, cache_dir, local_files_only: as `RobertaModel.from_pretrained`.
            prompts: beside those that the model has, and before them.
            default_prompt_name, similarity_fn_name, truncate_dim: in the place of the model's own.

        Raises:
            HubError: the model can't be found or fetched.
            ConfigError: one of its settings can't be used, or asks for something that isn't computed here.
            CheckpointError, TokenizerError: its weights or its tokenizer can't be used.
        """
        folder = resolve_model(
            in_organization(name_or_path, "sentence-transformers"),
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            parts=(CONFIG, WEIGHTS, TOKENIZER, MODULES),
        )
        modules = read_modules(folder) if (folder / MODULES_FILE).exists() else []
        settings = read_sentence_settings(folder)
        encoder = folder / (encoder_path(modules) if modules else "")
        model = RobertaModel.from_pretrained(encoder)
        pooling = PoolingSettings()
        layers: list[Callable[[Array], Array]] = []
        max_seq_length: int | None = None
        if modules and settings.model_type == "SentenceTransformer":
            check_modules(folder, modules, ("Pooling", "Dense", "Normalize", "Dropout"))
            pooling = _read_pooling(folder, modules, model.config.hidden_size)
            layers = _read_layers(folder, modules[2:], len(pooling.modes) * model.config.hidden_size)
            max_seq_length = read_max_seq_length(encoder)
        else:
            why = f"was made as a {settings.model_type}" if modules else f"has no {MODULES_FILE}"
            warn(
                f"{folder} {why}, so it is no sentence encoder by itself: a sentence's vector is the mean of its "
                "tokens' vectors",
            )
            settings = SentenceSettings()
        # One of another kind of model, such as "maxsim", is passed over by sentence-transformers too.
        similar = settings.similarity_fn_name if settings.similarity_fn_name in SIMILARITY_FUNCTIONS else None
        return cls(
            model,
            RobertaTokenizer.from_pretrained(encoder),
            pooling=pooling,
            layers=layers,
            max_seq_length=max_seq_length,
            prompts=settings.prompts | dict(prompts or {}),
            default_prompt_name=settings.default_prompt_name if default_prompt_name is None else default_prompt_name,
            similarity_fn_name=similarity_fn_name or similar or "cosine",
            truncate_dim=settings.truncate_dim if truncate_dim is None else truncate_dim,
        )

    def get_embedding_dimension(self) -> int:
        """How many numbers a vector has."""
        width: int = len(self.pooling.modes) * self.model.config.hidden_size
        for layer in self.layers:
            if isinstance(layer, Dense):
                width = len(layer.weights.bias)
        return width if self.truncate_dim is None else min(width, self.truncate_dim)

    # -- encoding ----------------------------------------------------------------------------------------------

    def encode(
        self,
        inputs: str | Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Any:
        """The vectors of one sentence, or of many. A sentence that is too long is cut.

        Args:
            inputs: a sentence; a list, tuple or array of them; or any other iterable, which is read as its results are
                asked for.
            prompt_name: of the one of `prompts` that is put before each sentence; the one named
                `default_prompt_name`, if any, if None.
            prompt: put before each sentence, whatever `prompt_name` is.
            batch_size: how many sentences of an iterator are read ahead, to be computed together; 1 if None. Some
                hundred are several times as fast. Lists don't need it.
            normalize_embeddings: make each vector 1 long, after it is cut.
            truncate_dim: keep so many numbers of each vector; as `truncate_dim` of the encoder if None.

        Returns:
            For a sentence its vector, float32 (D,); for a list, (N, D), of none (0, D); for another iterable, an
            iterator over vectors.

        Raises:
            PipelineException: a sentence can't be encoded; its `index` says which. Of a list, nothing is computed then;
                of an iterator, the sentences before it are encoded first.
            TypeError: an input or argument of the wrong type.
            ValueError: an argument out of range, or an unknown prompt.
            CheckpointError: the vectors are not finite.
        """
        options = self._options(
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            normalize_embeddings=normalize_embeddings,
            truncate_dim=truncate_dim,
        )
        return self._run(inputs.tolist() if isinstance(inputs, np.ndarray) else inputs, options)

    def encode_query(
        self,
        inputs: str | Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        **arguments: Any,
    ) -> Any:
        """`encode` with the prompt named "query" where none is asked for. Arguments, result and errors as there."""
        if prompt_name is None and prompt is None and "query" in self.prompts:
            prompt_name = "query"
        return self.encode(inputs, prompt_name=prompt_name, prompt=prompt, **arguments)

    def encode_document(
        self,
        inputs: str | Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        **arguments: Any,
    ) -> Any:
        """`encode` with the prompt named "document", "passage" or "corpus", the first that there is, where none is
        asked for. Arguments, result and errors as there."""
        if prompt_name is None and prompt is None:
            prompt_name = next((name for name in _DOCUMENT_PROMPTS if name in self.prompts), None)
        return self.encode(inputs, prompt_name=prompt_name, prompt=prompt, **arguments)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Array:
        """How similar all vectors are to all others, by `similarity_fn_name`: (N, D) and (M, D) -> (N, M) float32. One
        vector (D,) is a row. Raises ValueError: other shapes, or an unknown function."""
        return similarity(embeddings1, embeddings2, self.similarity_fn_name)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Array:
        """How similar each vector is to the one in the same place, by `similarity_fn_name`: (N, D) twice -> (N,)
        float32. Raises ValueError: other shapes, or an unknown function."""
        return similarity_pairwise(embeddings1, embeddings2, self.similarity_fn_name)

    # -- as a pipeline -----------------------------------------------------------------------------------------

    def _options(self, **parameters: Any) -> Options:
        return self._parameters(**parameters)

    def _parameters(
        self,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Options:
        text = choose_prompt(prompt, prompt_name, self.prompts, self.default_prompt_name)
        truncate_dim = self.truncate_dim if truncate_dim is None else truncate_dim
        return Options(
            prompt=text,
            skipped=0 if self.pooling.include_prompt or not text else len(self._cut(self._encode(text, None).ids)) - 1,
            batch_size=None if batch_size is None else as_integer("batch_size", batch_size, smallest=1),
            normalize_embeddings=as_boolean("normalize_embeddings", normalize_embeddings),
            truncate_dim=None if truncate_dim is None else as_integer("truncate_dim", truncate_dim, smallest=1),
        )

    def _cut(self, ids: list[int]) -> list[int]:
        longest = as_integer("max_seq_length", self.max_seq_length, smallest=_SHORTEST)
        longest = min(longest, self.model.config.max_sequence_length)
        return ids if len(ids) <= longest else [*ids[: longest - 1], ids[-1]]

    def _read(self, item: Any, index: int | None, options: Options) -> list[int]:
        ids = self._cut(self._encode(options.prompt + item if isinstance(item, str) else item, index).ids)
        if len(ids) <= options.skipped:
            # Its first letters have made one token with the prompt's last.
            raise PipelineException("none of the text's tokens are left beside the prompt's, which don't count", index)
        return ids

    def _answer(self, sequences: list[list[int]], options: Options) -> list[Array]:
        if not sequences:
            return []
        vectors = np.stack([vector for part in _parts(sequences) for vector in self._pool(part, options)])  # [N, H]
        for layer in self.layers:
            vectors = layer(vectors)
        if not np.isfinite(vectors).all():
            raise CheckpointError("the vectors are not finite: the model's weights are too large, so they are damaged")
        vectors = vectors[:, : options.truncate_dim]  # [N, H] -> [N, D]
        return list(normalize(vectors) if options.normalize_embeddings else vectors)

    def _answer_items(self, items: list[list[int]], options: Options) -> list[Any]:
        sequences, index = distinct(map(tuple, items))
        answers = super()._answer_items(list(map(list, sequences)), options)
        return [answers[position] for position in index]

    def _answer_list(self, inputs: Sequence[str], options: Options) -> Array:
        vectors = super()._answer_list(inputs, options)
        return np.stack(vectors) if vectors else np.empty((0, self.get_embedding_dimension()), np.float32)

    def _pool(self, sequences: list[list[int]], options: Options) -> Iterator[Array]:
        modes = self.pooling.modes
        places = [pooling_places(modes, len(sequence), options.skipped) for sequence in sequences]
        vectors = encode_at(sequences, places, self.model.weights, self.model.config)
        for rows, row_places in zip(vectors, places, strict=True):
            yield pooling(rows, row_places, modes)


@dataclass(frozen=True)
class Dense:
    """A layer behind the pooling: y = f(x W^T + b). Shapes: (N, H) -> (N, D)."""

    weights: LinearWeights[Array]
    activation: Callable[[Array], Array]

    def __call__(self, vectors: Array) -> Array:
        return self.activation(ignore_stray_flags(linear)(vectors, self.weights))


def _parts(sequences: list[list[int]]) -> Iterator[list[list[int]]]:
    """Runs of sequences with about so many tokens that their vectors can be held."""
    part: list[list[int]] = []
    tokens = 0
    for sequence in sequences:
        if part and tokens + len(sequence) > _MOST_TOKENS:
            yield part
            part, tokens = [], 0
        part.append(sequence)
        tokens += len(sequence)
    yield part


# -- reading a folder ------------------------------------------------------------------------------------------------


def _read_pooling(folder: Path, modules: Sequence[Module], hidden_size: int) -> PoolingSettings:
    """How the second module pools. Raises ConfigError."""
    if [module.kind for module in modules].count("Pooling") != 1 or modules[1].kind != "Pooling":
        raise ConfigError(f"{folder / MODULES_FILE}: the second module must be a Pooling, and the only one")
    path = folder / modules[1].path / "config.json"
    values = read_module_config(folder, modules[1])
    width = values.get("embedding_dimension", values.get("word_embedding_dimension"))
    if width != hidden_size:
        raise ConfigError(f"{path}: pools vectors of {shown(width)} numbers, and the model's have {hidden_size}")
    modes = values.get("pooling_mode")
    if modes is None:
        modes = [mode for mode, key in _OLD_POOLING_KEYS.items() if values.get(key)] or ["mean"]
    include_prompt = values.get("include_prompt", True)
    if not isinstance(modes, str | list) or not isinstance(include_prompt, bool):
        raise ConfigError(f"{path}: pooling_mode must be a name or a list of names, and include_prompt true or false")
    try:
        return PoolingSettings((modes,) if isinstance(modes, str) else tuple(modes), include_prompt)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _read_layers(folder: Path, modules: Sequence[Module], width: int) -> list[Callable[[Array], Array]]:
    """What follows the pooling. Raises ConfigError, CheckpointError."""
    layers: list[Callable[[Array], Array]] = []
    for module in modules:
        values = read_module_config(folder, module)
        if module.kind == "Normalize":
            layers.append(normalize)
        elif module.kind == "Dense":
            dense = _read_dense(folder / module.path, values, width)
            layers.append(dense)
            width = len(dense.weights.bias)
    return layers  # dropout does nothing but in training


def _read_dense(folder: Path, values: dict[str, Any], width: int) -> Dense:
    path = folder / "config.json"
    if values.get("use_residual"):
        raise ConfigError(f"{path}: use_residual is not computed here")
    if values.get("in_features") != width:
        raise ConfigError(f"{path}: takes {shown(values.get('in_features'))} numbers, and is given {width}")
    name = values.get("activation_function", "torch.nn.modules.activation.Tanh")
    try:
        function = activation(name)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    stored = open_checkpoint(folder)
    outputs = values.get("out_features")
    shapes = {"linear.weight": (outputs, width)} | ({"linear.bias": (outputs,)} if values.get("bias", True) else {})
    found = {key: tensor.shape for key, tensor in stored.items()}
    if found != shapes:
        raise CheckpointError(f"{folder}: the weights are {shown(found)}, and by the config they must be {shapes}")
    weight = stored["linear.weight"].to_float32()
    bias = stored["linear.bias"].to_float32() if "linear.bias" in stored else np.zeros(len(weight), np.float32)
    return Dense(LinearWeights(weight, bias), function)


# How configs of old say of each mode whether it is on.
_OLD_POOLING_KEYS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
