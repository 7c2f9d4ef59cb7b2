import math

import numpy as np
import pytest

from distilroberta_np import PipelineException
from distilroberta_np.analysis import PseudoLikelihoodScorer, pseudo_perplexity
from distilroberta_np.runtime import batching

SENTENCES = ["the cat sat on this", "the", "a thing: caaat", "the cat"]
# Which tokens of the sentences belong to one word; spelled by the merges of the seeded tokenizer.
WORDS = {
    "the cat sat on this": [["the"], [" cat"], [" sat"], [" on"], [" ", "th", "i", "s"]],
    "the": [["the"]],
    "a thing: caaat": [["a"], [" ", "th", "i", "n", "g"], [":"], [" ", "ca", "a", "a", "t"]],
    "the cat": [["the"], [" cat"]],
}


@pytest.fixture
def scorer(model):
    return PseudoLikelihoodScorer(model.unmasker.model, model.unmasker.tokenizer)


def by_hand(model, text, within_word):
    ids, mask = model.ids(text), model.tokenizer.ids["<mask>"]
    scores, start = [], 1
    for word in WORDS[text]:
        end = start + len(word)
        for position in range(start, end):
            masked = list(ids)
            for index in range(position, end if within_word else position + 1):
                masked[index] = mask
            scores.append(model.log_probabilities(masked)[position, ids[position]])
        start = end
    return scores


@pytest.mark.parametrize("within_word", [False, True])
def test_each_token_is_masked_in_turn(model, scorer, within_word):
    results = scorer(SENTENCES, within_word=within_word)
    for text, result in zip(SENTENCES, results, strict=True):
        expected = by_hand(model, text, within_word)
        assert result["tokens"] == [token for word in WORDS[text] for token in word]
        np.testing.assert_allclose(result["log_probabilities"], expected, rtol=0, atol=2e-4)
        assert result["pseudo_log_likelihood"] == pytest.approx(sum(expected), abs=1e-3)


def assert_same(results, others):
    for one, other in zip(results, others, strict=True):
        assert one["tokens"] == other["tokens"]
        np.testing.assert_allclose(one["log_probabilities"], other["log_probabilities"], rtol=0, atol=1e-4)


def test_one_text_a_list_and_a_stream(scorer):
    results = scorer(SENTENCES)
    assert_same(results, [scorer(text) for text in SENTENCES])
    assert_same(results, scorer(iter(SENTENCES)))


def test_long_lists_are_scored_in_parts(scorer, monkeypatch):
    whole = scorer(SENTENCES)
    monkeypatch.setattr(batching.batches, "__defaults__", (30,))
    assert_same(whole, scorer(SENTENCES))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty; there is nothing to score"),
        ("the <mask>", "the text contains <mask>; write the word that is to be scored"),
        ("x" * 600, "the text has 602 tokens, more than the model's 512; shorten it"),
    ],
)
def test_texts_without_a_score(scorer, text, message):
    with pytest.raises(PipelineException, match=message) as caught:
        scorer(["the", text])
    assert caught.value.index == 1


def test_pseudo_perplexity_is_per_token(scorer):
    scores = scorer(SENTENCES)
    values = [value for score in scores for value in score["log_probabilities"]]
    assert len(values) == 8 + 1 + 12 + 2
    assert pseudo_perplexity(iter(scores)) == pytest.approx(math.exp(-sum(values) / len(values)))
    assert pseudo_perplexity(scores) == pytest.approx(
        math.exp(-sum(score["pseudo_log_likelihood"] for score in scores) / len(values))
    )
    with pytest.raises(ValueError, match="there are no scores; give at least one"):
        pseudo_perplexity([])
