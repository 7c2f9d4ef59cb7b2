"""Token ids and decoded text against transformers' tokenizer, on RoBERTa's own vocabulary."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from distilroberta_np import RobertaTokenizer, TokenizerError  # noqa: E402
from distilroberta_np.hub import find_embedded  # noqa: E402

pytestmark = pytest.mark.parity

TEXTS = {
    "empty": "",
    "space": " ",
    "newlines": "\n\r\n\t\v\f\u2028\u0085",
    "a word": "Hello",
    "spaces": "  two  and   three  ",
    "10,000 spaces": " " * 10_000,
    "10,000 spaces in words": "a" + " " * 10_000 + "b",
    "contractions": "I'm you're they've she'll he'd it's DON'T ’s",
    "numbers": "3.14159 1,000,000 ½ ² Ⅷ ٣٤ 12:30",
    "punctuation": "...!?—–-_/\\|()[]{}<>@#$%^&*~`\"'",
    "masks": "a <mask> b<mask>c <mask><mask>  <mask>\n<mask>",
    "specials": "<s> x </s><pad> <unk> <s",
    "not quite specials": "< mask> <Mask> <mask <masked> ＜mask＞",
    "accents": "naïve café Ångström résumé",
    "combining marks": "e\u0301 n\u0303 o\u0308\u0304 Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f",
    "emoji": "🙂 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇫🇷 ❤️",
    "right-to-left": "שלום עולם مرحبا بالعالم \u202eabc\u202c",
    "chinese and japanese": "我爱北京天安门。 日本語のテキスト ㍿",
    "korean": "안녕하세요 \u1112\u1161\u11ab",
    "indic and thai": "नमस्ते दुनिया สวัสดีชาวโลก",
    "nul and controls": "a\x00b\x01\x1b[31m\x7f\x80\x9f",
    "zero width": "a\u200bb\u200cc\u200dd\ufeffe\u00adf",
    "odd spaces": "a\u00a0b\u2003c\u3000d\u202fe",
    "beyond the first plane": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𓀀 \U0010ffff \ufffe\uffff\ufffd",
    "long word": "x" * 5_000,
    "code": "def f(x):\n\treturn {'a': [x**2 for _ in range(10)]}  # ok",
    "url": "https://example.org/a?b=c&d=%20e#f user@example.org",
    "byte letters": "ĠParis Ċ âĢĻ Ł",
}


@pytest.fixture(scope="session")
def ours(roberta_tokenizer_json):
    return RobertaTokenizer.from_folder(roberta_tokenizer_json.parent)


@pytest.fixture(scope="session")
def from_vocab_and_merges(roberta_tokenizer_json, tmp_path_factory):
    """Ours from the older pair of files, with the same vocabulary and merges."""
    folder = tmp_path_factory.mktemp("vocab")
    whole = json.loads(roberta_tokenizer_json.read_text(encoding="utf-8"))
    vocab = whole["model"]["vocab"] | {token["content"]: token["id"] for token in whole["added_tokens"]}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in whole["model"]["merges"]]
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    return RobertaTokenizer.from_folder(folder)


def assert_same(ours, reference, text):
    ids = ours.encode(text).ids
    assert ids == reference(text, truncation=False)["input_ids"]
    assert ours.encode(text, add_special_tokens=False).ids == reference(text, add_special_tokens=False)["input_ids"]
    for skip in (True, False):
        decoded = reference.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
        assert ours.decode(ids, skip_special_tokens=skip) == decoded


@pytest.mark.filterwarnings("ignore:Token indices sequence length")
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_hard_texts(ours, from_vocab_and_merges, reference_tokenizer, text):
    assert_same(ours, reference_tokenizer, text)
    assert_same(from_vocab_and_merges, reference_tokenizer, text)


# Characters that any encoding can hold: lone surrogates are a case of their own.
@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab <mask>'\n\u0301é🙂"))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_text(ours, from_vocab_and_merges, reference_tokenizer, text):
    assert_same(ours, reference_tokenizer, text)
    assert_same(from_vocab_and_merges, reference_tokenizer, text)


@pytest.mark.parametrize("text", ["a\ud800b", "\udfff", "ok <mask> \udc80"])
def test_lone_surrogates_are_refused_by_both(ours, reference_tokenizer, text):
    with pytest.raises(TypeError):
        reference_tokenizer(text)
    with pytest.raises(TokenizerError, match=r"U\+D[89A-F][0-9A-F]{2}, half of a surrogate pair"):
        ours.encode(text)


def test_the_class_that_transformers_makes_for_roberta_agrees_too(ours, roberta_tokenizer_json):
    reference = transformers.RobertaTokenizer.from_pretrained(roberta_tokenizer_json.parent)
    for text in TEXTS.values():
        assert ours.encode(text).ids == reference(text)["input_ids"]


def test_the_embedded_models_tokenizer():
    folder = find_embedded()
    ours, reference = RobertaTokenizer.from_folder(folder), transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS.values():
        assert_same(ours, reference, text)


def test_every_token_of_the_vocabulary(ours, reference_tokenizer):
    vocabulary = reference_tokenizer.get_vocab()
    assert len(vocabulary) == ours.vocab_size == 50265
    assert {ours.id_to_token(index): index for index in range(50265)} == vocabulary
    assert all(ours.token_to_id(token) == index for token, index in vocabulary.items())


def test_batches_are_padded_alike(ours, reference_tokenizer):
    texts = [text for text in TEXTS.values() if len(text) < 100]
    expected = reference_tokenizer(texts, padding=True, return_tensors="np", return_token_type_ids=False)
    batch = ours(texts)
    assert batch.keys() == expected.keys()
    for name in batch:
        assert batch[name].tolist() == expected[name].tolist()


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("text", ["Ada lives", " Ada", "", "a <mask> b"])
def test_add_prefix_space_of_the_settings(tmp_path, wanted, text):
    RobertaTokenizer.from_folder(find_embedded()).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"add_prefix_space": wanted}))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert RobertaTokenizer.from_folder(tmp_path).encode(text).ids == theirs(text)["input_ids"]
