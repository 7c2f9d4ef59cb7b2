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


MULTI = "# id 5239 domain=en\nthe _ _ O\ncat _ _ B-A\n\n# id 77 domain=en\n# _ _ O\ncats _ _ B-A\n\n"


def test_metadata_lines_are_not_words(tmp_path):
    """Even if they have as many columns as words; but # with a tag is a word."""
    found = read_conll(write(tmp_path / "a.conll", MULTI))
    assert [(sentence.words, sentence.tags) for sentence in found] == [
        (("the", "cat"), ("O", "B-A")),
        (("#", "cats"), ("O", "B-A")),
    ]
    assert [sentence.location[-6:] for sentence in found] == ["line 2", "line 6"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# sent_id = 1\n# text = the cat O\nthe O\ncat B-A\n", ("the", "cat")),
        ("#begin document (a/b); part 000\n\nthe O\ncat B-A\n\n#end document\n", ("the", "cat")),
        ("the O\n# a comment in between\ncat B-A\n", ("the", "cat")),
        ("#tag O\n# B-A\ncat B-A\n", ("#tag", "#", "cat")),
        ("#\tO\ncat\tB-A\n", ("#", "cat")),
        ("-DOCSTART- -X- O O\n\nthe O\ncat B-A\n", ("the", "cat")),
    ],
)
def test_comments_and_words_with_a_number_sign(tmp_path, text, words):
    assert [sentence.words for sentence in read_conll(write(tmp_path / "a.conll", text))] == [words]


@pytest.mark.parametrize("space", ["\u00a0", "\u2009", "\u3000", "\u202f", "\x85", "\x0b", "\u2028"])
def test_no_break_spaces_belong_to_the_word(tmp_path, space):
    for text in (f"10{space}000 B-A\nkm O\n", f"10{space}000\tB-A\nkm\tO\n", f" 10{space}000  B-A \nkm O\n"):
        (sentence,) = read_conll(write(tmp_path / "a.conll", text))
        assert sentence.words == (f"10{space}000", "km")
        assert sentence.tags == ("B-A", "O")


@pytest.mark.parametrize(
    ("text", "number", "message"),
    [
        ("EU NNP B-A\nrejects VBZ O extra\nit PRP O\n", 2, "4 columns, but the file has 3"),
        ("EU NNP B-A\nrejects O\nit PRP O\n", 2, "2 columns, but the file has 3"),
        ("EU B-A extra\nrejects O\n\nit O\n\nof O\n", 1, "3 columns, but the file has 2"),
        ("EU\tB-A\nNew York\tO\nit\tO\tO\n", 3, "3 columns, but the file has 2"),
        ("EU\tB-A\nit\t\n", 2, "a line must hold a word and its tag"),
    ],
)
def test_lines_with_another_number_of_columns(tmp_path, text, number, message):
    path = write(
        tmp_path / "a.conll", text + "\nlast O\n" * ("last" not in text and "NNP" not in text and "\t" not in text)
    )
    with pytest.raises(TrainingError, match=f"a.conll, line {number}: {message}"):
        read_conll(path)


def test_what_could_be_metadata_or_a_word_is_named(tmp_path):
    text = "it PRP x\n\n# my comment\nthe DT x\n"
    with pytest.raises(TrainingError, match="line 3: '# my comment' could be metadata or a word; remove it, or"):
        read_conll(write(tmp_path / "a.conll", text))
    _, second = read_conll(write(tmp_path / "b.conll", "it\tPRP\n\n#\t#\n5\tCD\n"))
    assert second.tags == ("#", "CD")


def test_numbered_words_are_refused(tmp_path):
    lines = "1\tThe\tDET\tO\n2-3\tcannot\t_\tO\n2\tcan\tAUX\tO\n3\tnot\tPART\tB-A\n\n1\tYes\tX\tO\n"
    with pytest.raises(TrainingError, match="the first column numbers the words, as in CoNLL-U; remove it"):
        read_conll(write(tmp_path / "a.conllu", "# text = x\n" + lines))
    assert len(read_conll(write(tmp_path / "b.conll", "1 O\n2 O\n\nYes O\n"))) == 2
