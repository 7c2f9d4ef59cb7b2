import pytest

from distilroberta_np import TrainingError
from distilroberta_np.training.data.conll import read_conll


def write(path, text):
    path.write_bytes(text.encode())
    return path


def test_conll(tmp_path):
    path = write(tmp_path / "a.conll", "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n\n\n# \tO\r\na b\tB-X\r\n\t\n")
    found = read_conll(path)
    assert [(sentence.words, sentence.tags) for sentence in found] == [
        (("EU", "rejects"), ("B-ORG", "O")),
        (("#", "a b"), ("O", "B-X")),
    ]
    assert [sentence.location for sentence in found] == [f"{path}, line 3", f"{path}, line 7"]


def test_a_line_without_a_tag(tmp_path):
    path = write(tmp_path / "a.conll", "a\tO\nb\nc\tO\n\nd\tO\n")
    with pytest.raises(TrainingError, match=r"a\.conll, line 2: a line must hold a word and its tag, not 'b'"):
        read_conll(path)
    noted = []
    assert [sentence.words for sentence in read_conll(path, noted.append)] == [("d",)]
    assert len(noted) == 1
