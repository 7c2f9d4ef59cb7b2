"""Token ids and decoded text against transformers' tokenizer, on RoBERTa's own vocabulary."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from distilroberta_np import RobertaTokenizer, TokenizerError  # noqa: E402
from distilroberta_np.hub import find_embedded  # noqa: E402
from tests.support.seeded import VOCAB_SIZE, config_dict, tokenizer_dict, write_json  # noqa: E402
from tests.support.tokenizer_folders import GENERIC, decoder, token, write_tokenizer  # noqa: E402

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
    ids = ours.encode(text)
    assert ids == reference(text, truncation=False)["input_ids"]
    assert ours.encode(text, add_special_tokens=False) == reference(text, add_special_tokens=False)["input_ids"]
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
        assert ours.encode(text) == reference(text)["input_ids"]


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
    batch = ours(texts, padding=True, return_tensors="np")
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
    assert RobertaTokenizer.from_folder(tmp_path).encode(text) == theirs(text)["input_ids"]


# -- settings and files ----------------------------------------------------------------------------------------------

MASK = {"__type": "AddedToken", **token("<mask>", lstrip=True, normalized=False, special=True)}
WITHOUT_MASK = ("the cat sat", " the  cat ", "x@USER y @USER.", "a <ent> b<ent>", "", "AB é 日本")
SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "add_prefix_space": ({"add_prefix_space": True}, {}),
    "trim_offsets": ({"trim_offsets": False}, {}),
    "max_len": ({"max_len": 12}, {}),
    "model_max_length": ({"model_max_length": 12, "max_len": 5}, {}),
    "split_special_tokens": ({"split_special_tokens": True}, {}),
    "additional": ({"additional_special_tokens": ["<ent>", "@USER"]}, {}),
    "extra": ({"extra_special_tokens": ["<ent>"]}, {}),
    "extra by name": ({"extra_special_tokens": {"ent_token": "<ent>"}}, {}),
    "own name": ({"ent_token": "<ent>"}, {}),
    "extra object": ({"extra_special_tokens": [{"__type": "AddedToken", **token("<ent>", lstrip=True)}]}, {}),
    "decoder": ({"added_tokens_decoder": decoder(token("@USER"), token("<ent>", special=True))}, {}),
    "decoder lstrip": ({"added_tokens_decoder": decoder(token("@USER", lstrip=True))}, {}),
    "decoder rstrip": ({"added_tokens_decoder": decoder(token("@USER", rstrip=True))}, {}),
    "decoder single_word": ({"added_tokens_decoder": decoder(token("@USER", single_word=True))}, {}),
    "decoder normalized": ({"added_tokens_decoder": decoder(token("@USER", normalized=False))}, {}),
    "decoder goes first": ({"added_tokens_decoder": decoder()}, {"added_tokens.json": {"@USER": VOCAB_SIZE}}),
    "added_tokens.json": ({}, {"added_tokens.json": {"@USER": VOCAB_SIZE, "<ent>": VOCAB_SIZE + 1}}),
    "special_tokens_map.json": ({}, {"special_tokens_map.json": {"additional_special_tokens": ["<ent>"]}}),
    "map and added": (
        {},
        {
            "special_tokens_map.json": {"additional_special_tokens": ["<ent>"]},
            "added_tokens.json": {"<ent>": VOCAB_SIZE},
        },
    ),
    "map and settings": ({"ent_token": "@USER"}, {"special_tokens_map.json": {"ent_token": "<ent>"}}),
    "map and extra": (
        {"extra_special_tokens": ["@USER"]},
        {"special_tokens_map.json": {"extra_special_tokens": ["<ent>"]}},
    ),
    "map and additional": (
        {"additional_special_tokens": ["@USER"]},
        {"special_tokens_map.json": {"additional_special_tokens": ["<ent>"]}},
    ),
    "map of roles": ({"unk_token": "the"}, {"special_tokens_map.json": {"unk_token": "<ent>"}}),
    "unk_token": ({"unk_token": "the"}, {}),
    "do_lower_case": ({"do_lower_case": True}, {}),
    "add_bos_token": ({"add_bos_token": False, "add_eos_token": True}, {}),
    "class Fast": ({"tokenizer_class": "RobertaTokenizerFast"}, {}),
    "class Longformer": ({"tokenizer_class": "LongformerTokenizer"}, {}),
    "class Bart": ({"tokenizer_class": "BartTokenizer"}, {}),
}


def assert_alike(folder, texts):
    ours, theirs = RobertaTokenizer.from_folder(folder), transformers.AutoTokenizer.from_pretrained(folder)
    for text in texts:
        expected = theirs(text, return_offsets_mapping=True)
        assert ours.encode(text) == expected["input_ids"]
        assert ours.encoding(text).offsets == expected["offset_mapping"]
        if text:  # transformers takes an empty second text for none
            assert ours.encode(text, text) == theirs(text, text)["input_ids"]
        assert ours.decode(ours.encode(text)) == theirs.decode(expected["input_ids"])
    length = theirs.model_max_length if theirs.model_max_length < 10**9 else None
    assert (ours.model_max_length, ours.vocab_size) == (length, len(theirs))
    assert (ours.truncation_side, ours.padding_side) == (theirs.truncation_side, theirs.padding_side)
    return ours, theirs


@pytest.mark.parametrize("vocab", [False, True], ids=["tokenizer.json", "vocab.json"])
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_and_files_give_the_same_tokens(tmp_path, name, vocab):
    values, files = SETTINGS[name]
    # transformers 5 forgets that the mask takes the space before it, where only a vocab.json names it.
    texts = WITHOUT_MASK if vocab else (*WITHOUT_MASK, "the <mask> sat on @USER <mask>.")
    folder = write_tokenizer(tmp_path / "read", values, files=files, vocab=vocab)
    ours, theirs = assert_alike(folder, texts)
    # And round trips: what either saves, both read as before.
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    for saved in ("ours", "theirs"):
        again, _ = assert_alike(tmp_path / saved, texts)
        for text in texts:
            assert again.encode(text) == ours.encode(text)


@pytest.mark.parametrize("side", ["left", "right"])
def test_sides(tmp_path, side):
    values = {"truncation_side": side, "padding_side": side}
    ours, theirs = assert_alike(write_tokenizer(tmp_path, values), WITHOUT_MASK)
    expected = theirs(list(WITHOUT_MASK), padding=True, return_tensors="np")
    for name, values in ours(list(WITHOUT_MASK), padding=True, return_tensors="np").items():
        assert values.tolist() == expected[name].tolist()


@pytest.mark.parametrize("values", [{"mask_token": MASK}, {"mask_token": MASK, "cls_token": "<pad>"}])
def test_a_mask_with_flags_of_its_own(tmp_path, values):
    assert_alike(write_tokenizer(tmp_path, values, vocab=True), ("the <mask> sat", "<mask>"))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"normalizer": {"type": "Lowercase"}},
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "StripAccents"}]}},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
    ],
    ids=repr,
)
def test_a_generic_tokenizer_is_taken_as_it_is(tmp_path, parts):
    assert_alike(write_tokenizer(tmp_path, GENERIC, **parts), (*WITHOUT_MASK, "the <mask> sat"))


def test_bpe_dropout_is_off_as_in_transformers(tmp_path):
    model = tokenizer_dict()["model"] | {"dropout": 0.9}
    assert_alike(write_tokenizer(tmp_path, model=model), WITHOUT_MASK)


def test_add_prefix_space_of_the_class_goes_before_the_one_of_the_file(tmp_path):
    splitter = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    for number, values in enumerate((None, {}, {"add_prefix_space": True})):
        assert_alike(write_tokenizer(tmp_path / str(number), values, pre_tokenizer=splitter), WITHOUT_MASK)


def test_config_json_can_name_the_class_too(tmp_path):
    write_tokenizer(tmp_path, {"pad_token": "<pad>"}, normalizer={"type": "Lowercase"})
    write_json(tmp_path / "config.json", config_dict(tokenizer_class="PreTrainedTokenizerFast"))
    assert_alike(tmp_path, WITHOUT_MASK)
