"""Against the tokenizers package's own truncation."""

import itertools
import json

import pytest
from tokenizers import Tokenizer

from distilroberta_np.pipelines.truncation import STRATEGIES, truncate
from tests.support.seeded import tokenizer_dict


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_str(json.dumps(tokenizer_dict()))


def cut_by_the_package(tokenizer, text, pair, max_length, strategy, side="right"):
    tokenizer.enable_truncation(max_length, strategy=strategy, direction=side)
    try:
        return tokenizer.encode(text, pair).ids
    finally:
        tokenizer.no_truncation()


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_way_to_cut_texts_of_up_to_six_tokens(tokenizer, strategy, side):
    refused = 0
    for first, second, max_length in itertools.product(range(7), [None, *range(7)], range(2, 17)):
        text, pair = "uvwxyz"[:first], None if second is None else "ghijkl"[:second]
        encoding = tokenizer.encode(text, pair)
        special = 2 if pair is None else 4
        if special > max_length:
            continue  # see below
        try:
            expected = cut_by_the_package(tokenizer, text, pair, max_length, strategy, side)
        except Exception as error:  # the package has no type of its own
            assert "Truncation error" in str(error)
            with pytest.raises(ValueError, match=r"cuts the second text|text alone"):
                truncate(encoding, max_length, strategy)
            refused += 1
        else:
            assert truncate(encoding, max_length, strategy, side=side) == expected, (text, pair, max_length)
    assert (refused == 0) == (strategy == "longest_first")


def test_typed_special_tokens_count_as_text(tokenizer):
    text, pair = "<s>ab</s>cd", "e<pad>f<mask>g"
    encoding = tokenizer.encode(text, pair)
    for max_length in range(4, 15):
        assert truncate(encoding, max_length, "longest_first") == cut_by_the_package(
            tokenizer, text, pair, max_length, "longest_first"
        )


def test_less_room_than_the_special_tokens_take_is_refused(tokenizer):
    # The package would leave such a text as long as it is.
    encoding = tokenizer.encode("uvw", "ghij")
    assert cut_by_the_package(tokenizer, "uvw", "ghij", 3, "longest_first") == encoding.ids
    with pytest.raises(ValueError, match="max_length is 3, less than the 4 special tokens"):
        truncate(encoding, 3, "longest_first")
