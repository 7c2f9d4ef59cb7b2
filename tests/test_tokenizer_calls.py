"""The calls of `RobertaTokenizer`. tests/parity compares them with transformers, argument by argument."""

import builtins
import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from distilroberta_np import RobertaForMaskedLM, RobertaTokenizer, TokenizerError
from tests.support.seeded import write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tokenizer(folder):
    return RobertaTokenizer.from_folder(folder)


def test_one_text_gives_lists_and_several_give_lists_of_lists(tokenizer):
    one, several = tokenizer("the cat"), tokenizer(["the cat", "a"])
    assert one.input_ids == one["input_ids"] == tokenizer.encode("the cat")
    assert one.attention_mask == [1] * len(one.input_ids)
    assert several.input_ids == [tokenizer.encode("the cat"), tokenizer.encode("a")]
    with pytest.raises(AttributeError):
        _ = one.nothing


def test_arrays_go_into_a_model(folder, tokenizer):
    batch = tokenizer(["the cat <mask>", "<mask>"], padding=True, return_tensors="np")
    assert batch.input_ids.dtype == batch.attention_mask.dtype == np.int64
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    logits = RobertaForMaskedLM.from_pretrained(folder)(**batch).logits
    assert logits.shape[:2] == batch.input_ids.shape
    assert tokenizer("the", return_tensors="np").input_ids.shape == (1, 3)
    assert batch.to("cpu") is batch
    with pytest.raises(ValueError, match="device 'cuda' is not supported: this package runs on the CPU"):
        batch.to("cuda")


def test_lengths_that_differ_need_padding_to_become_an_array(tokenizer):
    with pytest.raises(ValueError, match="different numbers of tokens; pad them with padding=True"):
        tokenizer(["the cat", "a"], return_tensors="np")


def test_pad(tokenizer):
    rows = [tokenizer("the cat"), tokenizer("a")]
    expected = tokenizer(["the cat", "a"], padding=True)
    assert tokenizer.pad(rows) == tokenizer.pad({"input_ids": [row.input_ids for row in rows]}) == expected
    assert tokenizer.pad(rows, return_tensors="np").input_ids.shape == (2, 4)
    assert tokenizer.pad({"input_ids": []}).input_ids == []
    with pytest.raises(ValueError, match="no input_ids to pad"):
        tokenizer.pad({"other": []})
    for labels in ([[1]], 1):
        with pytest.raises(ValueError, match="labels cannot be padded"):
            tokenizer.pad([{"input_ids": [1], "labels": labels}])
    with pytest.raises(ValueError, match="put the result of a call with a single text into a list"):
        tokenizer.pad(rows[0])


def test_a_single_text_is_no_list_of_pairs(tokenizer):
    with pytest.raises(TypeError, match="text_pair must be a list of texts, as text is one"):
        tokenizer(["the cat", "a"], "on")


def test_a_tokenizer_can_be_copied_and_pickled_after_truncating(tokenizer):
    expected = tokenizer("the cat sat", truncation=True, max_length=4)
    for each in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert each("the cat sat", truncation=True, max_length=4) == expected


def test_ids_and_tokens_that_no_vocabulary_has(tokenizer):
    assert tokenizer.convert_ids_to_tokens([-1, 2**40]) == [None, None]
    assert tokenizer.convert_tokens_to_ids("\ud800") == tokenizer.unk_token_id


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding": "left"}, "padding must be"),
        ({"truncation": "right"}, "truncation must be"),
        ({"return_tensors": "tf"}, "return_tensors must be"),
        ({"text_pair": ["a", "b"]}, "1 texts and 2 in text_pair"),
    ],
)
def test_arguments_that_are_refused(tokenizer, arguments, message):
    with pytest.raises(ValueError, match=message):
        tokenizer(["the cat"], **arguments)


@pytest.mark.parametrize("texts", [None, 5, [None], [["the"]], b"the"])
def test_what_is_not_a_text(tokenizer, texts):
    with pytest.raises(TypeError, match=r"a text must be a string, not \w+|'(NoneType|int)' object is not iterable"):
        tokenizer(texts)


def test_torch_is_named_if_it_is_missing(tokenizer, monkeypatch):
    real = builtins.__import__

    def without_torch(name, *arguments):
        if name == "torch":
            raise ModuleNotFoundError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(TokenizerError, match="pip install torch"):
        tokenizer("the", return_tensors="pt")


def test_truncation_in_threads(tokenizer):
    texts = ["the cat sat on the cat", "a"] * 50

    def call(limit):
        return [len(row) for row in tokenizer(texts, truncation=True, max_length=limit).input_ids]

    with ThreadPoolExecutor(8) as pool:
        for limit, lengths in zip([3, 4, 5, 6] * 8, pool.map(call, [3, 4, 5, 6] * 8), strict=True):
            assert lengths == [min(limit, 8), 3] * 50


def test_vocabulary_and_special_tokens(tokenizer):
    assert len(tokenizer) == tokenizer.vocab_size == len(tokenizer.get_vocab())
    assert tokenizer.cls_token == tokenizer.bos_token == "<s>"
    assert tokenizer.sep_token_id == tokenizer.eos_token_id == 2
    assert set(tokenizer.all_special_tokens) == set(tokenizer.special_tokens_map.values())
    assert tokenizer.mask_token_id in tokenizer.all_special_ids
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = tokenizer.nothing
