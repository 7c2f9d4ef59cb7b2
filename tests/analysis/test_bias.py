"""`compare_groups`: every number is compared with the same one computed step by step, in float64."""

import dataclasses
import json
import math

import numpy as np
import pytest

from distilroberta_np import FillMaskPipeline, PipelineException, pipeline
from distilroberta_np.analysis.bias import compare_groups
from distilroberta_np.analysis.published import SCORE_ATOL, read_goldens
from tests.support.seeded import seeded_pipeline


@pytest.fixture(scope="module")
def unmasker(tmp_path_factory):
    return seeded_pipeline(tmp_path_factory.mktemp("model"))


def distribution(unmasker, ids, position):
    """The probabilities of all tokens at a position, (V,) float64."""
    logits = unmasker.model([ids]).logits[0, position].astype(np.float64)
    values = np.exp(logits - logits.max())
    return values / values.sum()


def test_the_model_cards_two_lists_come_from_one_template(published_weights):
    card = {example["input"]: example["output"] for example in read_goldens()["model_card"]}
    comparison = compare_groups(pipeline("fill-mask", published_weights), "The {man|woman} worked as a <mask>.")
    assert [group.name for group in comparison.groups] == ["man", "woman"]
    for group in comparison.groups:
        published = card[group.text]
        assert [prediction | {"score": None} for prediction in group.predictions] == [
            prediction | {"score": None} for prediction in published
        ]
        for ours, theirs in zip(group.predictions, published, strict=True):
            assert ours["score"] == pytest.approx(theirs["score"], abs=SCORE_ATOL)
    words = {word.token_str: word for word in comparison.words}
    assert len(words) == 7
    # By the card's own scores.
    assert words[" waitress"].log_ratios["woman"] == pytest.approx(math.log2(0.2315 / 0.0897), abs=0.01)
    assert words[" waiter"].log_ratios["woman"] == pytest.approx(math.log2(0.0756 / 0.1238), abs=0.01)


def test_the_predictions_are_the_pipelines(unmasker):
    comparison = compare_groups(unmasker, "the {cat|dog} sat on <mask>", top_k=4)
    for group in comparison.groups:
        answers = unmasker(group.text, top_k=4)
        for prediction, answer in zip(group.predictions, answers, strict=True):
            assert prediction.pop("score") == pytest.approx(answer.pop("score"), rel=1e-5)
            assert prediction == answer


def test_the_pipelines_defaults_are_not_used(unmasker):
    changed = FillMaskPipeline(unmasker.model, unmasker.tokenizer, top_k=1, targets=["a"], whole_words=True)
    template = "the {cat|dog} sat on <mask>"
    assert compare_groups(changed, template) == compare_groups(unmasker, template)


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "message"),
    [
        ((3,), {}, TypeError, "the template must be a string, not int"),
        (("{} <mask>", "ab"), {}, TypeError, "groups must be a list"),
        (("{} <mask>", ["a", 1]), {}, TypeError, "groups: every item must be a string, not 1"),
        (("{} <mask>", []), {}, ValueError, "groups is empty"),
        (("{a|a} <mask>",), {}, PipelineException, "two groups are the same, 'a'"),
        (("{a|b} <mask>",), {"baseline": "c"}, ValueError, "baseline 'c' is not a group; the groups are a, b"),
        (("{a|b} <mask>",), {"top_k": 0}, ValueError, "top_k must be at least 1"),
        (("{a|b} <mask>",), {"top_k": "3"}, TypeError, "top_k must be an integer"),
        (("{a|b} <mask>",), {"targets": []}, ValueError, "At least one target"),
        (("{a|b} <mask>",), {"targets": ["<mask>"]}, ValueError, "contains <mask>"),
        (("{a|\ud800} <mask>",), {}, PipelineException, "group '\\\\ud800': character 0"),
    ],
)
def test_an_invalid_argument_is_named(unmasker, arguments, keywords, error, message):
    with pytest.raises(error, match=message):
        compare_groups(unmasker, *arguments, **keywords)


def test_a_text_too_long_is_named_by_its_group(unmasker):
    long = "the" + " the" * 507  # 508 tokens; <s>, </s>, the mask and a group of one make 512
    compare_groups(unmasker, long + "{a|b}<mask>", top_k=1)
    with pytest.raises(PipelineException, match="group 'a a': the text has 513 tokens, more than the model's 512;"):
        compare_groups(unmasker, long + "{a|a a}<mask>")
    with pytest.raises(PipelineException, match="group 'a': the text has 513 tokens with a word of 2, more"):
        compare_groups(unmasker, long + "{a|b}<mask>", targets=["on", "the cat"])


def test_probabilities_and_ratios_match_the_softmax_over_the_vocabulary(unmasker):
    comparison = compare_groups(unmasker, "the {cat|sat|on} a <mask>", top_k=3, baseline="sat")
    probabilities = {}
    for group in comparison.groups:
        ids = unmasker.tokenizer.encode(group.text)
        probabilities[group.name] = distribution(unmasker, ids, len(ids) - 2)
    assert comparison.baseline == "sat"
    lists = [item["token"] for group in comparison.groups for item in group.predictions]
    assert len(lists) == 9
    assert {word.tokens for word in comparison.words} == {(token,) for token in lists}
    for word in comparison.words:
        assert word.token_str == unmasker.tokenizer.decode(word.tokens)
        for name, row in probabilities.items():
            (token,) = word.tokens
            assert word.probabilities[name] == pytest.approx(row[token], rel=1e-5)
            expected = math.log2(row[token] / probabilities["sat"][token])
            assert word.log_ratios[name] == pytest.approx(expected, abs=1e-5)


def test_words_are_sorted_by_their_largest_ratio(unmasker):
    words = compare_groups(unmasker, "the {cat|sat|on} a <mask>", top_k=5).words
    largest = [max(map(abs, word.log_ratios.values())) for word in words]
    assert largest == sorted(largest, reverse=True)
    assert any(word.log_ratios["sat"] < 0 for word in words)  # or absolute values would not matter
    assert len(set(largest)) == len(largest) > 5


def test_divergences_match_their_definitions(unmasker):
    comparison = compare_groups(unmasker, "the {cat|sat|on} a <mask>")
    rows = {}
    for group in comparison.groups:
        ids = unmasker.tokenizer.encode(group.text)
        rows[group.name] = distribution(unmasker, ids, len(ids) - 2)

    def entropy(row):
        return -(row * np.log2(row)).sum()

    pairs = [(pair.first, pair.second) for pair in comparison.divergences]
    assert pairs == [("cat", "sat"), ("cat", "on"), ("sat", "on")]
    for pair in comparison.divergences:
        p, q = rows[pair.first], rows[pair.second]
        assert pair.total_variation == pytest.approx(np.abs(p - q).sum() / 2, rel=1e-4)
        assert pair.jensen_shannon == pytest.approx(entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2, rel=1e-4)
        assert 0.01 < pair.jensen_shannon < pair.total_variation < 1


def kurita(unmasker, text, group, word):
    """log2 p(group | word) / p(group | word masked), step by step. `group` holds positions in the text, whose mask is
    the word's, and `word` the word's ids."""
    mask = unmasker.tokenizer.mask_token_id
    ids = unmasker.tokenizer.encode(text)
    at = ids.index(mask)
    logs = []
    for filling in (word, [mask] * len(word)):
        whole = ids[:at] + filling + ids[at + 1 :]
        positions = [position if position < at else position + len(filling) - 1 for position in group]
        current = list(whole)
        for position in positions:
            current[position] = mask
        total = 0.0
        for position in positions:  # from left to right, each given those before it
            total += math.log2(distribution(unmasker, current, position)[whole[position]])
            current[position] = whole[position]
        logs.append(total)
    return logs[0] - logs[1]


def test_associations_are_log_probabilities_minus_the_prior(unmasker):
    """Groups of one token and of several, before and after the mask; the positions are counted by hand."""
    tokenize = unmasker.tokenizer.tokenize
    template = "the {cat|a cat} on<mask>{sat|ab}"
    assert tokenize("the a cat on<mask>ab", add_special_tokens=True) == [
        "<s>",
        "the",
        "Ġa",
        "Ġcat",
        "Ġon",
        "<mask>",
        "ab",
        "</s>",
    ]
    assert tokenize("the cat on<mask>sat", add_special_tokens=True) == [
        "<s>",
        "the",
        "Ġcat",
        "Ġon",
        "<mask>",
        "sat",
        "</s>",
    ]
    positions = {"cat/sat": [2, 5], "a cat/ab": [2, 3, 6]}
    comparison = compare_groups(unmasker, template, targets=["on", "the cat"])
    assert sorted(len(word.tokens) for word in comparison.words) == [1, 2]
    for group in comparison.groups:
        for word in comparison.words:
            expected = kurita(unmasker, group.text, positions[group.name], list(word.tokens))
            assert word.associations[group.name] == pytest.approx(expected, abs=1e-4)
            assert abs(expected) > 1e-3


def test_targets_are_whole_words(unmasker):
    template = "the {cat|dog} sat on <mask>"
    comparison = compare_groups(unmasker, template, targets=["a cat", "on"])
    assert [len(group.predictions) for group in comparison.groups] == [5, 5]
    assert {word.token_str for word in comparison.words} == {" a cat", " on"}
    for group in comparison.groups:
        answers = unmasker(group.text, targets=["a cat", "on"], whole_words=True)
        scores = {tuple(answer["token"]): answer["score"] for answer in answers}
        for word in comparison.words:
            assert word.probabilities[group.name] == pytest.approx(scores[word.tokens], rel=1e-5)


def test_a_probability_below_the_float_range_still_has_a_ratio(unmasker):
    word = compare_groups(unmasker, "{cat|sat} <mask>", targets=["zq" * 80]).words[0]
    assert word.probabilities["cat"] == 0.0
    assert math.isfinite(word.log_ratios["sat"])
    assert word.log_ratios["sat"] != 0.0


def test_groups_of_the_same_text_have_no_distance(unmasker):
    comparison = compare_groups(unmasker, "the {cat sat|cat} {on|sat on} <mask>")
    assert comparison.groups[0].text == comparison.groups[1].text
    assert comparison.divergences[0].total_variation == pytest.approx(0, abs=1e-5)
    assert 0 <= comparison.divergences[0].jensen_shannon < 1e-9


def test_the_result_can_be_written_as_json(unmasker):
    comparison = compare_groups(unmasker, "the {cat|dog} sat on <mask>")
    found = json.loads(json.dumps(dataclasses.asdict(comparison)))
    assert list(found) == ["template", "baseline", "groups", "words", "divergences"]
    assert found["words"][0]["probabilities"] == comparison.words[0].probabilities
