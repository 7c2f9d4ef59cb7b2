"""`distilroberta-np encode`: sentences in; JSON lines or a .npy file out."""

import io
import json
import sys

import numpy as np
import pytest

from distilroberta_np import SentenceEncoder
from distilroberta_np.cli import main
from tests.support.sentence_folders import HIDDEN, write_sentence_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    settings = {"prompts": {"query": "the cat "}}
    return write_sentence_encoder(tmp_path_factory.mktemp("encoder"), settings=settings)


@pytest.fixture(scope="module")
def encoder(folder):
    return SentenceEncoder.from_pretrained(folder)


def encode(capsys, folder, *arguments):
    status = main(["encode", "--model", str(folder), *map(str, arguments)])
    captured = capsys.readouterr()
    return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


def assert_close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_the_output_is_lists_or_json_objects(capsys, folder, encoder):
    expected = encoder.encode(["the cat", "sat"])
    status, lines, errors = encode(capsys, folder, "the cat", "sat")
    assert (status, errors) == (0, "")
    assert_close(lines, expected)
    _, lines, _ = encode(capsys, folder, "the cat", "sat", "--json")
    assert [line["text"] for line in lines] == ["the cat", "sat"]
    assert_close([line["embedding"] for line in lines], expected)


def test_options_reach_the_encoder(capsys, folder, encoder):
    arguments = ["--normalize", "--truncate-dim", "3", "--prompt-name", "query"]
    expected = encoder.encode(["sat"], prompt_name="query", normalize_embeddings=True, truncate_dim=3)
    assert_close(encode(capsys, folder, "sat", *arguments)[1], expected)
    assert_close(encode(capsys, folder, "sat", "--prompt", "the cat ")[1], encoder.encode(["the cat sat"]))


def test_output_has_a_bar_that_counts_sentences(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "lines.txt").write_text("the cat\nsat\nthe cat\n")
    arguments = ["--input", tmp_path / "lines.txt", "--output", tmp_path / "embeddings.npy"]
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", shown)
        assert encode(capsys, folder, *arguments)[0] == 0
    assert f"[{'#' * 24}] 3 of 3 texts, " in shown.getvalue()
    assert shown.getvalue().endswith("\r\x1b[K")


def test_output_has_one_row_per_line(capsys, folder, encoder, tmp_path):
    lines = [b"the cat", b"\xff", b"", b"on the cat " * 200, b"\xfe"]
    (tmp_path / "lines.txt").write_bytes(b"\n".join(lines))
    output = tmp_path / "embeddings.npy"
    output.write_bytes(b"previous")
    status, printed, errors = encode(capsys, folder, "--input", tmp_path / "lines.txt", "--output", output)
    assert (status, printed) == (1, [])
    assert errors.splitlines() == ["distilroberta-np: line 2: not UTF-8", "distilroberta-np: line 5: not UTF-8"]
    embeddings = np.load(output)
    assert embeddings.shape == (5, HIDDEN) and embeddings.dtype == np.float32
    assert np.isnan(embeddings[[1, 4]]).all()
    assert_close(embeddings[[0, 2, 3]], encoder.encode([lines[n].decode() for n in (0, 2, 3)]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["embeddings.npy", "lines.txt"]
    np.load(output, mmap_mode="r")  # which only well-formed files allow


def test_an_empty_input_makes_an_empty_array(capsys, folder, tmp_path):
    (tmp_path / "lines.txt").write_bytes(b"")
    assert encode(capsys, folder, "--input", tmp_path / "lines.txt", "--output", tmp_path / "v.npy")[0] == 0
    assert np.load(tmp_path / "v.npy").shape == (0, HIDDEN)


def test_an_error_keeps_the_previous_file(capsys, folder, tmp_path, monkeypatch):
    output = tmp_path / "embeddings.npy"
    output.write_bytes(b"previous")
    arguments = ["sat", "--output", output]
    assert encode(capsys, folder, *arguments, "--prompt-name", "unknown")[0] == 2
    monkeypatch.setattr(SentenceEncoder, "answers", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        encode(capsys, folder, *arguments)
    assert output.read_bytes() == b"previous"
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings.npy"]


def test_an_interrupted_command_continues(capsys, folder, encoder, tmp_path, monkeypatch):
    output, texts = tmp_path / "embeddings.npy", ["sat", "the cat", "on"]
    answers = SentenceEncoder.answers

    def interrupted(self, inputs, **options):
        yield from list(answers(self, inputs, **options))[:2]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SentenceEncoder, "answers", interrupted)
        assert encode(capsys, folder, *texts, "--output", output)[0] == 130
    assert not output.exists()
    status, _, errors = encode(capsys, folder, *texts, "--output", output)
    assert (status, errors) == (0, f"distilroberta-np: continuing {output} after 2 rows\n")
    assert_close(np.load(output), encoder.encode(texts))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a text"),
        (["a", "--output", "v.npy", "--json"], "give --output or --json, not both"),
        (["a", "--output", "v.txt"], "the name of --output must end in .npy"),
    ],
)
def test_wrong_arguments_end_with_2_and_the_usage(capsys, folder, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        encode(capsys, folder, *arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_model_is_the_default_and_named_on_stderr(capsys, monkeypatch):
    monkeypatch.setattr("distilroberta_np.hub.find_published", lambda: None)
    assert main(["encode", "Hello."]) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) > 0
    assert "embedded model" in captured.err and "it was not trained as a sentence encoder" in captured.err
