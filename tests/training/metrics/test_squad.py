"""SQuAD's measures: by hand, by the official script's definition, and as transformers 4 computed them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distilroberta_np.training.metrics.squad import exact_match, f1, normalize_answer, squad_scores

RECORDED = json.loads(
    (Path(__file__).parents[3] / "tests" / "data" / "question_answering.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Duke", "duke"),
        ("  an   apple a\tday ", "apple day"),
        ("the", ""),
        ("theatre, Athens; another", "theatre athens another"),
        ("a.b", "ab"),  # punctuation goes before articles, and leaves no space
        ("A-frame", "aframe"),
        ('the-end of "the" end', "theend of end"),
        ("«été» – 1,743", "«été» – 1743"),  # only ASCII's punctuation
        ("", ""),
    ],
)
def test_normal_form(text, normal):
    assert normalize_answer(text) == normal


@pytest.mark.parametrize(
    ("predicted", "expected", "exact", "score"),
    [
        ("the Duke.", "duke", 1, 1),
        ("the old duke", "duke", 0, 2 / 3),  # precision 1/2, recall 1
        ("duke of the river", "the duke of york", 0, 2 / 3),  # 2 of 3 words on either side
        ("bridge bridge mill", "bridge", 0, 1 / 2),  # a word counts as often as both have it: 1/3 and 1
        ("river", "bridge", 0, 0),
        ("", "", 1, 1),
        ("the", "", 1, 1),
        ("", "duke", 0, 0),
        ("duke", "", 0, 0),
    ],
)
def test_one_answer(predicted, expected, exact, score):
    assert exact_match(predicted, expected) == exact
    assert f1(predicted, expected) == pytest.approx(score, abs=1e-12)
    assert f1(expected, predicted) == f1(predicted, expected)


REFERENCES = {"1": ["the duke", "old duke of the town"], "2": ["1743"], "3": [], "4": [], "5": ["the"]}
PREDICTIONS = {"1": "old duke", "2": "", "3": "", "4": "never", "5": "", "other": "x"}


def test_the_best_of_several_answers_counts_and_the_parts_are_scored_apart():
    scores = squad_scores(PREDICTIONS, REFERENCES)
    # 1: by "duke" 2 * 1/2 / (3/2) = 2/3, by "old duke of town" 2 * 1 * 1/2 / (3/2) = 2/3. 5 has an answer that is none.
    assert scores == pytest.approx(
        {
            "exact": 40,
            "f1": 100 * (2 / 3 + 2) / 5,
            "total": 5,
            "HasAns_exact": 100 / 3,
            "HasAns_f1": 100 * (2 / 3 + 1) / 3,
            "HasAns_total": 3,
            "NoAns_exact": 50,
            "NoAns_f1": 50,
            "NoAns_total": 2,
        }
    )


def test_one_part_alone():
    assert set(squad_scores({"a": "x"}, {"a": ["x"]})) == {
        *("exact", "f1", "total", "HasAns_exact", "HasAns_f1", "HasAns_total")
    }
    assert "HasAns_exact" not in squad_scores({"a": "x"}, {"a": []})


def test_questions_that_cannot_be_scored():
    with pytest.raises(ValueError, match="no questions"):
        squad_scores({}, {})
    with pytest.raises(ValueError, match="1 of 2 questions have no prediction, the first of them 'b'"):
        squad_scores({"a": "x"}, {"a": [], "b": []})


@pytest.mark.parametrize("case", RECORDED["squad_metrics"], ids=lambda case: len(case[0]))
def test_as_transformers_4_computes_it(case):
    references, predictions, recorded = case
    assert squad_scores(predictions, references) == pytest.approx(recorded, abs=1e-9)
