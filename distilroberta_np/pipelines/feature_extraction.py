"""`FeatureExtractionPipeline`: the final hidden state of every token of a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Annotated, Any, Literal, TypeAlias, Unpack, overload

import numpy as np

from ..errors import PipelineException
from ..layers.params import Array
from ..models import RobertaModel
from .base import Pipeline
from .options import (
    SWITCH,
    CallOptions,
    Option,
    as_boolean,
    as_truncation,
    merge_tokenizer_options,
    one_of,
    tokenizer_options,
)
from .truncation import check_length, truncate, truncate_plain

_PADDINGS = one_of(True, False, "longest", "do_not_pad")
# Shape (1, S, H).
NestedLists: TypeAlias = list[list[list[float]]]


def _as_tensors(name: str, value: Any) -> bool:
    if value not in (True, False, "np"):
        raise ValueError(f"{name} must be True, False or 'np', not {value!r:.80}: arrays are NumPy's")
    return bool(value)


class _Options(CallOptions, total=False):
    truncation: Annotated[
        bool | str | None, Option(False, as_truncation, "cut texts that are too long, rather than refuse them", SWITCH)
    ]
    tokenize_kwargs: Annotated[
        Mapping[str, Any] | None, tokenizer_options(1, padding=_PADDINGS, add_special_tokens=as_boolean)
    ]


class FeatureExtractionOptions(_Options, total=False):
    """Options of `FeatureExtractionPipeline`."""

    return_tensors: Annotated[
        bool | str | None, Option(False, _as_tensors, "True or 'np' for NumPy arrays instead of nested lists")
    ]


class FeatureExtractionPipeline(Pipeline[tuple[int, ...], NestedLists | Array]):
    """Return the final hidden states of texts, as transformers' feature-extraction pipeline does."""

    tasks = ("feature-extraction",)
    model_type = RobertaModel
    options_type = FeatureExtractionOptions
    _has_records = False
    model: RobertaModel

    @overload
    def __call__(self, inputs: str, *, return_tensors: Literal[True, "np"], **options: Unpack[_Options]) -> Array: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: Sequence[str], *, return_tensors: Literal[True, "np"], **options: Unpack[_Options]
    ) -> list[Array]: ...
    @overload
    def __call__(self, inputs: str, **options: Unpack[_Options]) -> NestedLists: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Sequence[str], **options: Unpack[_Options]) -> list[NestedLists]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(
        self, inputs: Iterable[str], **options: Unpack[FeatureExtractionOptions]
    ) -> Iterator[NestedLists | Array]: ...
    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Return the final hidden states of the tokens of one text, or of many; `<s>` is the first token and `</s>` the
        last.

        Args:
            inputs: a text; a list or tuple of them; or any other iterable, which is read as its results are consumed.

        Returns:
            For a text of S tokens, nested lists of the shape (1, S, H), or with `return_tensors` a float32 array. For a
            list, a list of those; for another iterable, an iterator over them. (transformers also returns the hidden
            states of padding, for texts computed together.)
        """
        return self._run(inputs, self._options(**options))

    def _prepare(self, options: SimpleNamespace, given: Mapping[str, Any]) -> None:
        nested = merge_tokenizer_options(options, given, "tokenize_kwargs")
        if given.get("truncation") is not None and "truncation" in nested:
            raise ValueError("truncation is given twice, by itself and in tokenize_kwargs; give it once")
        options.add_special_tokens = nested.get("add_special_tokens", getattr(options, "add_special_tokens", True))

    def _read(self, item: Any, index: int | None, options: SimpleNamespace) -> tuple[int, ...]:
        encoding = self._encode(item, index, read="some" if options.truncation else "all")
        limit = self.model.config.max_sequence_length
        length = self.max_length if options.max_length is None else min(options.max_length, limit)
        ids: Sequence[int] = encoding.ids
        side = self.tokenizer.truncation_side
        if not options.add_special_tokens:
            ids = truncate_plain(ids[1:-1], length if options.truncation else len(ids), side)
        elif options.truncation:
            ids = truncate(encoding, length, "longest_first", index, side=side)
        if not ids:
            raise PipelineException("the text is empty, and has no tokens without special tokens", index)
        check_length(ids, limit, "text", index)
        return tuple(ids)

    def _answer(self, sequences: Sequence[tuple[int, ...]], options: SimpleNamespace) -> list[NestedLists | Array]:
        hidden_states = self.model.encode(sequences, [range(len(sequence)) for sequence in sequences])  # [S, H] each
        # Copies: a view would keep the hidden states of all texts alive.
        return [np.array(rows[None]) if options.return_tensors else [rows.tolist()] for rows in hidden_states]
