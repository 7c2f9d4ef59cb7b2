import gzip
import json
import unicodedata
from pathlib import Path

import pytest
import tokenizers
from tokenizers.pre_tokenizers import ByteLevel

from distilroberta_np.hub import find_embedded
from distilroberta_np.reference.bpe import LETTERS, WORD, Tokenizer, merge, silhouette

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLES = settings(max_examples=300, deadline=None, derandomize=True)
PUBLISHED = Path(__file__).parents[1] / "data" / "roberta_tokenizer" / "tokenizer.json.gz"
EMBEDDED_JSON = (find_embedded() / "tokenizer.json").read_text(encoding="utf-8")
# Python may know a newer or an older Unicode than the tokenizers library: unassigned characters can differ.
ASSIGNED = st.characters(exclude_categories=["Cs", "Cn"])
HARD = ["'s", "'S", "'re", "'ll", "’t", "'", " ", "  ", "\t", "\n", "\r\n", "\x0b", "\x1c", "\x85", "\xa0", "\u1680"]
HARD += ["\u180e", "\u2003", "\u2028", "\u3000", "\u200b", "\ufeff", "½", "²", "Ⅷ", "٣", "७", "一", "0", "42", "_"]
HARD += [
    "é",
    "e\u0301",
    "\u0301",
    "ǅ",
    "ʰ",
    "ª",
    "ß",
    "İ",
    "日本",
    "नि",
    "🎉",
    "👩‍👧",
    "\0",
    "\x7f",
    "\xad",
    "…",
    "--",
    "Ġ",
]
HARD += ["<mask>", "<s>", "</s>", "<pad>", "<unk>", "<mask", "the", " nurse", "Naïve", "I'm", "don't", "x2", "≠"]
TEXTS = st.text(ASSIGNED, max_size=30) | st.lists(st.sampled_from(HARD), max_size=12).map("".join)


def both(tokenizer_json):
    return Tokenizer(tokenizer_json), tokenizers.Tokenizer.from_str(tokenizer_json)


def with_prefix_space(tokenizer_json):
    values = json.loads(tokenizer_json)
    for part in ("pre_tokenizer", "post_processor"):
        values[part]["add_prefix_space"] = True
    return json.dumps(values)


PREFIXED = both(with_prefix_space(EMBEDDED_JSON))
PAIRS = {"embedded": both(EMBEDDED_JSON), "published": both(gzip.decompress(PUBLISHED.read_bytes()).decode())}
each = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


@each
@EXAMPLES
@given(text=TEXTS)
def test_ids_and_offsets_equal_those_of_the_tokenizers_library(pair, text):
    ours, theirs = pair
    expected = theirs.encode(text)
    assert ours.encode(text) == (expected.ids, expected.offsets)


@each
@EXAMPLES
@given(data=st.data())
def test_any_ids_decode_as_in_the_tokenizers_library(pair, data):
    ours, theirs = pair
    ids = data.draw(st.lists(st.integers(0, len(ours.ids) - 1), max_size=12))
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)


@each
@EXAMPLES
@given(text=TEXTS)
def test_decoding_gives_the_text_back_without_the_spaces_before_masks(pair, text):
    ours, theirs = pair
    ids, _ = ours.encode(text)
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
    if "<mask>" not in text:
        assert ours.decode(ids) == f"<s>{text}</s>"


@pytest.mark.parametrize("name", PAIRS)
def test_vocabulary(name):
    ours, theirs = PAIRS[name]
    assert ours.ids == theirs.get_vocab(with_added_tokens=True)
    assert sorted(LETTERS.values()) == sorted(ByteLevel.alphabet())


def test_words_of_all_characters_are_cut_as_by_the_tokenizers_library():
    """All but private ones and the large blocks of Chinese and Korean characters, which are alike."""
    points = [*range(0x3400), *range(0xA000, 0xAC00), *range(0xF900, 0x20000), *range(0xE0000, 0xE0200)]
    characters = [chr(point) for point in points if unicodedata.category(chr(point)) not in ("Cs", "Cn", "Co")]
    text = "".join(f"a{c}0{c}!{c} {c}\t{c}" for c in characters)
    spans = [span for _, span in ByteLevel(add_prefix_space=False).pre_tokenize_str(text)]
    assert [match.span() for match in WORD.finditer(silhouette(text))] == spans


@EXAMPLES
@given(text=TEXTS)
def test_add_prefix_space(text):
    ours, theirs = PREFIXED
    ids, offsets = ours.encode(text)
    assert ids == theirs.encode(text).ids
    # The library's offsets count the added space in places, so these are compared with those of a space in the text.
    if text and text[0] != " " and "<" not in text:
        spaced_ids, spaced = PAIRS["embedded"][0].encode(" " + text)
        assert ids == spaced_ids
        assert offsets[1:-1] == [(start - 1, end - 1) for start, end in spaced[1:-1]]


@each
def test_the_mask_takes_white_space_of_every_kind(pair):
    ours, theirs = pair
    spaces = [chr(n) for n in range(0x3001) if chr(n).isspace()]
    assert len(spaces) == 29
    for space in [*spaces, "\u180e", "\u200b", "_"]:
        expected = theirs.encode(f"a{space} {space}<mask>b")
        assert ours.encode(f"a{space} {space}<mask>b") == (expected.ids, expected.offsets)


def test_merges_step_by_step():
    ranks = PAIRS["embedded"][0].ranks
    assert list(merge(list("Ġthe"), ranks)) == [
        ["Ġ", "t", "h", "e"],
        ["Ġt", "h", "e"],
        ["Ġt", "he"],
        ["Ġthe"],
    ]
    assert list(merge(["q"], ranks)) == [["q"]]


def test_the_mask_takes_the_space_before_it():
    tokenizer = PAIRS["published"][0]
    ids, offsets = tokenizer.encode("a  <mask>.")
    assert [tokenizer.tokens[i] for i in ids] == ["<s>", "a", "<mask>", ".", "</s>"]
    assert offsets == [(0, 0), (0, 1), (3, 9), (9, 10), (0, 0)]
