import json

import pytest

from distilroberta_np import TrainingError
from distilroberta_np.training.data.questions import read_squad


def write(path, text):
    path.write_bytes(text.encode())
    return path


GOOD = {"id": "q1", "question": "Where?", "answers": [{"text": "Berlin", "answer_start": 10}]}


def squad(tmp_path, *entries, context="I live in Berlin."):
    values = {"version": "1", "data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(entries)}]}]}
    return write(tmp_path / "a.json", json.dumps(values))


def test_squad_with_and_without_answers(tmp_path):
    none = {"id": "q2", "question": "When?", "answers": [], "is_impossible": True}
    first, second = read_squad(squad(tmp_path, GOOD | {"is_impossible": False}, none))
    assert (first.question, first.context, first.answers) == ("Where?", "I live in Berlin.", (("Berlin", 10),))
    assert (second.id, second.answers) == ("q2", ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": " "}, "question q1: the question has no text"),
        ({"answers": [{"text": "Berlin", "answer_start": 9}]}, "the answer 'Berlin' is not at character 9"),
        ({"answers": [{"text": "Berlin", "answer_start": -7}]}, "is not at character -7"),
        ({"answers": [{"text": "Berlin"}]}, "must have a text and an answer_start"),
        ({"answers": []}, "must either have answers or be is_impossible"),
        ({"is_impossible": True}, "must either have answers or be is_impossible"),
        ({"is_impossible": "no"}, "must be true or false"),
    ],
)
def test_questions_that_cannot_be_used(tmp_path, changes, message):
    path = squad(tmp_path, GOOD | changes, GOOD | {"id": "q3"})
    with pytest.raises(TrainingError, match=message):
        read_squad(path)
    noted = []
    assert [question.id for question in read_squad(path, noted.append)] == ["q3"]
    assert len(noted) == 1


def test_json_in_another_format(tmp_path):
    with pytest.raises(TrainingError, match=r"a\.json: not JSON: Expecting property name"):
        read_squad(write(tmp_path / "a.json", "{"))
    with pytest.raises(TrainingError, match="not in SQuAD's format: it must be an object with a list 'data'"):
        read_squad(write(tmp_path / "a.json", "[]"))
    with pytest.raises(TrainingError, match="a paragraph must be an object with a list 'qas'"):
        read_squad(write(tmp_path / "a.json", '{"data": [{"paragraphs": [{"context": ""}]}]}'))
    with pytest.raises(TrainingError, match="the paragraph's context has no text"):
        read_squad(squad(tmp_path, GOOD, context=None))
