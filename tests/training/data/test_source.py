import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from distilroberta_np import TrainingError
from distilroberta_np.training.data.conll import read_conll
from distilroberta_np.training.data.questions import read_squad
from distilroberta_np.training.data.source import parse_json, read_lines, read_text
from distilroberta_np.training.data.tables import read_table
from distilroberta_np.training.data.text import read_paragraphs

READERS = {"a.csv": read_table, "a.tsv": read_table, "a.jsonl": read_table, "a.conll": read_conll, "a.json": read_squad,
           "a.txt": lambda path: list(read_paragraphs([path]))}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_with_a_byte_order_mark_and_line_ends(tmp_path, encoding, end):
    (tmp_path / "a.txt").write_bytes(f"Été{end}🙂{end}".encode(encoding))
    assert read_text(tmp_path / "a.txt") == "Été\n🙂\n"
    assert list(read_lines(tmp_path / "a.txt")) == ["Été", "🙂"]
    with gzip.open(tmp_path / "a.txt.gz", "wb") as file:
        file.write(f"Été{end}🙂".encode(encoding))
    assert list(read_lines(tmp_path / "a.txt.gz")) == ["Été", "🙂"]


def test_a_lone_carriage_return_stays_in_its_line(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"text\tlabel\na\rb\tx\n")
    assert [row.text for row in read_table(tmp_path / "a.tsv")] == ["a\rb"]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\né\n".encode("latin-1"), "not UTF-8"),
        ("text\tlabel\n".encode("utf-16-le"), "NUL character, as in UTF-16"),
        (b"\xff\xfea", "not UTF-16"),
    ],
)
def test_other_encodings_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingError, match=f"{name}, (after )?line [0-9]: (a )?{message}.*save"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("name", READERS)
def test_devices_and_pipes_are_refused_before_they_are_read(tmp_path, name):
    with pytest.raises(TrainingError, match=f"{name}: no such file"):
        READERS[name](tmp_path / name)
    os.mkfifo(tmp_path / name)
    with pytest.raises(TrainingError, match=f"{name}: not a regular file; save the data in a file first"):
        READERS[name](tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(TrainingError, match=f"{name}: not a regular file"):
        READERS[name](tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(TrainingError, match=f"{name}: not a regular file"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("command", [["pretrain"], ["distill", "--teacher", "weights/tiny"], ["finetune"]])
@pytest.mark.parametrize("source", ["/dev/zero", "fifo"])
def test_commands_refuse_devices_and_pipes_at_once(tmp_path, command, source):
    if source == "fifo":
        os.mkfifo(tmp_path / "fifo.tsv")
        source = str(tmp_path / "fifo.tsv")
    files = ["--task", "text-classification", "--train", source] if command == ["finetune"] else [source]
    ended = subprocess.run(
        [sys.executable, "-m", "distilroberta_np", *command, *files, "--out", str(tmp_path / "run")],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert ended.returncode == 2
    assert f"{source}: not a regular file; save the data in a file first" in ended.stderr
    assert not (tmp_path / "run").exists()


def test_damaged_archives_and_endless_lines_are_named(tmp_path, monkeypatch):
    whole = gzip.compress(b"The cat.\n" * 1000)
    for content in (b"no archive", whole[:-5], whole[:30] + b"xxxx" + whole[34:]):
        (tmp_path / "a.txt.gz").write_bytes(content)
        with pytest.raises(TrainingError, match=r"a\.txt\.gz: cannot be read"):
            list(read_lines(tmp_path / "a.txt.gz"))
    monkeypatch.setattr("distilroberta_np.training.data.source._MAX_LINE_CHARACTERS", 100)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"short\n" + b"0" * 1000))
    with pytest.raises(TrainingError, match=r"a\.txt\.gz, line 2: longer than 100 characters; split it"):
        list(read_lines(tmp_path / "a.txt.gz"))


def test_files_too_large_for_memory_are_named(tmp_path):
    with open(tmp_path / "a.csv", "wb") as file:
        file.truncate(2**33)  # a hole, which takes no space
    with pytest.raises(TrainingError, match=r"a\.csv: larger than 4 GiB; split it"):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NaN", "NaN is not a JSON value"),
        ("[1, Infinity]", "Infinity is not a JSON value"),
        ('{"a": -Infinity}', "-Infinity is not a JSON value"),
        ('{"a": 1, "a": 2}', "an object has the key 'a' twice"),
        ("[" * 10**5, "nested too deeply"),
        ("{", "Expecting property name"),
        ("", "Expecting value"),
    ],
    ids=range(7),
)
def test_what_is_not_json(text, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        parse_json(text)
