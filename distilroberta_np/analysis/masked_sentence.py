"""A sentence with one mask and the answer under study: the input of the tools in this folder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import PipelineException
from ..layers.params import Array
from ..pipelines.fill_mask import FillMaskPipeline


class MaskedSentence(NamedTuple):
    """A tokenized sentence of S tokens, `<s>` and `</s>` included."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]  # as text, with the space before each
    mask: int  # the position of the mask


def read_sentence(unmasker: FillMaskPipeline, text: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the ids and the tokens of a text. Raises PipelineException if it is too long for the model, TypeError if
    it is not a string, and TokenizerError if it contains a lone surrogate."""
    ids = tuple(unmasker.tokenizer.encode(text))
    if len(ids) > unmasker.max_length:
        raise PipelineException(
            f"the text has {len(ids)} tokens, more than the model's {unmasker.max_length}; shorten it"
        )
    return ids, tuple(unmasker.tokenizer.decode([token]) for token in ids)


def read_masked_sentence(unmasker: FillMaskPipeline, text: str) -> MaskedSentence:
    """Return a text with one mask, tokenized. Raises PipelineException if it has no mask or several, and as
    `read_sentence`."""
    ids, tokens = read_sentence(unmasker, text)
    count = ids.count(unmasker.tokenizer.mask_token_id)
    if count != 1:
        mask = unmasker.tokenizer.mask_token
        raise PipelineException(f"the text has {count or 'no'} {mask}; write exactly one where a word is missing")
    return MaskedSentence(ids, tokens, ids.index(unmasker.tokenizer.mask_token_id))


def find_target(unmasker: FillMaskPipeline, target: str) -> int:
    """Return the id of a word that is one token: "nurse" and " nurse" are the same word, with a space before it. Raises
    ValueError if the word has several tokens, or none."""
    for spelling in (f" {target.strip()}", target) if target.strip() else ():
        ids = unmasker.tokenizer.encode(spelling, add_special_tokens=False)
        if len(ids) == 1:
            return ids[0]
    raise ValueError(f"the target {target!r} is not a single token of this model; choose another word")


def log_softmax(logits: Array) -> Array:
    """Return natural log-probabilities in float64. Shapes: (..., V) -> (..., V)."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted
