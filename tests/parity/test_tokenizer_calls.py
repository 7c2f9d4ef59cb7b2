"""Every call of a tokenizer with the arguments that scripts use, live against transformers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from distilroberta_np import RobertaTokenizer  # noqa: E402
from distilroberta_np.hub import find_embedded  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
TEXTS = ["Hello I'm a <mask> model.", "Short.", "", "naïve café 🙂 " * 5]
PAIRS = ["What is it?", "A longer second text, with more words.", "x", ""]


@pytest.fixture(scope="module")
def tokenizers():
    folder = find_embedded()
    return RobertaTokenizer.from_folder(folder), transformers.AutoTokenizer.from_pretrained(folder)


def plain(value):
    if isinstance(value, dict) or hasattr(value, "keys"):
        return {name: plain(value[name]) for name in value}
    value = value.tolist() if hasattr(value, "tolist") else value
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("padding", [False, True, "longest", "max_length"])
@pytest.mark.parametrize("truncation", [None, False, True, "only_first", "only_second"])
@pytest.mark.parametrize("max_length", [None, 12])
@pytest.mark.parametrize("pairs", [False, True])
def test_padding_and_truncation(tokenizers, padding, truncation, max_length, pairs):
    if truncation == "only_second" and not pairs:
        pytest.skip("there is no second text")
    long, short = ["A longer text with words " * 3, "and more of them " * 4], ["a b", "c"]
    if truncation in ("only_first", "only_second"):
        texts, seconds = (long, short) if truncation == "only_first" else (short, long)
    else:
        texts, seconds = TEXTS, PAIRS
    arguments = {"padding": padding, "truncation": truncation, "max_length": max_length}
    results = [
        plain(tokenizer(texts, seconds if pairs else None, return_special_tokens_mask=True, **arguments))
        for tokenizer in tokenizers
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"add_special_tokens": False},
        {"return_offsets_mapping": True},
        {"return_attention_mask": False},
        {"return_token_type_ids": True},
        {"return_tensors": "np"},
        {"return_tensors": "pt"},
        {"truncation": True, "max_length": 8, "stride": 2, "return_overflowing_tokens": True},
    ],
)
def test_one_text(tokenizers, arguments):
    text = "Hello I'm a <mask> model, and this is a longer text about it."
    ours, theirs = (tokenizer(text, **arguments) for tokenizer in tokenizers)
    assert plain(ours) == plain(theirs)
    assert {name: type(value) for name, value in ours.items()} == {name: type(value) for name, value in theirs.items()}
    assert ours.tokens() == theirs.tokens()
    assert ours.word_ids() == theirs.word_ids()


def test_words(tokenizers):
    for words in (["Hello", "world", "naïve"], [["Hello", "world"], ["A", "b", "c"]]):
        ours, theirs = (tokenizer(words, is_split_into_words=True) for tokenizer in tokenizers)
        assert plain(ours) == plain(theirs)


def test_small_calls(tokenizers):
    def everything(tokenizer):
        ids = tokenizer.encode("Hello <mask> world", "again")
        return [
            ids,
            tokenizer.encode("Hello", add_special_tokens=False),
            tokenizer.encode("Hello", return_tensors="np").tolist(),
            tokenizer.tokenize("Hello world, naïve"),
            tokenizer.convert_tokens_to_ids("Ġthe"),
            tokenizer.convert_tokens_to_ids(["Ġthe", "<mask>", "no such token"]),
            tokenizer.convert_ids_to_tokens(5),
            tokenizer.convert_ids_to_tokens(ids),
            tokenizer.convert_ids_to_tokens(ids, skip_special_tokens=True),
            tokenizer.convert_tokens_to_string(["ĠHello", "Ġworld"]),
            tokenizer.decode(ids),
            tokenizer.decode(np.array(ids), skip_special_tokens=True),
            tokenizer.decode(ids[1]),
            tokenizer.batch_decode([ids, ids[:3]]),
            tokenizer.batch_decode(np.array([ids, ids]), skip_special_tokens=True),
            len(tokenizer),
            tokenizer.get_vocab(),
            set(tokenizer.all_special_tokens),
            set(tokenizer.all_special_ids),
            [getattr(tokenizer, f"{role}_token") for role in ("bos", "eos", "cls", "sep", "pad", "mask", "unk")],
            [getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "cls", "sep", "pad", "mask", "unk")],
            plain(tokenizer.pad([tokenizer("Hello"), tokenizer("Hello there")])),
        ]

    for number, (ours, theirs) in enumerate(itertools.zip_longest(*map(everything, tokenizers))):
        assert ours == theirs, number
