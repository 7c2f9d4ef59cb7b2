import json

import pytest

from distilroberta_np import TrainingError
from distilroberta_np.training.data.labelled import Columns, read_conll, read_squad, read_texts


def write(path, text):
    path.write_bytes(text.encode())
    return path


def rows(path, columns=Columns(), **arguments):  # noqa: B008
    return [(row.text, row.pair, row.label) for row in read_texts(path, columns, **arguments)]


# -- texts -----------------------------------------------------------------------------------------------------------


def test_csv_quoted_over_lines(tmp_path):
    path = write(tmp_path / "a.csv", 'label,text\r\n1,"Ein ""Wort"", und\nnoch eins"\r\n\r\n0,b\r\n')
    found = read_texts(path)
    assert [(row.text, row.label) for row in found] == [('Ein "Wort", und\nnoch eins', "1"), ("b", "0")]
    assert [row.place for row in found] == [f"{path}, line 2", f"{path}, line 5"]


def test_tsv_takes_quotes_as_they_are(tmp_path):
    path = write(tmp_path / "a.tsv", '\ufefftext\tlabel\na " quote\tx\n\u2028b\x0c,\ty\n')
    assert rows(path) == [('a " quote', None, "x"), ("\u2028b\x0c,", None, "y")]


def test_json_lines(tmp_path):
    values = [{"sentence1": "a", "sentence2": "b", "label": 3}, {"sentence1": "c", "sentence2": "d", "label": ["x", 1]}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, values)) + "\n")
    assert rows(path) == [("a", "b", "3"), ("c", "d", ("x", "1"))]


@pytest.mark.parametrize(
    ("header", "columns", "found"),
    [
        ("text,label", Columns(), "0-1"),
        ("score,sentence1,sentence2", Columns(), "120"),
        ("premise,hypothesis,label", Columns(), "012"),
        ("a,b,c", Columns("a", None, "c"), "0-2"),
        ("a,b,c", Columns("c", "a", "b"), "201"),
        ("sentence1,sentence2,label", Columns("sentence1"), "0-2"),  # a text alone, as no pair is asked for
        ("text,label,score", Columns(label="score"), "0-2"),
    ],
)
def test_columns_by_name(tmp_path, header, columns, found):
    cells = ",".join(f"v{place}" for place in range(header.count(",") + 1))
    path = write(tmp_path / "a.csv", f"{header}\n{cells}\n")
    assert rows(path, columns) == [tuple(None if place == "-" else f"v{place}" for place in found)]


def test_columns_by_number(tmp_path):
    path = write(tmp_path / "a.tsv", "a\t1\tid\nb\t2\tid\n")
    assert rows(path, Columns("1", None, "2", header=False)) == [("a", None, "1"), ("b", None, "2")]


@pytest.mark.parametrize(
    ("name", "text", "columns", "message"),
    [
        ("a.csv", "a,label\nx,1\n", Columns(), r"none of its columns \(a, label\) is known as the text.*--text-column"),
        ("a.csv", "text,a\nx,1\n", Columns(), "known as the label, .* say which with --label-column"),
        ("a.csv", "text,label,score\nx,1,1\n", Columns(), "label and score could both be the label"),
        ("a.csv", "text,label\nx,1\n", Columns("words"), "no column 'words'; it has text, label"),
        ("a.csv", "text,text\nx,1\n", Columns(), "line 1: two columns of the header have one name"),
        ("a.tsv", "text\tlabel\nx\t1\ny\n", Columns(), "a.tsv, line 3: 1 columns, and the file has 2"),
        ("a.tsv", "text\tlabel\n \t1\n", Columns(), "a.tsv, line 2: no text in the column text"),
        ("a.csv", "text,text_pair,label\nx,,1\n", Columns(), "line 2: no text in the column text_pair"),
        ("a.csv", 'text,label\n"x,1\n', Columns(), "a.csv, line 2: not CSV"),
        ("a.jsonl", '{"text": "x", "label": true}\n', Columns(), "line 1: True in the column label is no label"),
        ("a.jsonl", '{"text": "x", "label": 1}\n{"text":\n', Columns(), "line 2: not JSON"),
        ("a.jsonl", '{"text": "x", "label": 1}\n{"text": "y"}\n', Columns(), "line 2: None in the column label"),
        ("a.jsonl", "[1]\n", Columns(), "line 1: a line must hold an object, not a list"),
        (
            "a.jsonl",
            '{"text": "x", "text": "y", "label": 1}\n',
            Columns(),
            "line 1: not JSON: an object has the key 'text' twice",
        ),
        ("a.parquet", "", Columns(), "must be .csv, .tsv"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, name, text, columns, message):
    with pytest.raises(TrainingError, match=message):
        read_texts(write(tmp_path / name, text), columns)


def test_other_encodings_and_missing_files(tmp_path):
    (tmp_path / "a.tsv").write_bytes("text\tlabel\né\t1\n".encode("latin-1"))
    with pytest.raises(TrainingError, match=r"a\.tsv, line 2: not UTF-8"):
        read_texts(tmp_path / "a.tsv")
    with pytest.raises(TrainingError, match=r"b\.tsv: no such file"):
        read_texts(tmp_path / "b.tsv")
    with pytest.raises(TrainingError, match="can't be read"):
        read_conll(tmp_path)


def test_bad_rows_can_be_noted_and_left_out(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\nx\t1\ny\n\t2\nz\t3\n")
    noted = []
    assert rows(path, bad=noted.append) == [("x", None, "1"), ("z", None, "3")]
    assert noted == [f"{path}, line 3: 1 columns, and the file has 2", f"{path}, line 4: no text in the column text"]


# -- tagged words ----------------------------------------------------------------------------------------------------


def test_conll(tmp_path):
    path = write(tmp_path / "a.conll", "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n\n\n# \tO\r\na b\tB-X\r\n\t\n")
    found = read_conll(path)
    assert [(sentence.words, sentence.tags) for sentence in found] == [
        (("EU", "rejects"), ("B-ORG", "O")),
        (("#", "a b"), ("O", "B-X")),
    ]
    assert [sentence.place for sentence in found] == [f"{path}, line 3", f"{path}, line 7"]


def test_a_line_without_a_tag(tmp_path):
    path = write(tmp_path / "a.conll", "a\tO\nb\nc\tO\n\nd\tO\n")
    with pytest.raises(TrainingError, match=r"a\.conll, line 2: a line must hold a word and its tag, not 'b'"):
        read_conll(path)
    noted = []
    assert [sentence.words for sentence in read_conll(path, noted.append)] == [("d",)]
    assert len(noted) == 1


# -- questions -------------------------------------------------------------------------------------------------------

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
        ({"question": " "}, "question q1: no text as its question"),
        ({"answers": [{"text": "Berlin", "answer_start": 9}]}, "the answer 'Berlin' is not at character 9"),
        ({"answers": [{"text": "Berlin", "answer_start": -7}]}, "is not at character -7"),
        ({"answers": [{"text": "Berlin"}]}, "must have a text and an answer_start"),
        ({"answers": []}, "must have answers, or say is_impossible"),
        ({"is_impossible": True}, "must have answers, or say is_impossible, and not both"),
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


def test_other_json_than_squads(tmp_path):
    with pytest.raises(TrainingError, match="not in SQuAD's format: it must be an object with a list 'data'"):
        read_squad(write(tmp_path / "a.json", "[]"))
    with pytest.raises(TrainingError, match="a paragraph must be an object with a list 'qas'"):
        read_squad(write(tmp_path / "a.json", '{"data": [{"paragraphs": [{"context": ""}]}]}'))
    with pytest.raises(TrainingError, match="no text as its paragraph's context"):
        read_squad(squad(tmp_path, GOOD, context=None))
