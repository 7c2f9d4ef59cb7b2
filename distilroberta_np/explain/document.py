"""From a loaded model and a sentence to the page."""

from __future__ import annotations

from typing import Any

from ..errors import ExplainError
from ..pipelines.fill_mask import FillMaskPipeline
from ..reference.bpe import Tokenizer
from ..reference.checkpoint import nested
from .page import render
from .walk import walk


def explain(unmasker: FillMaskPipeline, text: str, compare: str | None = None) -> str:
    """Return the page that walks a sentence through the model, as one HTML file without a network.

    Args:
        unmasker: the model, with its tokenizer.
        text: a sentence with one mask token.
        compare: a second sentence of as many tokens, for a page with the two side by side.

    Raises:
        ExplainError: a sentence has no mask or several, is too long, or the two differ in length.
    """
    texts = [text] if compare is None else [text, compare]
    encodings = [_encode(unmasker, sentence) for sentence in texts]
    if compare is not None and len(encodings[0].ids) != len(encodings[1].ids):
        raise ExplainError(
            f"the sentences have {len(encodings[0].ids)} and {len(encodings[1].ids)} tokens; to compare them, "
            "they must have the same number"
        )
    model, tokenizer = unmasker.model, Tokenizer(unmasker.tokenizer.to_json())
    params, config = nested(model.state_dict()), model.config.to_dict()
    mask_id = unmasker.tokenizer.mask_token_id
    pages = [
        walk(sentence, encoding.ids, encoding.offsets, encoding.ids.index(mask_id), tokenizer, params, config)
        for sentence, encoding in zip(texts, encodings, strict=True)
    ]
    return render({"pages": pages, "compare": None}, text)


def _encode(unmasker: FillMaskPipeline, text: str) -> Any:
    """The tokens of a sentence with one mask. Raises ExplainError."""
    mask = unmasker.tokenizer.mask_token
    encoding = unmasker.tokenizer.encode(text)
    count, limit = encoding.ids.count(unmasker.tokenizer.mask_token_id), unmasker.max_length
    if count != 1:
        raise ExplainError(f"{text!r:.80} has {count or 'no'} {mask}; write exactly one where a word is missing")
    if len(encoding.ids) > limit:
        raise ExplainError(f"the sentence has {len(encoding.ids)} tokens; the model reads at most {limit}")
    return encoding
