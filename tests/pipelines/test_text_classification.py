import collections
import itertools

import numpy as np
import pytest

from distilroberta_np import (
    CheckpointError,
    InputTypeError,
    PipelineException,
    RobertaForSequenceClassification,
    RobertaTokenizer,
    pipeline,
)
from distilroberta_np.models.sequence_classification import sequence_classification_keys
from distilroberta_np.pipelines import TextClassificationPipeline
from tests.support.answers import assert_same
from tests.support.seeded import write_model
from tests.support.seeded_heads import tensors_with_head, write_classifier

LABELS = ["sad", "glad", "mad"]
SEED = 12  # with which every label is some text's
TEXT = "the cat sat"
PAIR = {"text": "the cat", "text_pair": "a cat sat on"}
# Of several lengths, so that some stand together and some don't.
TEXTS = [TEXT, "", "on", "the cat sat on the cat", "Ünïcödé \x00 🙂 שלום", "sat on", "no", " ", "cat " * 100]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return pipeline("text-classification", write_classifier(tmp_path_factory.mktemp("model"), LABELS, seed=SEED))


def with_config(folder, labels, **config):
    """The pipeline of a model with other labels, or of another problem type."""
    return pipeline("text-classification", write_classifier(folder, labels, **config))


def logits_of(classifier, text, pair=None):
    """Of the whole model, called with one text."""
    return classifier.model(np.array([classifier.tokenizer.encode(text, pair)])).logits[0].astype(np.float64)


def assert_scores(answer, expected):
    """A list of a dict a label, best first, against the scores of all labels."""
    order = np.argsort(-expected)
    assert [item["label"] for item in answer] == [LABELS[position] for position in order]
    assert [list(item) for item in answer] == [["label", "score"]] * len(LABELS)
    assert {type(item["score"]) for item in answer} == {float}
    np.testing.assert_allclose([item["score"] for item in answer], expected[order], rtol=2e-5, atol=1e-7)


# -- the result ------------------------------------------------------------------------------------------------------


def test_scores_are_a_softmax_of_the_models_logits(classifier):
    for text, answer in zip(TEXTS, classifier(TEXTS, top_k=None), strict=True):
        exponentials = np.exp(logits_of(classifier, text))
        assert_scores(answer, exponentials / exponentials.sum())
    assert {item["label"] for item in classifier(TEXTS)} == set(LABELS)


def test_how_answers_are_nested(classifier):
    first, second, third = ranked = classifier(TEXT, top_k=None)
    assert first["score"] > second["score"] > third["score"]
    assert classifier(TEXT) == [first]
    assert classifier([TEXT]) == [first]
    assert_same(classifier((TEXT, TEXT)), [first, first])
    assert classifier(TEXT, top_k=1) == [first]
    assert classifier(TEXT, top_k=2) == [first, second]
    assert classifier(TEXT, top_k=np.int64(7)) == ranked
    assert classifier(TEXT, top_k=0) == []
    assert classifier([TEXT], top_k=1) == [[first]]
    assert classifier([TEXT], top_k=None) == [ranked]
    assert classifier([]) == []


def test_a_single_pair_stands_in_no_list(classifier):
    answer = classifier(PAIR)
    assert list(answer) == ["label", "score"]
    assert_same(classifier([PAIR, PAIR]), [answer, answer])
    assert classifier(PAIR, top_k=1) == [answer]
    assert classifier([[["the cat", "a cat sat on"]]]) == [answer], "as pairs were once written"


def test_a_top_k_of_the_pipeline_nests_a_single_text_twice(classifier):
    two = TextClassificationPipeline(classifier.model, classifier.tokenizer, top_k=2)
    ranked = classifier(TEXT, top_k=2)
    assert two(TEXT) == [ranked]
    assert two([TEXT]) == [ranked]
    assert two(PAIR) == classifier(PAIR, top_k=2)
    assert two(TEXT, top_k=1) == ranked[:1]


def test_pairs(classifier):
    ids = classifier.tokenizer.encode("the cat", "a cat sat on")
    assert ids.count(2) == 3, "<s> the cat </s></s> a cat sat on </s>"
    exponentials = np.exp(logits_of(classifier, *PAIR.values()))
    assert_scores(classifier(PAIR, top_k=None), exponentials / exponentials.sum())
    assert classifier(PAIR) != classifier({"text": PAIR["text_pair"], "text_pair": PAIR["text"]})
    mixed = classifier([TEXT, PAIR, {"text": TEXT}, {"text": TEXT, "text_pair": None}])
    alone = classifier(TEXT)[0]
    assert_same(mixed, [alone, classifier(PAIR), alone, alone])


def test_an_empty_second_text_is_none_and_an_empty_first_one_is_a_text(classifier):
    assert classifier({"text": TEXT, "text_pair": ""}) == classifier(TEXT)[0]
    assert classifier({"text": "", "text_pair": TEXT}) != classifier(TEXT)[0]


def test_equal_scores_come_in_the_order_of_their_ids(tmp_path):
    tensors = tensors_with_head(sequence_classification_keys, id2label=dict(enumerate("abcd")))
    tensors["classifier.out_proj.weight"][:] = 0
    tensors["classifier.out_proj.bias"][:] = [0, 1, 0, 1]
    even = pipeline("text-classification", write_model(tmp_path, tensors, id2label=dict(enumerate("abcd"))))
    assert [item["label"] for item in even(TEXT, top_k=None)] == ["b", "d", "a", "c"]
    assert even(TEXT)[0]["label"] == "b"


# -- arguments -------------------------------------------------------------------------------------------------------


FUNCTIONS = {
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "none": lambda x: x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_to_apply(classifier, name):
    expected = FUNCTIONS[name](logits_of(classifier, TEXT))
    assert_scores(classifier(TEXT, top_k=None, function_to_apply=name), expected)
    assert_scores(classifier(TEXT, top_k=None, function_to_apply=name.upper()), expected)
    assert classifier(TEXT, function_to_apply="default") == classifier(TEXT)


@pytest.mark.parametrize(
    ("labels", "problem_type", "function"),
    [
        (LABELS, None, "softmax"),
        (LABELS, "single_label_classification", "softmax"),
        (LABELS, "multi_label_classification", "sigmoid"),
        (LABELS, "regression", "none"),
        (["one"], None, "sigmoid"),
        (["one"], "regression", "none"),
    ],
)
def test_the_default_function_is_the_configs(tmp_path, labels, problem_type, function):
    classifier = with_config(tmp_path, labels, problem_type=problem_type)
    answer = classifier(TEXT, top_k=None)
    expected = np.sort(FUNCTIONS[function](logits_of(classifier, TEXT)))[::-1]
    np.testing.assert_allclose([item["score"] for item in answer], expected, rtol=2e-5)
    default = TextClassificationPipeline(classifier.model, classifier.tokenizer, function_to_apply="sigmoid")
    assert default(TEXT, function_to_apply="default") == classifier(TEXT)


def test_logits_far_out_give_no_warning_and_no_nan(tmp_path):
    tensors = tensors_with_head(sequence_classification_keys, id2label=dict(enumerate(LABELS)))
    tensors["classifier.out_proj.bias"][:] = [-500, 0, 500]
    extreme = pipeline("text-classification", write_model(tmp_path, tensors, id2label=dict(enumerate(LABELS))))
    for name in ("softmax", "sigmoid"):
        scores = {item["label"]: item["score"] for item in extreme(TEXT, top_k=None, function_to_apply=name)}
        assert (scores["sad"], scores["mad"]) == (0, 1)


@pytest.mark.parametrize(
    ("argument", "value", "error", "message"),
    [
        ("top_k", -1, ValueError, "top_k must be at least 0, not -1"),
        ("top_k", True, TypeError, "top_k must be an integer, not a boolean"),
        ("top_k", "2", TypeError, "top_k must be an integer, not '2'"),
        ("function_to_apply", "relu", ValueError, "must be one of sigmoid, softmax, none, default, not 'relu'"),
        ("function_to_apply", 1, ValueError, "function_to_apply must be one of .*, not 1"),
        ("batch_size", 0, ValueError, "batch_size must be at least 1"),
        ("truncation", "last", ValueError, "truncation must be True, False or one of longest_first, .* not 'last'"),
        ("truncation", 1, ValueError, "truncation must be True, False or one of .* not 1"),
        ("max_length", 0, ValueError, "max_length must be at least 1"),
        ("max_length", 2.0, TypeError, "max_length must be an integer"),
        ("padding", "left", ValueError, "padding must be one of True, False, 'longest', .* not 'left'"),
    ],
)
def test_wrong_arguments(classifier, argument, value, error, message):
    with pytest.raises(error, match=message):
        classifier(TEXT, **{argument: value})
    with pytest.raises(error, match=message):
        TextClassificationPipeline(classifier.model, classifier.tokenizer, **{argument: value})


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        (5, TypeError, "input 1 must be a text, not int: 5"),
        (None, TypeError, "input 1 must be a text, not NoneType"),
        ([TEXT, TEXT], PipelineException, r"a list is not a text; write a pair of texts as .* \(input 1\)"),
        ((TEXT, TEXT), PipelineException, "a tuple is not a text"),
        (
            {"text": TEXT, "txt": TEXT},
            PipelineException,
            "the dict has the unknown key 'txt'; write a pair of texts as",
        ),
        ({"text_pair": TEXT}, PipelineException, "the dict has no 'text'"),
        ({"text": [TEXT], "text_pair": [TEXT]}, TypeError, "input 1 must be a text, not list"),
        ({"text": TEXT, "text_pair": 5}, TypeError, "input 1 must be a text, not int"),
        ("\ud800", PipelineException, r"half of a surrogate pair .*\(input 1\)"),
    ],
)
def test_what_is_no_text(classifier, item, error, message):
    with pytest.raises(error, match=message):
        classifier([TEXT, item])
    answers = list(classifier.answers([TEXT, item, TEXT]))
    assert [type(answer) for answer in answers] == [dict, InputTypeError if error is TypeError else error, dict]


@pytest.mark.parametrize("inputs", [5, b"text", None])
def test_what_is_no_input(classifier, inputs):
    with pytest.raises(TypeError, match="inputs must be a text or an iterable of texts"):
        classifier(inputs)


# -- length ----------------------------------------------------------------------------------------------------------


def cat(count):
    """A text of this many tokens, with <s> and </s>."""
    return " cat" * (count - 2)


def test_a_text_too_long_is_refused_by_its_length_and_the_way_out(classifier):
    assert classifier(cat(512))
    message = r"the text has 513 tokens and the model reads at most 512; .* truncation=True \(input 1\)"
    with pytest.raises(PipelineException, match=message) as caught:
        classifier([TEXT, cat(513)])
    assert caught.value.index == 1
    with pytest.raises(PipelineException, match="the pair has 515 tokens"):
        classifier({"text": cat(512), "text_pair": " cat"})


def test_truncation(classifier):
    for truncation in (True, "longest_first", "only_first"):
        assert classifier(cat(600), truncation=truncation) == classifier(cat(512))
    assert classifier(cat(600), truncation=True, max_length=10_000) == classifier(cat(512))
    assert classifier(TEXT, truncation=True, max_length=4) == classifier("the cat")
    for truncation in (False, "do_not_truncate"):
        assert classifier(TEXT, truncation=truncation, max_length=4) == classifier(TEXT)
        with pytest.raises(PipelineException, match="600 tokens"):
            classifier(cat(600), truncation=truncation)


def test_max_length_cuts_by_itself_but_not_together_with_padding(classifier):
    assert classifier(TEXT, max_length=4) == classifier("the cat")
    assert classifier(TEXT, max_length=4, padding=False) == classifier("the cat")
    for padding in (True, "longest", "max_length", "do_not_pad"):
        assert classifier(TEXT, max_length=4, padding=padding) == classifier(TEXT)
        assert classifier(TEXT, max_length=4, padding=padding, truncation=True) == classifier("the cat")


def test_pairs_are_cut_as_truncation_says(classifier):
    pair = {"text": " a cat sat on", "text_pair": " the cat"}
    first, both = {"text": " a", "text_pair": " the cat"}, {"text": " a cat", "text_pair": " the"}
    assert classifier(pair, truncation=True, max_length=7) == classifier(both)
    assert classifier(pair, truncation="only_first", max_length=7) == classifier(first)
    with pytest.raises(PipelineException, match=r"cuts the first text alone, but the other one has 2 tokens"):
        classifier(pair, truncation="only_first", max_length=6)
    with pytest.raises(PipelineException, match="cuts the second text, but there is none"):
        classifier(cat(600), truncation="only_second")
    with pytest.raises(PipelineException, match="max_length is 3, less than the 4 special tokens"):
        classifier(pair, max_length=3)


def test_a_tokenizer_that_says_less_than_the_model_reads_is_where_truncation_cuts(classifier):
    tokenizer = RobertaTokenizer(classifier.tokenizer._tokenizer, {"model_max_length": 10})
    short = TextClassificationPipeline(classifier.model, tokenizer)
    assert short(cat(20), truncation=True) == classifier(cat(10))
    assert short(cat(20), max_length=15) == classifier(cat(15))
    assert short(cat(20)) == classifier(cat(20)), "the model can read it, as in transformers"


# -- many texts ------------------------------------------------------------------------------------------------------


def test_lists_and_streams_answer_as_single_texts_do(classifier):
    inputs = [*TEXTS, PAIR]
    expected = [classifier(text, top_k=None) for text in inputs]
    for batch_size in (None, 1, 3, 100):
        assert_same(classifier(inputs, top_k=None, batch_size=batch_size), expected)
        assert_same(list(classifier(iter(inputs), top_k=None, batch_size=batch_size)), expected)


def test_a_stream_is_read_as_its_results_are_consumed(classifier):
    read = []

    def texts():
        for number in itertools.count():
            read.append(number)
            yield TEXT

    answers = classifier(texts())
    assert read == []
    assert next(answers) == classifier(TEXT)[0]
    assert read == [0]
    list(itertools.islice(classifier(texts(), batch_size=4), 1))
    assert read == [0, 0, 1, 2, 3]


def test_only_the_first_token_of_the_last_layer_is_computed(classifier, monkeypatch):
    positions = []

    def recorded(sequences, selected, *, whole=classifier.model.encode):
        positions.extend(selected)
        return whole(sequences, selected)

    monkeypatch.setattr(classifier.model, "encode", recorded)
    classifier(TEXTS)
    assert positions == [[0]] * len(TEXTS)


# -- making it -------------------------------------------------------------------------------------------------------


def test_both_names_and_a_loaded_model(tmp_path):
    folder = write_classifier(tmp_path, LABELS)
    expected = pipeline("text-classification", folder)(TEXT)
    assert pipeline("sentiment-analysis", folder)(TEXT) == expected
    model, tokenizer = RobertaForSequenceClassification.from_pretrained(folder), RobertaTokenizer.from_folder(folder)
    assert pipeline("text-classification", model, tokenizer)(TEXT) == expected


def test_a_model_is_needed_and_one_with_the_head(tmp_path):
    with pytest.raises(ValueError, match="text-classification needs a fine-tuned model"):
        pipeline("text-classification")
    with pytest.raises(CheckpointError, match="no sequence-classification head"):
        pipeline("text-classification", write_model(tmp_path))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_so_large_that_nothing_can_be_computed_are_no_wrong_answer(tmp_path):
    tensors = tensors_with_head(sequence_classification_keys)
    tensors["classifier.out_proj.weight"][:] = 3e38
    damaged = pipeline("text-classification", write_model(tmp_path, tensors))
    with pytest.raises(CheckpointError, match="the logits contain NaN or infinity"):
        damaged(TEXT)


@pytest.mark.parametrize("side", ["right", "left"])
def test_far_too_long_texts_are_truncated_as_if_all_of_them_were_read(classifier, monkeypatch, side):
    monkeypatch.setattr(classifier.tokenizer, "truncation_side", side)
    text = "the cat sat on the " * 20_000 + "a cat"
    ids = classifier.tokenizer.encode(text)
    expected = [ids[0], *(ids[1:511] if side == "right" else ids[-511:-1]), ids[-1]]
    assert classifier._read(text, None, classifier._options(truncation=True)) == tuple(expected)
    with pytest.raises(PipelineException, match="characters, far more than the model's 512 tokens"):
        classifier(text)


# -- columns -----------------------------------------------------------------------------------------------------------


class Column:
    """A map-style dataset: a length and integer positions."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, position):
        if not isinstance(position, int):
            raise TypeError(position)
        return self.items[position]


@pytest.mark.parametrize("column", [Column, collections.deque, np.array, collections.UserList])
def test_what_has_a_length_and_positions_is_a_list(classifier, column):
    assert classifier(column(TEXTS)) == classifier(TEXTS)
    assert classifier(column(TEXTS[:1])) == classifier(TEXTS[:1])
    assert list(classifier.answers(column(TEXTS))) == list(classifier.answers(TEXTS))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("pandas", "inputs must have one dimension; give one column of the DataFrame"),
        ("polars", "input 0 must be a text, not Series"),
    ],
)
def test_a_series_is_a_list_and_a_table_is_not(classifier, module, message):
    library = pytest.importorskip(module)
    table = library.DataFrame({"text": TEXTS})
    assert classifier(table["text"]) == classifier(TEXTS)
    with pytest.raises(TypeError, match=message):
        classifier(table)


def test_equal_texts_are_computed_once_and_their_results_are_apart(classifier, monkeypatch):
    computed = []
    whole = classifier.model.logits_at
    monkeypatch.setattr(classifier.model, "logits_at", lambda s, p: computed.extend(s) or whole(s, p))
    first, other, second = classifier([TEXTS[0], TEXTS[1], TEXTS[0]])
    assert len(computed) == 2
    assert first == second != other
    first["score"] = 0
    assert second["score"] != 0
