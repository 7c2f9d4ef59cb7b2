"""`SentenceEncoder`: one embedding for each sentence, as the models of sentence-transformers compute it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Annotated, Any, Literal, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from ..checkpoint.sentence_folder import MODULES_FILE
from ..errors import PipelineException
from ..layers.params import Array
from ..messages import warn
from ..models import RobertaModel
from ..models.base import check_finite
from ..pipelines.loading import PathLike
from ..pipelines.options import Option, as_boolean, as_integer, integer, one_of
from ..tokenizer import RobertaTokenizer
from .modules import Layer, load_modules, output_size, save_modules
from .normalize import normalize
from .pooling import Pooling
from .quantization import PRECISIONS, quantize
from .sentence_model import SentenceLoadingOptions, SentenceModel, SentenceOptions, TensorOptions, Tensors, like
from .sentence_settings import SentenceSettings
from .similarity import SIMILARITY_FUNCTIONS, similarity, similarity_pairwise

_OUTPUTS = ("sentence_embedding", "token_embeddings")
# A sentence, or a pair of texts that is read as one input.
Sentence = str | tuple[str, str] | list[str]


class ArrayOptions(SentenceOptions, total=False):
    """Options of `SentenceEncoder.encode` with which it returns an array."""

    normalize_embeddings: Annotated[
        bool, Option(False, as_boolean, "scale embeddings to unit length, after they are truncated")
    ]
    truncate_dim: Annotated[
        int | None, Option(None, integer(1), "keep only the first numbers; the encoder's `truncate_dim` if None")
    ]
    precision: Annotated[
        Literal["float32", "int8", "uint8", "binary", "ubinary"],
        Option("float32", one_of(*PRECISIONS), "dtype of the embeddings, quantized as by sentence-transformers"),
    ]


class EncodeOptions(ArrayOptions, TensorOptions, total=False):
    """Options of `SentenceEncoder.encode`."""

    output_value: Annotated[
        Literal["sentence_embedding", "token_embeddings"],
        Option(
            _OUTPUTS[0],
            one_of(*_OUTPUTS),
            "token_embeddings for the final hidden states of its tokens instead, (S, H)",
            none=True,  # and refused: sentence-transformers then returns dicts of everything
        ),
    ]


class SentenceEncoder(SentenceModel):
    """Maps sentences to embeddings whose similarity reflects theirs (Reimers & Gurevych 2019, "Sentence-BERT").

    A model that lists no modules in a modules.json was not trained as a sentence encoder. It is loaded with mean
    pooling, and a warning.

    Args:
        model: a folder; a name such as "sentence-transformers/all-distilroberta-v1", where "sentence-transformers/" can
            be omitted; or a loaded encoder.
        tokenizer: the tokenizer of a loaded encoder.
        pooling: how to pool the hidden states of a loaded encoder; their mean if None.
        layers: functions of embeddings, such as `Dense`, that follow a loaded encoder: (N, H) -> (N, D).
        max_seq_length: maximum number of tokens of a sentence, special tokens included; longer ones are truncated. If
            None, the limit of model and tokenizer.
        prompts: texts that can be prepended to sentences, by name, in addition to the model's own.
        default_prompt_name: the prompt to use if a call names none.
        similarity_fn_name: the function of `similarity`: "cosine", "dot", "euclidean" or "manhattan".
        truncate_dim: keep only the first numbers of each embedding.
        **loading: arguments for a folder or a name (`SentenceLoadingOptions`), such as `revision` and `cache_folder`.

    The settings from `max_seq_length` to `truncate_dim` are attributes that can be changed. Those that are None are
    the model's own.
    Raises DistilRobertaError: the model cannot be found, fetched or used; its subclasses say which.
    """

    task = "sentence-similarity"
    options_type = EncodeOptions
    call_name = "encode"
    ORGANIZATION = "sentence-transformers"
    _PROMPTS = MappingProxyType({"query": "", "document": ""})
    _MIN_LENGTH = 3  # <s>, a token and </s>

    def __init__(
        self,
        model: RobertaModel | PathLike,
        tokenizer: RobertaTokenizer | None = None,
        *,
        pooling: Pooling | None = None,
        layers: Sequence[Layer] = (),
        max_seq_length: int | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str | None = None,
        truncate_dim: int | None = None,
        **loading: Unpack[SentenceLoadingOptions],
    ) -> None:
        settings = SentenceSettings()
        if isinstance(model, str | os.PathLike):
            folder = self._find(model, loading)
            model = folder.model(RobertaModel)
            if folder.modules and folder.settings.model_type == "SentenceTransformer":
                settings = folder.settings
                pooling, layers = load_modules(folder.path, folder.modules, model.config.hidden_size)
            else:
                why = f"was saved as a {folder.settings.model_type}" if folder.modules else f"has no {MODULES_FILE}"
                warn(f"{folder.path} {why}, so it was not trained as a sentence encoder; using mean pooling")
                folder.modules.clear()
            tokenizer = folder.tokenizer("feature-extraction")
        super().__init__(model, tokenizer, settings, max_seq_length, prompts, default_prompt_name)
        self.pooling = pooling or Pooling()
        self.layers = tuple(layers)
        # sentence-transformers also ignores the saved functions of other kinds of models, such as "maxsim".
        saved = settings.similarity_fn_name if settings.similarity_fn_name in SIMILARITY_FUNCTIONS else "cosine"
        self.similarity_fn_name = saved if similarity_fn_name is None else similarity_fn_name
        given = None if truncate_dim is None else as_integer("truncate_dim", truncate_dim, smallest=1)
        self.truncate_dim = settings.truncate_dim if given is None else given

    def save_pretrained(self, folder: PathLike) -> None:
        """Save to a folder that this class and sentence-transformers load. Raises ValueError if one of `layers` cannot
        be saved."""
        save_modules(Path(folder), self.pooling, self.layers, self.model.config.hidden_size)
        settings = SentenceSettings(
            prompts=self.prompts,
            default_prompt_name=self.default_prompt_name,
            similarity_fn_name=self.similarity_fn_name,
            truncate_dim=self.truncate_dim,
        )
        self._save_encoder(Path(folder), "feature-extraction", settings)

    def get_embedding_dimension(self) -> int:
        """The size of an embedding."""
        size = output_size(self.layers, len(self.pooling.modes) * self.model.config.hidden_size)
        return size if self.truncate_dim is None else min(size, self.truncate_dim)

    def get_sentence_embedding_dimension(self) -> int:
        """`get_embedding_dimension`, by its old name."""
        return self.get_embedding_dimension()

    @overload
    def encode(self, inputs: str | Sequence[Sentence], **options: Unpack[ArrayOptions]) -> Array: ...  # type: ignore[overload-overlap]
    @overload
    def encode(self, inputs: Iterable[Sentence], **options: Unpack[ArrayOptions]) -> Iterator[Array]: ...
    @overload
    def encode(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Tensors: ...
    def encode(self, inputs: Any, **options: Any) -> Any:
        """Compute the embeddings of sentences. A sentence that is too long is truncated.

        Args:
            inputs: a sentence; a list, tuple or array of sentences; or any other iterable, which is read as its
                results are consumed. In a list, a pair of strings is read as one input.
            **options: see below.

        Returns:
            The embedding of a sentence, float32 (D,); of a list, (N, D); of another iterable, an iterator over
            embeddings. Equal sentences have equal embeddings. Token embeddings are arrays (S, H), in a list.
        """
        return self._run(inputs, self._options(**options))

    @overload
    def encode_query(self, inputs: str | Sequence[Sentence], **options: Unpack[ArrayOptions]) -> Array: ...
    @overload
    def encode_query(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Tensors: ...
    def encode_query(self, inputs: Any, **options: Any) -> Any:
        """`encode` with the prompt named "query", if there is one and the call names none."""
        return self.encode(inputs, **self._with_prompt(options, ["query"]))

    @overload
    def encode_document(self, inputs: str | Sequence[Sentence], **options: Unpack[ArrayOptions]) -> Array: ...
    @overload
    def encode_document(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Tensors: ...
    def encode_document(self, inputs: Any, **options: Any) -> Any:
        """`encode` with the prompt named "document", "passage" or "corpus", the first that exists, if the call names
        none."""
        return self.encode(inputs, **self._with_prompt(options, ["document", "passage", "corpus"]))

    def _with_prompt(self, options: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
        if options.get("prompt_name") is None and options.get("prompt") is None:
            options["prompt_name"] = next((name for name in names if name in self.prompts), None)
        return options

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """`encode_document` as LangChain's Embeddings: N texts -> N lists of D numbers."""
        return self.encode_document(list(texts)).tolist()  # type: ignore[no-any-return]

    def embed_query(self, text: str) -> list[float]:
        """`encode_query` as LangChain's Embeddings: a text -> D numbers."""
        return self.encode_query(text).tolist()  # type: ignore[no-any-return]

    def __call__(self, input: Sequence[str]) -> list[Array]:
        """`encode_document` as Chroma's EmbeddingFunction: N texts -> N arrays (D,)."""
        return list(self.encode_document(list(input)))

    def similarity(self, embeddings1: ArrayLike, embeddings2: ArrayLike) -> Array:
        """The similarity of every embedding to every other: (N, D) and (M, D) -> (N, M) float32. One embedding (D,) is
        a row. The result for a torch tensor is a tensor. Raises ValueError: other shapes, or an unknown
        `similarity_fn_name`."""
        return like(embeddings1, similarity(embeddings1, embeddings2, self.similarity_fn_name))

    def similarity_pairwise(self, embeddings1: ArrayLike, embeddings2: ArrayLike) -> Array:
        """The similarity of each embedding to the one with the same index: (N, D) twice -> (N,) float32. The result
        for a torch tensor is a tensor. Raises ValueError: other shapes, or an unknown `similarity_fn_name`."""
        return like(embeddings1, similarity_pairwise(embeddings1, embeddings2, self.similarity_fn_name))

    def __repr__(self) -> str:
        layers = "".join(f", {type(layer).__name__}" for layer in self.layers)
        return (
            f"SentenceEncoder({self.model!r}, {'+'.join(self.pooling.modes)} pooling{layers}, "
            f"{self.get_embedding_dimension()} dimensions, max_seq_length={self.max_seq_length})"
        )

    def _check_call(self, options: SimpleNamespace) -> None:
        super()._check_call(options)
        if options.output_value == "token_embeddings" and options.precision != "float32":
            raise ValueError(f"precision {options.precision} is not supported for token_embeddings, only float32")
        options.truncate_dim = self.truncate_dim if options.truncate_dim is None else options.truncate_dim
        pooled = self.pooling.include_prompt or not options.prompt
        # The prompt's tokens and <s>, but not </s>.
        options.skipped = 0 if pooled else len(self._token_ids("", [options.prompt], None)) - 1

    def _read(self, item: Any, index: int | None, options: SimpleNamespace) -> tuple[int, ...]:
        pair = isinstance(item, tuple | list) and len(item) == 2
        ids = self._token_ids(options.prompt, item if pair else [item], index)
        if len(ids) <= options.skipped:
            # The text is truncated, or its first characters share a token with the end of the prompt.
            raise PipelineException("no tokens are left after the prompt, which is not pooled", index)
        return ids

    def _compute(self, sequences: Sequence[tuple[int, ...]], options: SimpleNamespace) -> list[Array]:
        if options.output_value == "token_embeddings":
            # Copies: a view would keep the hidden states of the whole batch alive.
            return list(map(np.copy, self.model.encode(sequences, [range(len(ids)) for ids in sequences])))
        positions = [self.pooling.positions(len(ids), options.skipped) for ids in sequences]
        embeddings = np.stack(list(map(self.pooling, self.model.encode(sequences, positions), positions)))  # [N, H]
        for layer in self.layers:
            embeddings = layer(embeddings)  # [N, H] -> [N, D]
        embeddings = check_finite(embeddings, "embeddings")[:, : options.truncate_dim]
        return list(normalize(embeddings) if options.normalize_embeddings else embeddings)

    def _finished(self, result: Array, options: SimpleNamespace) -> Array:
        return quantize(result, options.precision)

    def _stacked(self, rows: list[Array], options: SimpleNamespace) -> Array | list[Array]:
        if options.output_value == "token_embeddings":
            return rows
        empty = np.empty((0, self.get_embedding_dimension()), np.float32)[:, : options.truncate_dim]
        return self._finished(np.stack(rows) if rows else empty, options)
