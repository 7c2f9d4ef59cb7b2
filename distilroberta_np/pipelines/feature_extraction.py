"""`FeatureExtractionPipeline`: texts in, the vectors of their tokens out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import PipelineException
from ..models import RobertaModel
from ..tokenizer import RobertaTokenizer
from .base import Pipeline, as_boolean, as_integer, as_truncation
from .truncation import truncate

_PADDING = (True, False, "longest", "do_not_pad")


@dataclass(frozen=True)
class Options:
    """The arguments of a call, checked. `FeatureExtractionPipeline.__call__` says what they mean."""

    batch_size: int | None = None
    truncation: bool = False
    max_length: int | None = None
    add_special_tokens: bool = True
    return_tensors: bool = False


class FeatureExtractionPipeline(Pipeline):
    """Gives the last layer's vectors, as transformers' feature-extraction pipeline does.

    Args:
        model: the encoder.
        tokenizer: its tokenizer.
        **parameters: defaults for the keyword arguments of `__call__`.

    Raises:
        PipelineException: model and tokenizer don't belong together.
    """

    task = "feature-extraction"

    def __init__(self, model: RobertaModel, tokenizer: RobertaTokenizer, **parameters: Any) -> None:
        super().__init__(model, tokenizer)
        self._defaults = Options()
        self._defaults = self._parameters(**parameters)

    def __call__(
        self,
        inputs: str | Iterable[str],
        *,
        truncation: bool | str | None = None,
        tokenize_kwargs: Mapping[str, Any] | None = None,
        return_tensors: bool | str | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """The vectors of the tokens of one text, or of many; those of `<s>` and `</s>` are the first and the last.

        Args:
            inputs: a text; a list or tuple of them; or any other iterable, which is read as its results are asked for.
            truncation: cut a text of too many tokens instead of refusing it.
            tokenize_kwargs: `truncation`, `max_length` (in tokens, and by itself enough to cut) and
                `add_special_tokens` as transformers takes them; `padding` is let through, and changes no answer.
            return_tensors: True or "np" for NumPy arrays in the place of nested lists. There are no others here.
            batch_size: how many texts of an iterator are read ahead, to be computed together; 1 if None. Lists don't
                need it. (In the reference, answers to texts computed together have the vectors of their padding too.)

        Returns:
            For a text of S tokens, nested lists of the shape (1, S, H), or a float32 array. For a list, a list of
            those; for another iterable, an iterator over them.

        Raises:
            PipelineException: a text is too long; its `index` says which. Of a list, nothing is computed then; of an
                iterator, the texts before it are answered first.
            TypeError: an input or argument of the wrong type.
            ValueError: an argument out of range, or given twice.
        """
        options = self._options(
            truncation=truncation,
            tokenize_kwargs=tokenize_kwargs,
            return_tensors=return_tensors,
            batch_size=batch_size,
        )
        return self._run(inputs, options)

    # -- arguments ---------------------------------------------------------------------------------------------

    def _options(self, **parameters: Any) -> Options:
        return self._parameters(**parameters)

    def _parameters(
        self,
        *,
        truncation: bool | str | None = None,
        tokenize_kwargs: Mapping[str, Any] | None = None,
        return_tensors: bool | str | None = None,
        batch_size: int | None = None,
    ) -> Options:
        """The arguments of a call on top of the pipeline's defaults. None means: as the default."""
        options = self._defaults
        if not isinstance(tokenize_kwargs, Mapping | None):
            raise TypeError(f"tokenize_kwargs must be a dict, not {tokenize_kwargs!r:.80}")
        rest = dict(tokenize_kwargs or {})
        if truncation is not None and "truncation" in rest:
            raise ValueError("truncation is given twice, by itself and in tokenize_kwargs; give it once")
        truncation = rest.pop("truncation", truncation)
        max_length = rest.pop("max_length", None)
        special = rest.pop("add_special_tokens", None)
        padding = rest.pop("padding", False)
        if rest:
            raise TypeError(
                "tokenize_kwargs: only truncation, max_length, add_special_tokens and padding are known, not "
                f"{', '.join(map(str, rest))}"
            )
        if padding not in _PADDING:
            raise ValueError(f"padding must be one of {', '.join(map(repr, _PADDING))}, not {padding!r:.80}")
        if max_length is not None:
            options = replace(options, max_length=as_integer("max_length", max_length, smallest=1))
        if truncation is not None or max_length is not None:
            options = replace(options, truncation=truncation is None or as_truncation(truncation))
        if special is not None:
            options = replace(options, add_special_tokens=as_boolean("add_special_tokens", special))
        if return_tensors is not None:
            if return_tensors not in (True, False, "np"):
                raise ValueError(f"return_tensors must be True, False or 'np', not {return_tensors!r}: this is NumPy")
            options = replace(options, return_tensors=bool(return_tensors))
        if batch_size is not None:
            options = replace(options, batch_size=as_integer("batch_size", batch_size, smallest=1))
        return options

    # -- reading -----------------------------------------------------------------------------------------------

    def _read(self, item: Any, index: int | None, options: Options) -> list[int]:
        encoding = self._encode(item, index)
        longest = self.model.config.max_sequence_length
        length = self.max_length if options.max_length is None else min(options.max_length, longest)
        ids: list[int] = encoding.ids
        if not options.add_special_tokens:
            ids = ids[1:-1][: length if options.truncation else None]
        elif options.truncation:
            try:
                ids = truncate(encoding, length, "longest_first")
            except ValueError as error:
                raise PipelineException(str(error), index) from None
        if not ids:
            raise PipelineException("the text is empty, and without special tokens nothing of it is left", index)
        if len(ids) > longest:
            raise PipelineException(
                f"the text has {len(ids)} tokens and the model reads at most {longest}; shorten it, or have it cut "
                "with truncation=True",
                index,
            )
        return ids

    # -- answering ---------------------------------------------------------------------------------------------

    def _answer(self, sequences: list[list[int]], options: Options) -> list[Any]:
        if not sequences:
            return []
        places = [range(len(sequence)) for sequence in sequences]
        vectors = self.model.encode(sequences, places)  # [S, H] each
        # Copies: a view would keep the vectors of all texts computed together.
        return [np.array(rows[None]) if options.return_tensors else [rows.tolist()] for rows in vectors]
