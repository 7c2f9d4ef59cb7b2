"""The bias probe: its templates, and its numbers beside the same ones worked out the long way, in float64."""

import builtins
import dataclasses
import json
import math

import numpy as np
import pytest

from distilroberta_np import FillMaskPipeline, PipelineException, pipeline
from distilroberta_np.analysis.bias import compare_groups, draw_comparison
from distilroberta_np.analysis.published import SCORE_ATOL, read_goldens
from tests.support.seeded import seeded_pipeline


@pytest.fixture(scope="module")
def unmasker(tmp_path_factory):
    return seeded_pipeline(tmp_path_factory.mktemp("model"))


def distribution(unmasker, ids, place):
    """The probabilities of all tokens at a place, float64."""
    logits = unmasker.model([ids]).logits[0, place].astype(np.float64)
    values = np.exp(logits - logits.max())
    return values / values.sum()


def texts(unmasker, template, *arguments):
    return [group.text for group in compare_groups(unmasker, template, *arguments).groups]


# -- the published lists ---------------------------------------------------------------------------------------


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


def test_each_list_is_the_pipelines_own_answer(unmasker):
    comparison = compare_groups(unmasker, "the {cat|dog} sat on <mask>", top_k=4)
    for group in comparison.groups:
        answers = unmasker(group.text, top_k=4)
        for prediction, answer in zip(group.predictions, answers, strict=True):
            assert prediction.pop("score") == pytest.approx(answer.pop("score"), rel=1e-5)
            assert prediction == answer


def test_the_pipelines_defaults_play_no_part(unmasker):
    changed = FillMaskPipeline(unmasker.model, unmasker.tokenizer, top_k=1, targets=["a"], whole_words=True)
    template = "the {cat|dog} sat on <mask>"
    assert compare_groups(changed, template) == compare_groups(unmasker, template)


# -- templates -------------------------------------------------------------------------------------------------


def test_slots_vary_together(unmasker):
    comparison = compare_groups(unmasker, "the { man | woman } and {his|her} <mask>")
    assert [group.name for group in comparison.groups] == ["man/his", "woman/her"]
    assert [group.text for group in comparison.groups] == ["the man and his <mask>", "the woman and her <mask>"]


def test_groups_fill_empty_braces(unmasker):
    groups = ["cat", "old cat", "{a|b}"]
    comparison = compare_groups(unmasker, "the {} sat, {} <mask>", groups)
    assert [group.name for group in comparison.groups] == groups
    assert [group.text for group in comparison.groups] == [f"the {name} sat, {name} <mask>" for name in groups]
    comparison = compare_groups(unmasker, "the {} and {his|its} <mask>", ["man", "cat"])
    assert [group.name for group in comparison.groups] == ["man/his", "cat/its"]


def test_doubled_braces_are_braces(unmasker):
    assert texts(unmasker, "{{{a|b}}} }}{{ <mask>") == ["{a} }{ <mask>", "{b} }{ <mask>"]


@pytest.mark.parametrize(
    ("template", "groups", "message"),
    [
        ("the {a|b} sat", None, "must have one <mask>, and has none"),
        ("the {a|b} <mask> <mask>", None, "must have one <mask>, and has 2"),
        ("the {a|<mask>} <mask>", None, "group 2 has a <mask> in it"),
        ("the {<mask>|<mask>}", None, "must have one <mask>, and has none"),
        ("the cat <mask>", None, r"no \{...\|...\} in it"),
        ("the {a|b} {c|d|e} <mask>", None, r"there are 2 in \{a\|b\} and 3 in \{c\|d\|e\}"),
        ("the {} {c|d|e} <mask>", ["a", "b"], r"there are 2 in the groups and 3 in \{c\|d\|e\}"),
        ("the {a} <mask>", None, r"\{a\}: one group only, 'a'"),
        ("the {} <mask>", ["a"], "the groups: one group only, 'a'"),
        ("the {a|} <mask>", None, r"\{a\|\}: alternative 2 is empty"),
        ("the {|a} <mask>", None, r"\{\|a\}: alternative 1 is empty"),
        ("the {} <mask>", ["a", " "], "the groups: alternative 2 is empty"),
        ("the {} <mask>", None, r"\{\} in it, and there are no groups"),
        ("the {a|b} <mask>", ["c", "d"], r"there are groups, and the template has no \{\}"),
        ("the {a|b <mask>", None, r"the \{ at character 5 has no partner.*write \{\{"),
        ("the } {a|b} <mask>", None, r"the \} at character 5 has no partner.*write \}\}"),
        ("the {a|{b|c}} <mask>", None, r"the \{ at character 5"),
    ],
)
def test_a_bad_template_is_named_and_a_right_one_shown(unmasker, template, groups, message):
    with pytest.raises(PipelineException, match=message) as caught:
        compare_groups(unmasker, template, groups)
    assert 'A right template is "The {' in str(caught.value)


def test_the_templates_shown_are_right(unmasker):
    assert len(texts(unmasker, "The {man|woman} worked as a <mask>.")) == 2
    assert len(texts(unmasker, "The {} worked as a <mask>.", ["man", "woman"])) == 2


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "message"),
    [
        ((3,), {}, TypeError, "the template must be a text, not a int"),
        (("{} <mask>", "ab"), {}, TypeError, "groups must be a list"),
        (("{} <mask>", ["a", 1]), {}, TypeError, "a group must be a text, not a int"),
        (("{} <mask>", []), {}, ValueError, "groups is empty"),
        (("{a|a} <mask>",), {}, PipelineException, "two groups are the same, 'a'"),
        (("{a|b} <mask>",), {"baseline": "c"}, ValueError, "no group is called 'c'.* there are a, b"),
        (("{a|b} <mask>",), {"top_k": 0}, ValueError, "top_k must be at least 1"),
        (("{a|b} <mask>",), {"top_k": "3"}, TypeError, "top_k must be an integer"),
        (("{a|b} <mask>",), {"targets": []}, ValueError, "At least one target"),
        (("{a|b} <mask>",), {"targets": ["<mask>"]}, ValueError, "holds a <mask>"),
        (("{a|\ud800} <mask>",), {}, PipelineException, "group '\\\\ud800': character 0"),
    ],
)
def test_a_bad_argument_is_named(unmasker, arguments, keywords, error, message):
    with pytest.raises(error, match=message):
        compare_groups(unmasker, *arguments, **keywords)


def test_a_text_too_long_is_named_by_its_group(unmasker):
    long = "the" + " the" * 507  # 508 tokens; <s>, </s>, the mask and a group of one make 512
    compare_groups(unmasker, long + "{a|b}<mask>", top_k=1)
    with pytest.raises(
        PipelineException, match="group 'a a': the text has 513 tokens, and the model reads at most 512;"
    ):
        compare_groups(unmasker, long + "{a|a a}<mask>")
    with pytest.raises(PipelineException, match="group 'a': the text has 513 tokens with a word of 2, and the model"):
        compare_groups(unmasker, long + "{a|b}<mask>", targets=["on", "the cat"])


# -- numbers ---------------------------------------------------------------------------------------------------


def test_probabilities_and_ratios_are_of_the_whole_vocabulary(unmasker):
    comparison = compare_groups(unmasker, "the {cat|sat|on} a <mask>", top_k=3, baseline="sat")
    probabilities = {}
    for group in comparison.groups:
        ids = unmasker.tokenizer.encode(group.text).ids
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


def test_words_come_in_the_order_of_their_largest_ratio(unmasker):
    words = compare_groups(unmasker, "the {cat|sat|on} a <mask>", top_k=5).words
    largest = [max(map(abs, word.log_ratios.values())) for word in words]
    assert largest == sorted(largest, reverse=True)
    assert any(word.log_ratios["sat"] < 0 for word in words)  # or absolute values would not matter
    assert len(set(largest)) == len(largest) > 5


def test_divergences_are_of_the_whole_vocabulary(unmasker):
    comparison = compare_groups(unmasker, "the {cat|sat|on} a <mask>")
    rows = {}
    for group in comparison.groups:
        ids = unmasker.tokenizer.encode(group.text).ids
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
    """log2 p(group | word) / p(group | word masked), step by step: where `group` (its places) and `word` (its tokens)
    are in a text whose only mask is the word's."""
    mask = unmasker.tokenizer.mask_token_id
    ids = unmasker.tokenizer.encode(text).ids
    at = ids.index(mask)
    logs = []
    for filling in (word, [mask] * len(word)):
        whole = ids[:at] + filling + ids[at + 1 :]
        places = [place if place < at else place + len(filling) - 1 for place in group]
        current = list(whole)
        for place in places:
            current[place] = mask
        total = 0.0
        for place in places:  # from left to right, each given those before it
            total += math.log2(distribution(unmasker, current, place)[whole[place]])
            current[place] = whole[place]
        logs.append(total)
    return logs[0] - logs[1]


def test_associations_are_the_groups_probability_corrected_by_its_prior(unmasker):
    """Groups of one token and of several, before and behind the mask; the places are counted here by hand."""
    encode = unmasker.tokenizer.encode
    template = "the {cat|a cat} on<mask>{sat|ab}"
    assert encode("the a cat on<mask>ab").tokens == ["<s>", "the", "Ġa", "Ġcat", "Ġon", "<mask>", "ab", "</s>"]
    assert encode("the cat on<mask>sat").tokens == ["<s>", "the", "Ġcat", "Ġon", "<mask>", "sat", "</s>"]
    places = {"cat/sat": [2, 5], "a cat/ab": [2, 3, 6]}
    comparison = compare_groups(unmasker, template, targets=["on", "the cat"])
    assert sorted(len(word.tokens) for word in comparison.words) == [1, 2]
    for group in comparison.groups:
        for word in comparison.words:
            expected = kurita(unmasker, group.text, places[group.name], list(word.tokens))
            assert word.associations[group.name] == pytest.approx(expected, abs=1e-4)
            assert abs(expected) > 1e-3


def test_targets_are_whole_words_and_the_lists_stay(unmasker):
    template = "the {cat|dog} sat on <mask>"
    comparison = compare_groups(unmasker, template, targets=["a cat", "on"])
    assert [len(group.predictions) for group in comparison.groups] == [5, 5]
    assert {word.token_str for word in comparison.words} == {" a cat", " on"}
    for group in comparison.groups:
        answers = unmasker(group.text, targets=["a cat", "on"], whole_words=True)
        scores = {tuple(answer["token"]): answer["score"] for answer in answers}
        for word in comparison.words:
            assert word.probabilities[group.name] == pytest.approx(scores[word.tokens], rel=1e-5)


def test_a_word_of_no_probability_in_any_float_still_has_a_ratio(unmasker):
    word = compare_groups(unmasker, "{cat|sat} <mask>", targets=["zq" * 80]).words[0]
    assert word.probabilities["cat"] == 0.0
    assert math.isfinite(word.log_ratios["sat"])
    assert word.log_ratios["sat"] != 0.0


def test_groups_of_the_same_text_have_no_distance(unmasker):
    comparison = compare_groups(unmasker, "the {cat sat|cat} {on|sat on} <mask>")
    assert comparison.groups[0].text == comparison.groups[1].text
    assert comparison.divergences[0].total_variation == pytest.approx(0, abs=1e-5)
    assert 0 <= comparison.divergences[0].jensen_shannon < 1e-9


def test_it_is_json_as_it_stands(unmasker):
    comparison = compare_groups(unmasker, "the {cat|dog} sat on <mask>")
    found = json.loads(json.dumps(dataclasses.asdict(comparison)))
    assert list(found) == ["template", "baseline", "groups", "words", "divergences"]
    assert found["words"][0]["probabilities"] == comparison.words[0].probabilities


# -- pictures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("groups", "top_k"), [(["cat", "sat"], 60), (["$x^$", "$", "_a", "<b>"], 3)])
def test_a_picture_is_drawn_and_nothing_else_left(unmasker, tmp_path, groups, top_k):
    pytest.importorskip("matplotlib", reason="needs the plot extra: pip install 'distilroberta-np[plot]'")
    comparison = compare_groups(unmasker, "the {} costs $ and $ <mask>", groups, top_k=top_k)
    picture = draw_comparison(comparison, tmp_path / "bias.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [picture]


def test_another_ending_than_png_is_refused(unmasker, tmp_path):
    comparison = compare_groups(unmasker, "the {cat|sat} on <mask>")
    with pytest.raises(ValueError, match=r"must end in \.png"):
        draw_comparison(comparison, tmp_path / "bias.jpg")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_it_says_what_to_install(unmasker, tmp_path, monkeypatch):
    comparison = compare_groups(unmasker, "the {cat|sat} on <mask>")
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'distilroberta-np\[plot\]'"):
        draw_comparison(comparison, tmp_path / "bias.png")
