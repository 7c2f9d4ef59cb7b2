import warnings

import numpy as np
import pytest

from distilroberta_np import InputTypeError, PipelineException, RobertaTokenizer, TokenizerError, pipeline
from distilroberta_np.models.sequence_classification import sequence_classification_keys
from distilroberta_np.pipelines import ZeroShotClassificationPipeline
from tests.support.answers import assert_same
from tests.support.seeded import write_model
from tests.support.seeded_heads import tensors_with_head, write_classifier

NLI = ["contradiction", "neutral", "Entailment"]
TEXT = "the cat sat on"
TEXTS = [TEXT, "on", "the cat sat on the cat", "Ünïcödé \x00 🙂 שלום", " ", "cat " * 100]
LABELS = ["a cat", "the", "no, nothing"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return pipeline("zero-shot-classification", write_classifier(tmp_path_factory.mktemp("model"), NLI, seed=4))


def logits_of(classifier, text, label, template="This example is {}."):
    """Of the whole model, called with a pair."""
    ids = classifier.tokenizer.encode(text, template.format(label))
    return classifier.model(np.array([ids])).logits[0].astype(np.float64)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def assert_answer(answer, text, labels, expected):
    """An answer against the scores of the labels in their order."""
    assert list(answer) == ["sequence", "labels", "scores"]
    order = np.argsort(-expected)
    assert answer["sequence"] == text
    assert answer["labels"] == [labels[position] for position in order]
    assert {type(score) for score in answer["scores"]} == {float}
    np.testing.assert_allclose(answer["scores"], expected[order], rtol=2e-5)


# -- the result ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["This example is {}.", "{}", "{0} sat on {0}", "a {:>9}"])
def test_scores_are_a_softmax_of_the_entailment_logits(classifier, template):
    answers = classifier(TEXTS, LABELS, hypothesis_template=template)
    for text, answer in zip(TEXTS, answers, strict=True):
        logits = np.array([logits_of(classifier, text, label, template) for label in LABELS])
        assert_answer(answer, text, LABELS, softmax(logits[:, 2]))


def test_several_labels_are_each_weighed_against_contradiction(classifier):
    for text, answer in zip(TEXTS, classifier(TEXTS, LABELS, multi_label=True), strict=True):
        logits = np.array([logits_of(classifier, text, label) for label in LABELS])
        assert_answer(answer, text, LABELS, softmax(logits[:, [0, 2]])[:, 1])


def test_a_single_label_is_weighed_against_contradiction(classifier):
    expected = softmax(logits_of(classifier, TEXT, "a cat")[[0, 2]])[1:]
    assert_answer(classifier(TEXT, "a cat"), TEXT, ["a cat"], expected)
    assert_answer(classifier(TEXT, ["a cat"], multi_label=False), TEXT, ["a cat"], expected)


def test_one_text_a_list_and_a_stream(classifier):
    answer = classifier(TEXT, LABELS)
    assert classifier([TEXT], LABELS) == [answer]
    assert_same(classifier((TEXT, TEXT), LABELS), [answer] * 2)
    assert classifier([], LABELS) == []
    expected = [classifier(text, LABELS) for text in TEXTS]
    for batch_size in (None, 1, 4):
        assert_same(classifier(TEXTS, LABELS, batch_size=batch_size), expected)
        assert_same(list(classifier(iter(TEXTS), LABELS, batch_size=batch_size)), expected)
    read = []
    stream = classifier((read.append(text) or text for text in TEXTS), LABELS)
    assert read == []
    next(stream)
    assert read == TEXTS[:1]


# -- labels ----------------------------------------------------------------------------------------------------------


def test_labels_however_they_are_given(classifier):
    expected = classifier(TEXT, ["a cat", "the"])
    for labels in ("a cat, the", " a cat ,,the,", ("a cat", "the"), np.array(["a cat", "the"]), iter(["a cat", "the"])):
        assert classifier(TEXT, labels) == expected
    assert classifier(TEXT, candidate_labels="a cat,the") == expected
    assert classifier(TEXT, [" a cat"])["labels"] == [" a cat"], "labels of a list stay as they are"


def test_defaults_of_the_pipeline(classifier):
    made = ZeroShotClassificationPipeline(
        classifier.model, classifier.tokenizer, candidate_labels=LABELS, hypothesis_template="a {}", multi_label=True
    )
    expected = classifier(TEXT, LABELS, hypothesis_template="a {}", multi_label=True)
    assert made(TEXT) == expected
    assert made(TEXT, ["on", "the"]) == classifier(TEXT, ["on", "the"], hypothesis_template="a {}", multi_label=True)
    assert made(TEXT, hypothesis_template="{}", multi_label=False) == classifier(TEXT, LABELS, hypothesis_template="{}")
    assert made(TEXT) == expected


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (None, ValueError, "give candidate_labels"),
        ([], ValueError, "You must include at least one label and at least one sequence"),
        (" , ", ValueError, "You must include at least one label"),
        (5, TypeError, "candidate_labels must be a list of strings, not 5"),
        ({"a": 1}, TypeError, "candidate_labels must be a list of strings"),
        (["a", 2], TypeError, "every item must be a string, not 2"),
        (["a", "\ud800"], TokenizerError, "the label '.ud800', in its template: character 16 of the text"),
    ],
)
def test_wrong_labels(classifier, labels, error, message):
    with pytest.raises(error, match=message):
        classifier(TEXT, labels)


@pytest.mark.parametrize(
    ("template", "error", "message"),
    [
        ("This is it.", ValueError, 'The provided hypothesis_template "This is it." was not able to be formatted'),
        ("{} and {}", ValueError, "can't be filled with a label .*; write {} for the label"),
        ("{label}", ValueError, r"hypothesis_template '{label}' can't be filled with a label \('label'\)"),
        ("{", ValueError, "can't be filled with a label"),
        ("{0.nothing}", ValueError, "can't be filled with a label"),
        (5, TypeError, "hypothesis_template must be a string, not 5"),
    ],
)
def test_wrong_templates(classifier, template, error, message):
    with pytest.raises(error, match=message):
        classifier(TEXT, LABELS, hypothesis_template=template)


def test_other_wrong_arguments(classifier):
    with pytest.raises(TypeError, match="multi_label must be True or False, not 1"):
        classifier(TEXT, LABELS, multi_label=1)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        classifier(TEXT, LABELS, batch_size=0)
    with pytest.raises(ValueError, match="Unable to understand extra arguments"):
        classifier(TEXT, LABELS, "This is {}.")
    with pytest.raises(ValueError, match="Unable to understand extra arguments"):
        classifier(TEXT, LABELS, candidate_labels=LABELS)


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        ("", PipelineException, r"You must include at least one label and at least one sequence. \(input 1\)"),
        (["a", "b"], TypeError, "input 1 must be a text, not list"),
        (5, TypeError, "input 1 must be a text, not int"),
    ],
)
def test_what_is_no_text(classifier, item, error, message):
    with pytest.raises(error, match=message):
        classifier([TEXT, item], LABELS)
    answers = list(classifier.answers([TEXT, item, TEXT], candidate_labels=LABELS))
    assert [type(answer) for answer in answers] == [dict, InputTypeError if error is TypeError else error, dict]


# -- entailment ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "entailment", "contradiction"),
    [
        (["ENTAILMENT", "NEUTRAL", "CONTRADICTION"], 0, 2),
        (["contradiction", "entailed", "neutral"], 1, 0),
        (["not_entailment", "entailment"], 1, 0),
    ],
)
def test_entailment_is_found_by_its_name(tmp_path, names, entailment, contradiction):
    other = pipeline("zero-shot-classification", write_classifier(tmp_path, names, seed=4))
    assert other.entailment_id == entailment
    logits = np.array([logits_of(other, TEXT, label) for label in LABELS])
    assert_answer(other(TEXT, LABELS), TEXT, LABELS, softmax(logits[:, entailment]))
    expected = softmax(logits[:, [contradiction, entailment]])[:, 1]
    assert_answer(other(TEXT, LABELS, multi_label=True), TEXT, LABELS, expected)


def test_without_its_name_the_last_label_is_taken_with_a_warning(tmp_path):
    folder = write_classifier(tmp_path, ["LABEL_0", "LABEL_1", "LABEL_2"], seed=4)
    with pytest.warns(UserWarning, match="Failed to determine 'entailment' label id") as caught:
        other = pipeline("zero-shot-classification", folder)
    assert caught[0].filename == __file__, "a warning must point at the user's call"
    assert other.entailment_id == -1
    logits = np.array([logits_of(other, TEXT, label) for label in LABELS])
    assert_answer(other(TEXT, LABELS), TEXT, LABELS, softmax(logits[:, 2]))
    assert_answer(other(TEXT, LABELS, multi_label=True), TEXT, LABELS, softmax(logits[:, [0, 2]])[:, 1])


def test_logits_far_out_give_no_warning_and_no_nan(tmp_path):
    tensors = tensors_with_head(sequence_classification_keys, id2label=dict(enumerate(NLI)))
    tensors["classifier.out_proj.weight"] *= 1000
    far = pipeline("zero-shot-classification", write_model(tmp_path, tensors, id2label=dict(enumerate(NLI))))
    assert max(abs(logits_of(far, TEXT, label)).max() for label in LABELS) > 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sum(far(TEXT, LABELS)["scores"]) == pytest.approx(1)
        assert all(0 <= score <= 1 for score in far(TEXT, LABELS, multi_label=True)["scores"])


# -- length ----------------------------------------------------------------------------------------------------------


def test_a_long_text_is_cut_next_to_each_label(classifier):
    long = " cat" * 600
    labels = ["a", "the cat sat on the cat"]
    logits = []
    for label in labels:
        special = len(classifier.tokenizer.encode("", f"This example is {label}."))
        assert len(classifier.tokenizer.encode(" cat" * (512 - special))) == 514 - special
        logits.append(logits_of(classifier, " cat" * (512 - special), label)[2])
    assert_answer(classifier(long, labels), long, labels, softmax(np.array(logits)))


def test_a_label_that_leaves_no_room_is_named(classifier):
    longest = " cat" * 507  # next to which one token of a text has room
    answer = classifier(TEXT, ["a", longest], hypothesis_template="{}")
    logits = [logits_of(classifier, TEXT, "a", "{}")[2], logits_of(classifier, "the", longest, "{}")[2]]
    assert_answer(answer, TEXT, ["a", longest], softmax(np.array(logits)))
    with pytest.raises(PipelineException, match=r"the label ' cat cat.* has 508 tokens with its template.* no room"):
        classifier(TEXT, ["a", longest + " cat"], hypothesis_template="{}")


def test_a_tokenizer_that_says_less_than_the_model_reads_is_where_texts_are_cut(classifier):
    tokenizer = RobertaTokenizer(classifier.tokenizer._tokenizer, {"model_max_length": 10})
    short = ZeroShotClassificationPipeline(classifier.model, tokenizer)
    assert len(tokenizer.encode("the cat sat", "the cat on")) == 10
    assert len(tokenizer.encode("the cat sat on the", "a")) == 10
    kept = {"the cat on": "the cat sat", "a": "the cat sat on the"}
    cut = softmax(np.array([logits_of(classifier, text, label, "{}")[2] for label, text in kept.items()]))
    text = "the cat sat on the cat"
    assert_answer(short(text, list(kept), hypothesis_template="{}"), text, list(kept), cut)
    # Where nothing would be left of the text, it stays whole, as in transformers.
    label = "the cat sat on a cat"
    expected = softmax(np.array([logits_of(classifier, TEXT, label, "{}")[[0, 2]]]))[:, 1]
    assert_answer(short(TEXT, label, hypothesis_template="{}"), TEXT, [label], expected)
