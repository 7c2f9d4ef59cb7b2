import copy
import re

import pytest

from distilroberta_np import pipeline
from distilroberta_np.analysis.published import compare, read_goldens
from tests.support.seeded import seeded_pipeline


def test_the_published_model_agrees(published_weights):
    comparisons = list(compare(pipeline("fill-mask", published_weights), read_goldens()))
    assert len(comparisons) == 15 + 6 + 6
    assert [comparison for comparison in comparisons if not comparison.ok] == []


@pytest.fixture(scope="module")
def unmasker(tmp_path_factory):
    return seeded_pipeline(tmp_path_factory.mktemp("model"))


@pytest.fixture
def goldens(unmasker):
    """A small model's own answers, as goldens.json has the published ones."""
    ids = unmasker.tokenizer.encode("the cat")
    hidden_states = unmasker.model.roberta([ids]).last_hidden_state
    card = [{"input": text, "output": unmasker(text, top_k=3)} for text in ("the <mask>", "a<mask> cat")]
    elsewhere = {"input": "on <mask>", "output": unmasker("on <mask>", top_k=2), "score_atol": 1e-3}
    for prediction in elsewhere["output"]:
        del prediction["sequence"]
    encoder = {
        "input": "the cat",
        "ids": ids,
        "shape": list(hidden_states.shape),
        "atol": 1e-4,
        "last_hidden_state[0,0,:4]": hidden_states[0, 0, :4].tolist(),
        "last_hidden_state[0,1,-4:]": hidden_states[0, 1, -4:].tolist(),
    }
    return {"model_card": card, "elsewhere": [elsewhere], "encoder": encoder}


def failures(unmasker, goldens):
    return [index for index, comparison in enumerate(compare(unmasker, goldens)) if not comparison.ok]


def test_equal_values_agree(unmasker, goldens):
    comparisons = list(compare(unmasker, goldens))
    assert len(comparisons) == 2 * 3 + 2 + 4
    assert all(comparison.ok for comparison in comparisons)


def test_a_comparison_shows_both_values(unmasker, goldens):
    goldens["model_card"][0]["output"][0]["token_str"] = " dog"
    first, *_, last = compare(unmasker, goldens)
    assert first.what == "the <mask> #1"
    assert first.expected.endswith(" ' dog'")
    assert re.fullmatch(r"0\.\d{6} \d+ '.+'", first.ours)
    assert last.what == "the cat: last_hidden_state[0,1,-4:]"
    assert last.expected == last.ours


@pytest.mark.parametrize(("key", "value"), [("token", 0), ("token_str", "?"), ("sequence", "?"), ("score", 2.0)])
def test_a_different_value_of_a_prediction_is_reported(unmasker, goldens, key, value):
    goldens["model_card"][1]["output"][2][key] = value
    assert failures(unmasker, goldens) == [5]


def test_a_different_order_is_reported(unmasker, goldens):
    goldens["model_card"][0]["output"].reverse()
    assert failures(unmasker, goldens) == [0, 2]


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_agree_within_their_tolerance_only(unmasker, goldens, sign):
    for section, row, atol in (("model_card", 0, 2e-4), ("elsewhere", 6, 1e-3)):
        for part, expected in ((0.9, []), (1.1, [row])):
            changed = copy.deepcopy(goldens)
            changed[section][0]["output"][0]["score"] += sign * part * atol
            assert failures(unmasker, changed) == expected


@pytest.mark.parametrize(
    ("key", "index", "change", "row"),
    [
        ("ids", 1, 1, 8),
        ("shape", 1, 1, 9),
        ("last_hidden_state[0,0,:4]", 0, -1.1e-4, 10),
        ("last_hidden_state[0,1,-4:]", 3, 1.1e-4, 11),
    ],
)
def test_a_different_encoder_is_reported(unmasker, goldens, key, index, change, row):
    goldens["encoder"][key][index] += change
    assert row in failures(unmasker, goldens)


def test_the_package_has_the_published_values():
    goldens = read_goldens()
    assert sum(len(example["output"]) for example in goldens["model_card"]) == 15
    assert goldens["checkpoint"]["repo"] == "distilbert/distilroberta-base"
