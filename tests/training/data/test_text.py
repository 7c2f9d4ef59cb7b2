import gzip
from itertools import pairwise

import pytest

from distilroberta_np import TrainingError
from distilroberta_np.training.data import text
from distilroberta_np.training.data.text import make_sequences, read_paragraphs, train_tokenizer

LINES = ["The cat sat on the mat.", "It purred.", "", "Another document, of one paragraph that is a little longer."]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(LINES), encoding="utf-8")
    with gzip.open(tmp_path / "b.txt.gz", "wt", encoding="utf-8") as file:
        file.write("Été 🙂\n" * 3)
    return [tmp_path / "a.txt", tmp_path / "b.txt.gz"]


@pytest.fixture
def tokenizer(files):
    return train_tokenizer(files, 300)


def test_paragraphs_of_plain_and_compressed_files(files):
    assert list(read_paragraphs(files)) == [*LINES, "", "Été 🙂", "Été 🙂", "Été 🙂", ""]


def test_the_tokenizer_is_robertas(tokenizer):
    assert [tokenizer.token_to_id(token) for token in ("<s>", "<pad>", "</s>", "<unk>")] == [0, 1, 2, 3]
    assert tokenizer.token_to_id("<mask>") == tokenizer.get_vocab_size() - 1
    ids = tokenizer.encode("The <mask> sat.").ids
    assert (ids[0], ids[-1]) == (0, 2)
    assert tokenizer.decode(ids) == "The sat."
    assert "Ġ" not in tokenizer.encode("The <mask>").tokens  # the mask takes the space before it


def test_files_without_text_are_named(tmp_path, tokenizer):
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(TrainingError, match=r"there is no text in .*empty\.txt"):
        make_sequences([tmp_path / "empty.txt"], tokenizer, 20)


def test_blocks_change_nothing_but_the_memory(files, tokenizer, monkeypatch):
    expected = make_sequences(files, tokenizer, 20)
    whole = text._in_blocks
    for size, characters in ((1, 100), (100, 0), (2, 30)):
        monkeypatch.setattr(text, "_in_blocks", lambda lines, s=size, c=characters: whole(lines, s, c))
        for ours, other in zip(make_sequences(files, tokenizer, 20), expected, strict=True):
            assert ours.tolist() == other.tolist()


@pytest.mark.parametrize("length", [8, 20, 128])
def test_sequences_contain_the_text_and_do_not_cross_documents(files, tokenizer, length):
    tokens, starts = make_sequences(files, tokenizer, length)
    sequences = [tokens[start:end].tolist() for start, end in pairwise(starts)]
    assert all(len(sequence) <= length and sequence[0] == 0 and sequence[-1] == 2 for sequence in sequences)
    texts = [tokenizer.decode(sequence) for sequence in sequences]
    together = "".join(texts).replace(" ", "")
    assert together == "".join(LINES + ["Été 🙂"] * 3).replace(" ", "")
    if length == 128:
        assert texts == ["The cat sat on the mat. It purred.", LINES[3], "Été 🙂 Été 🙂 Été 🙂"]
