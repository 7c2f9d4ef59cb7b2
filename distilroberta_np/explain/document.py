"""From a loaded model and a sentence to the page."""

from __future__ import annotations

from typing import Any

from ..analysis import ablate, attribute, patch
from ..analysis.masked_sentence import read_masked_sentence
from ..pipelines.fill_mask import FillMaskPipeline
from ..reference.bpe import Tokenizer
from ..reference.checkpoint import nested
from .page import render
from .walk import rounded, walk

# Leaving out heads and tokens runs the model once for each of them.
MOST_TOKENS_TO_ASK_WHY = 128


def explain(unmasker: FillMaskPipeline, text: str, compare: str | None = None) -> str:
    """Return the page that walks a sentence through the model, as one HTML file without a network.

    `compare` is a second sentence with the same number of tokens and its mask at the same position; the page then shows
    both, and which hidden states carry their difference.

    Raises PipelineException: a sentence has no mask or several, is too long, or the two do not match.
    """
    texts = [text] if compare is None else [text, compare]
    compared = None
    if compare is not None:  # which hidden states of the second sentence move the first one towards it
        patching = patch(unmasker, text, compare)
        compared = {
            "target": patching.target,
            "log_probability": patching.log_probability,
            "source_log_probability": patching.source_log_probability,
            "states": ["embeddings", *(f"layer {layer}" for layer in range(1, len(patching.log_probabilities)))],
            "effects": rounded(patching.effects, 3),
        }
    tokenizer = Tokenizer(unmasker.tokenizer.to_json())
    params, config = nested(unmasker.model.state_dict()), unmasker.model.config.to_dict()
    pages = []
    for each in texts:
        sentence = read_masked_sentence(unmasker, each)
        offsets = unmasker.tokenizer.encoding(each).offsets
        page = walk(each, sentence.ids, offsets, sentence.mask, tokenizer, params, config)
        if len(sentence.ids) <= MOST_TOKENS_TO_ASK_WHY:
            page["why"] = _why(unmasker, each)
        else:
            page["left_out"].append(
                f"Heads and tokens left out, and attributions: they are computed for at most {MOST_TOKENS_TO_ASK_WHY} "
                f"tokens, and the sentence has {len(sentence.ids)}."
            )
        pages.append(page)
    return render({"pages": pages, "compare": compared}, text)


def _why(unmasker: FillMaskPipeline, text: str) -> dict[str, Any]:
    """What the answer depends on, by the tools of `analysis`."""
    ablation, attribution = ablate(unmasker, text), attribute(unmasker, text)
    return {
        "answer": ablation.target,
        "log_probability": ablation.log_probability,
        "heads": rounded(ablation.heads, 4),
        "feed_forward": rounded(ablation.feed_forward, 4),
        "tokens": rounded(ablation.left_out, 4),
        "gradient_times_input": rounded(attribution.gradient_times_input, 4),
        "integrated_gradients": rounded(attribution.integrated_gradients, 4),
        "difference": attribution.log_probability - attribution.baseline_log_probability,
        "completeness_error": attribution.completeness_error,
    }
