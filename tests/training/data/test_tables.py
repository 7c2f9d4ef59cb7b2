import csv
import json

import pytest

from distilroberta_np import TrainingError
from distilroberta_np.training.data.tables import Columns, read_table


def write(path, text):
    path.write_bytes(text.encode())
    return path


def rows(path, columns=Columns(), **arguments):  # noqa: B008
    return [(row.text, row.pair, row.label) for row in read_table(path, columns, **arguments)]


def test_csv_quoted_over_lines(tmp_path):
    path = write(tmp_path / "a.csv", 'label,text\r\n1,"Ein ""Wort"", und\nnoch eins"\r\n\r\n0,b\r\n')
    found = read_table(path)
    assert [(row.text, row.label) for row in found] == [('Ein "Wort", und\nnoch eins', "1"), ("b", "0")]
    assert [row.location for row in found] == [f"{path}, line 2", f"{path}, line 5"]


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
        ("sentence1,sentence2,label", Columns("sentence1"), "0-2"),  # a text alone, as no pair is named
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
        (
            "a.csv",
            "a,label\nx,1\n",
            Columns(),
            "no text column among a, label; name it text, .* with --text-column",
        ),
        (
            "a.csv",
            "text,a\nx,1\n",
            Columns(),
            "no label column among text, a; name it label, labels or score",
        ),
        ("a.csv", "text,label,score\nx,1,1\n", Columns(), "label and score could both be the label"),
        ("a.csv", "text,label\nx,1\n", Columns("words"), "no column 'words'; the file has text, label"),
        ("a.csv", "text,text\nx,1\n", Columns(), "line 1: the header names a column twice"),
        ("a.tsv", "text\tlabel\nx\t1\ny\n", Columns(), "a.tsv, line 3: 1 columns, but the file has 2"),
        ("a.tsv", "text\tlabel\n \t1\n", Columns(), "a.tsv, line 2: no text in the column text"),
        ("a.csv", "text,text_pair,label\nx,,1\n", Columns(), "line 2: no text in the column text_pair"),
        ("a.csv", 'text,label\n"x,1\n', Columns(), "a.csv, line 2: not CSV"),
        ("a.jsonl", '{"text": "x", "label": true}\n', Columns(), "line 1: True in the column label is not a label"),
        ("a.jsonl", '{"text": "x", "label": 1}\n{"text":\n', Columns(), "line 2: not JSON"),
        ("a.jsonl", '{"text": "x", "label": 1}\n{"text": "y"}\n', Columns(), "line 2: None in the column label"),
        ("a.jsonl", "[1]\n", Columns(), "item 1: must be an object, not int"),
        (
            "a.jsonl",
            '{"text": "x", "text": "y", "label": 1}\n',
            Columns(),
            "line 1: not JSON: an object has the key 'text' twice",
        ),
        ("a.parquet", "", Columns(), "unknown kind of file; the name must end in .csv, .tsv"),
    ],
)
def test_errors_name_the_line(tmp_path, name, text, columns, message):
    with pytest.raises(TrainingError, match=message):
        read_table(write(tmp_path / name, text), columns)


def test_other_encodings_and_missing_files(tmp_path):
    (tmp_path / "a.tsv").write_bytes("text\tlabel\né\t1\n".encode("latin-1"))
    with pytest.raises(TrainingError, match=r"a\.tsv, line 2: not UTF-8"):
        read_table(tmp_path / "a.tsv")
    with pytest.raises(TrainingError, match=r"b\.tsv: no such file"):
        read_table(tmp_path / "b.tsv")
    with pytest.raises(TrainingError, match="not a regular file"):
        read_table(tmp_path.rename(tmp_path.with_suffix(".csv")))


def test_bad_rows_can_be_reported_and_skipped(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\nx\t1\ny\n\t2\nz\t3\n")
    noted = []
    assert rows(path, bad=noted.append) == [("x", None, "1"), ("z", None, "3")]
    assert noted == [f"{path}, line 3: 1 columns, but the file has 2", f"{path}, line 4: no text in the column text"]


# -- read as their authors meant them --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "text;label\nHello, you;1\nNo;0\n",
    "sep=;\ntext;label\nHello, you;1\nNo;0\n",
    "text\tlabel\nHello, you\t1\nNo\t0\n",
    "text|label\nHello, you|1\nNo|0\n",
    'text,label\n"Hello, you",1\nNo,0\n',
    '"text";"label"\r\n"Hello, you";1\r\n"No";0\r\n',
])  # fmt: skip
def test_delimiters_of_csv(tmp_path, text):
    assert rows(write(tmp_path / "a.csv", text)) == [("Hello, you", None, "1"), ("No", None, "0")]


def test_delimiters_without_a_header(tmp_path):
    path = write(tmp_path / "a.csv", "Hello, you;1\nNo;0\n")
    assert rows(path, Columns("1", None, "2", header=False)) == [("Hello, you", None, "1"), ("No", None, "0")]


def test_the_line_that_names_the_delimiter_is_counted(tmp_path):
    path = write(tmp_path / "a.csv", "sep=;\ntext;label\nx;1;2\n")
    with pytest.raises(TrainingError, match=r"a\.csv, line 3: 3 columns, but the file has 2"):
        read_table(path)


def test_long_cells(tmp_path):
    """Longer than the limit of Python's csv, which stays as it was."""
    limit = csv.field_size_limit()
    long = "word " * 100_000
    assert rows(write(tmp_path / "a.csv", f'text,label\n"{long}",1\n')) == [(long, None, "1")]
    assert rows(write(tmp_path / "b.csv", f"label;text\n1;{long}\n")) == [(long, None, "1")]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_objects(tmp_path, name, indent):
    values = [{"text": "a", "label": 1}, {"text": "b", "label": ["x", "y"]}]
    path = write(tmp_path / name, json.dumps(values, indent=indent))
    assert rows(path) == [("a", None, "1"), ("b", None, ("x", "y"))]
    assert read_table(path)[1].location == f"{path}, item 2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"text": "x", "label": 1.5}\n{"text": "y", "label": NaN}\n', "a.jsonl, line 2: not JSON: NaN is not a JSON"),
        ('{"text": "x", "label": -Infinity}\n', "a.jsonl, line 1: not JSON: -Infinity is not a JSON value"),
        ('[{"text": "x", "label": 1.5},\n {"text": "y", "label": NaN}]', "a.jsonl: not JSON: NaN"),
        (
            '{\n "text": "x",\n "label": 1\n}\n',
            "a JSON value over several lines; write an object per line, or an array",
        ),
        ('[{"text": "x", "label": 1}, 3]', "a.jsonl, item 2: must be an object, not int"),
        ("[" * 100_000, "a.jsonl: not JSON: "),
        ('{"a":' * 100_000, "a.jsonl, line 1: not JSON: "),
    ],
)
def test_json_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(TrainingError, match=message):
        read_table(write(tmp_path / "a.jsonl", text))
