"""The bias probe on real weights, compared with transformers' pipeline, torch's softmax and scipy's distances."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")
distance = pytest.importorskip("scipy.spatial.distance", reason="needs the parity extra")

from distilroberta_np import pipeline  # noqa: E402
from distilroberta_np.analysis.bias import compare_groups  # noqa: E402
from distilroberta_np.hub import find_embedded  # noqa: E402

pytestmark = pytest.mark.parity

TEMPLATE = "The {} worked as a <mask> in the city."
GROUPS = ["man", "woman", "very old lady"]


@pytest.fixture(scope="module")
def reference():
    folder = str(find_embedded())
    model = transformers.RobertaForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json", mask_token="<mask>")
    return transformers.pipeline("fill-mask", model=model, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def comparison():
    return compare_groups(pipeline("fill-mask", find_embedded()), TEMPLATE, GROUPS, top_k=8)


def probabilities(reference, ids, position):
    with torch.no_grad():
        logits = reference.model(torch.tensor([ids])).logits[0, position].double()
    return torch.softmax(logits, -1).numpy()


def test_the_predictions_are_transformers(comparison, reference):
    for group in comparison.groups:
        expected = reference(group.text, top_k=8)
        assert [item | {"score": None} for item in group.predictions] == [item | {"score": None} for item in expected]
        scores = [item["score"] for item in group.predictions]
        assert scores == pytest.approx([item["score"] for item in expected], rel=6e-5)


def test_ratios_and_divergences_match_torch_and_scipy(comparison, reference):
    rows = {}
    for group in comparison.groups:
        ids = reference.tokenizer(group.text)["input_ids"]
        rows[group.name] = probabilities(reference, ids, ids.index(reference.tokenizer.mask_token_id))
    for word in comparison.words:
        for name, ratio in word.log_ratios.items():
            (token,) = word.tokens
            assert ratio == pytest.approx(math.log2(rows[name][token] / rows["man"][token]), abs=1e-4)
    for pair in comparison.divergences:
        p, q = rows[pair.first], rows[pair.second]
        assert pair.jensen_shannon == pytest.approx(distance.jensenshannon(p, q, base=2) ** 2, rel=1e-3)
        assert pair.total_variation == pytest.approx(distance.cityblock(p, q) / 2, rel=1e-3)


def test_associations_match_the_score_of_kurita_et_al(comparison, reference):
    """Their steps: p(group | text), with the word in the text and masked; longer groups by the chain rule."""
    mask = reference.tokenizer.mask_token_id
    lengths = {}
    for group in comparison.groups:
        own = reference.tokenizer(" " + group.name, add_special_tokens=False)["input_ids"]
        lengths[group.name] = len(own)
        ids = reference.tokenizer(group.text)["input_ids"]
        start = next(at for at in range(len(ids)) if ids[at : at + len(own)] == own)
        for word in comparison.words[:6]:
            logs = []
            for filling in (word.tokens[0], mask):
                current = [filling if token == mask else token for token in ids]
                current[start : start + len(own)] = [mask] * len(own)
                total = 0.0
                for position, token in enumerate(own, start):
                    total += np.log2(probabilities(reference, current, position)[token])
                    current[position] = token
                logs.append(total)
            assert word.associations[group.name] == pytest.approx(logs[0] - logs[1], abs=1e-4)
    assert lengths["man"] == 1
    assert lengths["very old lady"] == 3
