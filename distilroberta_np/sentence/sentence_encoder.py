"""`SentenceEncoder`: one embedding for each sentence, as the models of sentence-transformers compute it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from ..checkpoint.sentence_folder import MODULES_FILE
from ..errors import CheckpointError, PipelineException
from ..layers.params import Array
from ..messages import warn
from ..models import RobertaModel
from ..pipelines.options import as_boolean, as_integer
from ..runtime.batching import batches
from ..tokenizer import RobertaTokenizer
from .modules import Layer, load_modules, output_size
from .normalize import normalize
from .pooling import Pooling
from .sentence_model import SentenceModel
from .sentence_settings import SentenceSettings, read_max_seq_length
from .similarity import SIMILARITY_FUNCTIONS, similarity, similarity_pairwise

# The names of a prompt for documents, in the order in which sentence-transformers looks them up.
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")


class EncodeArguments(TypedDict, total=False):
    """The keyword arguments of `SentenceEncoder.encode`."""

    prompt_name: str | None
    prompt: str | None
    batch_size: int | None
    normalize_embeddings: bool
    truncate_dim: int | None


@dataclass(frozen=True)
class Options:
    """The checked arguments of `SentenceEncoder.encode`."""

    prompt: str
    skipped: int  # the number of first tokens that are not pooled
    batch_size: int | None
    normalize_embeddings: bool
    truncate_dim: int | None


class SentenceEncoder(SentenceModel):
    """Maps sentences to embeddings whose similarity reflects theirs (Reimers & Gurevych 2019, "Sentence-BERT").

    Args:
        model: the encoder.
        tokenizer: its tokenizer.
        pooling: makes one embedding of the hidden states of a sentence's tokens; their mean if None.
        layers: functions of embeddings that follow, such as `Dense`: (N, H) -> (N, D).
        max_seq_length: maximum number of tokens of a sentence, special tokens included; longer ones are truncated. If
            None, the limit of model and tokenizer.
        prompts: texts that can be prepended to sentences, by name.
        default_prompt_name: the prompt to use if a call names none.
        similarity_fn_name: the function of `similarity`: "cosine", "dot", "euclidean" or "manhattan".
        truncate_dim: keep only the first numbers of each embedding; all if None.

    All but the first four are attributes that can be changed.

    Raises:
        PipelineException: model and tokenizer do not belong together.
    """

    task = "sentence-similarity"
    _ORGANIZATION = "sentence-transformers"
    _MIN_LENGTH = 3  # <s>, a token and </s>

    def __init__(
        self,
        model: RobertaModel,
        tokenizer: RobertaTokenizer,
        *,
        pooling: Pooling | None = None,
        layers: Sequence[Layer] = (),
        max_seq_length: int | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str = "cosine",
        truncate_dim: int | None = None,
    ) -> None:
        prompts = {"query": "", "document": ""} | dict(prompts or {})
        super().__init__(model, tokenizer, max_seq_length, prompts, default_prompt_name)
        self.pooling = pooling or Pooling()
        self.layers = tuple(layers)
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

        A model without modules.json was not trained as a sentence encoder. It is loaded with mean pooling, and a
        warning.

        Args:
            name_or_path: a folder, or a name such as "sentence-transformers/all-distilroberta-v1". A name without an
                organization gets "sentence-transformers/", except for the names of RoBERTa's own models.
            revision, cache_dir, local_files_only: as in `RobertaModel.from_pretrained`.
            prompts: added to the model's prompts, and used instead of those of the same name.
            default_prompt_name, similarity_fn_name, truncate_dim: used instead of the model's own.

        Raises:
            HubError: the model cannot be found or fetched.
            ConfigError: a setting is malformed or not supported.
            CheckpointError, TokenizerError: the weights or the tokenizer cannot be used.
        """
        folder, modules, settings, encoder = cls._find(name_or_path, revision, cache_dir, local_files_only)
        model = RobertaModel.from_pretrained(encoder)
        pooling, max_seq_length = Pooling(), None
        layers: list[Layer] = []
        if modules and settings.model_type == "SentenceTransformer":
            pooling, layers = load_modules(folder, modules, model.config.hidden_size)
            max_seq_length = read_max_seq_length(encoder)
        else:
            why = f"was saved as a {settings.model_type}" if modules else f"has no {MODULES_FILE}"
            warn(f"{folder} {why}, so it was not trained as a sentence encoder; using mean pooling")
            settings = SentenceSettings()
        # sentence-transformers also ignores the functions of other kinds of models, such as "maxsim".
        saved = settings.similarity_fn_name if settings.similarity_fn_name in SIMILARITY_FUNCTIONS else None
        return cls(
            model,
            RobertaTokenizer.from_pretrained(encoder),
            pooling=pooling,
            layers=layers,
            max_seq_length=max_seq_length,
            prompts=settings.prompts | dict(prompts or {}),
            default_prompt_name=settings.default_prompt_name if default_prompt_name is None else default_prompt_name,
            similarity_fn_name=similarity_fn_name or saved or "cosine",
            truncate_dim=settings.truncate_dim if truncate_dim is None else truncate_dim,
        )

    def get_embedding_dimension(self) -> int:
        """The size of an embedding."""
        size = output_size(self.layers, len(self.pooling.modes) * self.model.config.hidden_size)
        return size if self.truncate_dim is None else min(size, self.truncate_dim)

    @overload
    def encode(self, inputs: str | Sequence[str], **arguments: Unpack[EncodeArguments]) -> Array: ...  # type: ignore[overload-overlap]

    @overload
    def encode(self, inputs: Iterable[str], **arguments: Unpack[EncodeArguments]) -> Iterator[Array]: ...

    def encode(
        self,
        inputs: str | Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Array | Iterator[Array]:
        """Compute the embeddings of sentences. A sentence that is too long is truncated.

        Args:
            inputs: a sentence; a list, tuple or array of sentences; or any other iterable, which is read as its
                results are consumed.
            prompt_name: the name of the prompt to prepend to each sentence; `default_prompt_name` if None.
            prompt: a text to prepend to each sentence; takes precedence over `prompt_name`.
            batch_size: how many sentences of an iterator to read ahead and compute together; 1 if None. Several
                hundred are several times as fast. Lists do not need it.
            normalize_embeddings: scale each embedding to unit length, after truncation.
            truncate_dim: keep only the first numbers of each embedding; the encoder's `truncate_dim` if None.

        Returns:
            The embedding of a sentence, float32 (D,); of a list, (N, D); of another iterable, an iterator over
            embeddings. Equal sentences have equal embeddings.

        Raises:
            PipelineException: a sentence cannot be encoded; `index` says which. Nothing of a list is computed then;
                the preceding sentences of an iterator are returned first.
            TypeError: an input or argument of the wrong type.
            ValueError: an argument out of range, or an unknown prompt.
            CheckpointError: the embeddings are not finite.
        """
        options = self._options(
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            normalize_embeddings=normalize_embeddings,
            truncate_dim=truncate_dim,
        )
        result: Array | Iterator[Array]
        result = self._run(inputs.tolist() if isinstance(inputs, np.ndarray) else inputs, options)
        return result

    @overload
    def encode_query(self, inputs: str | Sequence[str], **arguments: Unpack[EncodeArguments]) -> Array: ...  # type: ignore[overload-overlap]

    @overload
    def encode_query(self, inputs: Iterable[str], **arguments: Unpack[EncodeArguments]) -> Iterator[Array]: ...

    def encode_query(
        self, inputs: str | Iterable[str], **arguments: Unpack[EncodeArguments]
    ) -> Array | Iterator[Array]:
        """`encode` with the prompt named "query", if there is one and the call names none."""
        return self.encode(inputs, **self._with_prompt(arguments, ("query",)))

    @overload
    def encode_document(self, inputs: str | Sequence[str], **arguments: Unpack[EncodeArguments]) -> Array: ...  # type: ignore[overload-overlap]

    @overload
    def encode_document(self, inputs: Iterable[str], **arguments: Unpack[EncodeArguments]) -> Iterator[Array]: ...

    def encode_document(
        self, inputs: str | Iterable[str], **arguments: Unpack[EncodeArguments]
    ) -> Array | Iterator[Array]:
        """`encode` with the prompt named "document", "passage" or "corpus", the first that exists, if the call names
        none."""
        return self.encode(inputs, **self._with_prompt(arguments, _DOCUMENT_PROMPTS))

    def _with_prompt(self, arguments: EncodeArguments, names: Sequence[str]) -> EncodeArguments:
        if arguments.get("prompt_name") is None and arguments.get("prompt") is None:
            arguments["prompt_name"] = next((name for name in names if name in self.prompts), None)
        return arguments

    def similarity(self, embeddings1: ArrayLike, embeddings2: ArrayLike) -> Array:
        """The similarity of every embedding to every other: (N, D) and (M, D) -> (N, M) float32. One embedding (D,) is
        a row. Raises ValueError: other shapes, or an unknown `similarity_fn_name`."""
        return similarity(embeddings1, embeddings2, self.similarity_fn_name)

    def similarity_pairwise(self, embeddings1: ArrayLike, embeddings2: ArrayLike) -> Array:
        """The similarity of each embedding to the one with the same index: (N, D) twice -> (N,) float32. Raises
        ValueError: other shapes, or an unknown `similarity_fn_name`."""
        return similarity_pairwise(embeddings1, embeddings2, self.similarity_fn_name)

    def __repr__(self) -> str:
        layers = "".join(f", {type(layer).__name__}" for layer in self.layers)
        return (
            f"SentenceEncoder({self.model!r}, {'+'.join(self.pooling.modes)} pooling{layers}, "
            f"{self.get_embedding_dimension()} dimensions, max_seq_length={self.max_seq_length})"
        )

    # -- as a pipeline -----------------------------------------------------------------------------------------

    def _options(  # type: ignore[override]
        self,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Options:
        text = self._choose_prompt(prompt, prompt_name)
        truncate_dim = self.truncate_dim if truncate_dim is None else truncate_dim
        return Options(
            prompt=text,
            # The prompt's tokens and <s>, but not </s>.
            skipped=0 if self.pooling.include_prompt or not text else len(self._token_ids("", [text], None)) - 1,
            batch_size=None if batch_size is None else as_integer("batch_size", batch_size, smallest=1),
            normalize_embeddings=as_boolean("normalize_embeddings", normalize_embeddings),
            truncate_dim=None if truncate_dim is None else as_integer("truncate_dim", truncate_dim, smallest=1),
        )

    def _read(self, item: Any, index: int | None, options: Options) -> tuple[int, ...]:
        ids = self._token_ids(options.prompt, [item], index)
        if len(ids) <= options.skipped:
            # The text is truncated, or its first characters share a token with the end of the prompt.
            raise PipelineException("no tokens are left after the prompt, which is not pooled", index)
        return ids

    def _answer(self, sequences: Sequence[tuple[int, ...]], options: Options) -> list[Array]:
        embeddings = np.stack(
            [row for batch in batches(list(map(len, sequences))) for row in self._pool(sequences[batch], options)]
        )
        for layer in self.layers:
            embeddings = layer(embeddings)  # [N, H] -> [N, D]
        if not np.isfinite(embeddings).all():
            raise CheckpointError("the embeddings contain NaN or infinity; the checkpoint is probably corrupt")
        embeddings = embeddings[:, : options.truncate_dim]
        return list(normalize(embeddings) if options.normalize_embeddings else embeddings)

    def _answer_list(self, inputs: Sequence[Any], options: Options) -> Array:
        embeddings = super()._answer_list(inputs, options)
        return np.stack(embeddings) if embeddings else np.empty((0, self.get_embedding_dimension()), np.float32)

    def _pool(self, sequences: Sequence[tuple[int, ...]], options: Options) -> Iterator[Array]:
        positions = [self.pooling.positions(len(sequence), options.skipped) for sequence in sequences]
        hidden_states = self.model.encode(sequences, positions)
        return map(self.pooling, hidden_states, positions)
