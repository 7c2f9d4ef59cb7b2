"""`EmbeddingFile`: rows on disk, and what is left of them after an interruption."""

import numpy as np
import pytest

from distilroberta_np import PipelineException, SentenceEncoder
from distilroberta_np.cli.embedding_file import EmbeddingFile
from tests.support.sentence_folders import HIDDEN, write_sentence_encoder

TEXTS = ["the cat", "\ud800", "sat", "on the cat", "a"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return SentenceEncoder(write_sentence_encoder(tmp_path_factory.mktemp("encoder")))


class Recorder:
    """An encoder that records what it encodes, and is interrupted at a text."""

    def __init__(self, encoder, stop=None):
        self._encoder, self._stop, self.texts = encoder, stop, []

    def encode(self, text, **options):
        return self._encoder.encode(text, **options)

    def answers(self, texts, **options):
        for text in texts:
            if text == self._stop:
                raise KeyboardInterrupt
            self.texts.append(text)
            yield from self._encoder.answers([text], **options)


def write(path, encoder, texts=TEXTS, **options):
    with EmbeddingFile(path, encoder, **options) as file:
        return [answer for start in range(0, len(texts), 2) for answer in file.answers(texts[start : start + 2])]


def interrupt(path, encoder, stop, **options):
    with pytest.raises(KeyboardInterrupt):
        write(path, Recorder(encoder, stop), **options)


def expected(encoder, texts=TEXTS, **options):
    failed = np.full(HIDDEN, np.nan)
    return [failed if text == "\ud800" else encoder.encode(text, **options) for text in texts]


def assert_rows(path, rows):
    np.testing.assert_allclose(np.load(path, mmap_mode="r"), rows, rtol=1e-4, atol=1e-5)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_row_per_text_and_nan_for_failures(tmp_path, encoder):
    answers = write(tmp_path / "a.npy", encoder)
    assert_rows(tmp_path / "a.npy", expected(encoder))
    assert isinstance(answers[1], PipelineException) and np.array_equal(answers[4], encoder.encode("a"))


def test_an_interrupted_call_is_continued(tmp_path, encoder):
    path = tmp_path / "a.npy"
    interrupt(path, encoder, "on the cat")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.npy.part", "a.npy.part.texts"]
    interrupt(path, encoder, "a")  # interrupted again, later
    recorder = Recorder(encoder)
    answers = write(path, recorder)
    assert recorder.texts == ["a"]
    assert_rows(path, expected(encoder))
    assert isinstance(answers[1], PipelineException)  # still reported


def test_an_interruption_among_the_rows_of_an_earlier_call_keeps_them_all(tmp_path, encoder):
    path = tmp_path / "a.npy"
    interrupt(path, encoder, "a")
    with pytest.raises(KeyboardInterrupt), EmbeddingFile(path, encoder) as file:
        next(file.answers(TEXTS[:2]))
        raise KeyboardInterrupt
    recorder = Recorder(encoder)
    write(path, recorder)
    assert recorder.texts == ["a"]


def test_rows_of_other_texts_are_computed_anew(tmp_path, encoder):
    path = tmp_path / "a.npy"
    interrupt(path, encoder, "a")
    texts = ["the cat", "\ud800", "on", "on the cat"]
    recorder = Recorder(encoder)
    write(path, recorder, texts)
    assert recorder.texts == ["on", "on the cat"]
    assert_rows(path, expected(encoder, texts))


def test_fewer_texts_than_rows(tmp_path, encoder):
    interrupt(tmp_path / "a.npy", encoder, "a")
    write(tmp_path / "a.npy", Recorder(encoder), TEXTS[:1])
    assert_rows(tmp_path / "a.npy", expected(encoder, TEXTS[:1]))


@pytest.mark.parametrize("options", [{"normalize_embeddings": True}, {"prompt": "on "}], ids=str)
def test_rows_with_other_options_are_computed_anew(tmp_path, encoder, options):
    path = tmp_path / "a.npy"
    interrupt(path, encoder, "a")
    recorder = Recorder(encoder)
    write(path, recorder, **options)
    assert recorder.texts == TEXTS
    assert_rows(path, expected(encoder, **options))


@pytest.mark.parametrize("name", ["a.npy.part", "a.npy.part.texts"])
@pytest.mark.parametrize("size", [0, 7, 150])
def test_damaged_files_of_an_interrupted_call(tmp_path, encoder, name, size):
    interrupt(tmp_path / "a.npy", encoder, "a")
    with open(tmp_path / name, "r+b") as file:
        file.truncate(size)
    write(tmp_path / "a.npy", encoder)
    assert_rows(tmp_path / "a.npy", expected(encoder))


def test_a_link_is_not_followed(tmp_path, encoder):
    (tmp_path / "folder").mkdir()
    (tmp_path / "other").write_bytes(b"kept")
    (tmp_path / "folder" / "a.npy.part").symlink_to(tmp_path / "other")
    write(tmp_path / "folder" / "a.npy", encoder)
    assert (tmp_path / "other").read_bytes() == b"kept"


def test_no_texts(tmp_path, encoder):
    assert write(tmp_path / "a.npy", encoder, []) == []
    assert np.load(tmp_path / "a.npy").shape == (0, HIDDEN)
