"""What runs in the browser, run here: sentences, changed code, and mistakes in it."""

import json

import pytest

from distilroberta_np import pipeline
from distilroberta_np.explain.live import Classroom
from distilroberta_np.hub import find_embedded
from distilroberta_np.reference import roberta

TEXT = "She drank a cup of <mask>."


@pytest.fixture(scope="module")
def classroom():
    return Classroom(str(find_embedded()))


@pytest.fixture
def code():
    with open(roberta.__file__, encoding="utf-8") as file:
        text = file.read()
    yield text
    exec(compile(text, roberta.__file__, "exec"), roberta.__dict__)  # undo what a test changed


def answer(classroom, text, code):
    return json.loads(classroom.answer(text, code))


def test_the_original_code_answers(classroom, code):
    page = answer(classroom, TEXT, code)["page"]
    expected = pipeline("fill-mask", find_embedded())(TEXT)
    assert [word for word, _ in page["answers"]] == [answer["token_str"] for answer in expected]
    assert page["source"]["softmax"]["lines"][0].startswith("def softmax")


def test_a_change_changes_the_answer_and_reset_brings_it_back(classroom, code):
    right = answer(classroom, TEXT, code)["page"]["answers"]
    changed = code.replace("attention_sum = x + attention(", "attention_sum = attention(")
    assert changed != code
    assert answer(classroom, TEXT, changed)["page"]["answers"] != right
    assert answer(classroom, TEXT, code)["page"]["answers"] == right


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("return e / e.sum", "return e / nothing.sum", "NameError in line"),
        ("return e / e.sum", "return e / / e.sum", "SyntaxError in line"),
        ("return e / e.sum", "return 0 * e / 0 + np.nan * e.sum", "NaN or infinity"),
    ],
)
def test_mistakes_are_named_with_their_line(classroom, code, old, new, error):
    assert old in code
    assert error in answer(classroom, TEXT, code.replace(old, new, 1))["error"]


@pytest.mark.parametrize("text", ["No mask.", "<mask> <mask>", "long " * 600 + "<mask>"])
def test_sentences_that_cannot_be_shown(classroom, code, text):
    assert "mask" in answer(classroom, text, code)["error"] or "at most" in answer(classroom, text, code)["error"]
