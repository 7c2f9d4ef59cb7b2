"""Text and zero-shot classification: transformers' result, or where that crashes or drops input, ours next to it."""

from __future__ import annotations

import itertools
import warnings
from functools import partial
from unittest.mock import patch

import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from distilroberta_np import PipelineException, RobertaForSequenceClassification, RobertaTokenizer  # noqa: E402
from distilroberta_np.pipelines import TextClassificationPipeline, ZeroShotClassificationPipeline  # noqa: E402
from tests.support import answers  # noqa: E402
from tests.support.transformers_models import DISTILROBERTA, randomise  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:.*num_workers")]

SHAPE = DISTILROBERTA | {"hidden_size": 48, "num_hidden_layers": 2, "intermediate_size": 100}
LABELS = ["contradiction", "neutral", "entailment"]
# An error of a logit is a relative one of its score; test_models_with_a_head.py says how far logits differ.
SCORE_RTOL = 2e-5

TEXT = "A nice film, I'd say."
OTHER = "It was no waste of an evening."
PAIR = {"text": TEXT, "text_pair": OTHER}
TEXTS = [
    TEXT,
    "",
    " ",
    "no",
    "  spaces   and\ttabs\n ",
    "Zażółć gęślą jaźń 🙂👩‍👩‍👧 שלום 日本語 e\u0301",
    "<s> typed specials </s> <mask> <unk>",
    "nul \x00",
    "The quick brown fox jumps over the lazy dog. " * 20,
]


class Sides:
    """transformers' pipelines and ours, on the same weights and tokenizer."""

    def __init__(self, folder, tokenizer_json, reference_tokenizer, labels=LABELS, seed=0, **config):
        names = dict(enumerate(labels))
        config = transformers.RobertaConfig(
            **SHAPE, id2label=names, label2id={v: k for k, v in names.items()}, **config
        )
        self.reference_model = transformers.RobertaForSequenceClassification._from_config(config).eval()
        randomise(self.reference_model, seed)
        self.reference_model.save_pretrained(folder)
        self.model = RobertaForSequenceClassification.from_pretrained(folder)
        self.reference_tokenizer = reference_tokenizer
        self.tokenizer = RobertaTokenizer.from_folder(tokenizer_json.parent)

    def text(self, **parameters):
        return (
            transformers.pipeline(
                "text-classification", model=self.reference_model, tokenizer=self.reference_tokenizer, **parameters
            ),
            TextClassificationPipeline(self.model, self.tokenizer, **parameters),
        )

    def zero_shot(self, **parameters):
        return (
            transformers.pipeline(
                "zero-shot-classification", model=self.reference_model, tokenizer=self.reference_tokenizer, **parameters
            ),
            ZeroShotClassificationPipeline(self.model, self.tokenizer, **parameters),
        )


@pytest.fixture(scope="module")
def make_sides(tmp_path_factory, roberta_tokenizer_json, reference_tokenizer):
    return lambda *labels, **config: Sides(
        tmp_path_factory.mktemp("model"), roberta_tokenizer_json, reference_tokenizer, *labels, **config
    )


@pytest.fixture(scope="module")
def sides(make_sides):
    return make_sides()


@pytest.fixture(scope="module")
def both(sides):
    return sides.text()


@pytest.fixture(scope="module")
def zero_shot(sides):
    return sides.zero_shot()


assert_same = partial(answers.assert_same, rel=SCORE_RTOL)


def assert_equal_calls(both, *arguments, **parameters):
    reference, ours = both
    with warnings.catch_warnings(action="ignore"):  # of max_length next to padding, and of long texts
        expected = reference(*arguments, **parameters)
    assert_same(ours(*arguments, **parameters), expected)


# -- text classification ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("top_k", [..., None, 0, 1, 2, 3, 10])
@pytest.mark.parametrize(
    "inputs",
    [TEXT, [TEXT], [TEXT, OTHER], PAIR, [PAIR], [TEXT, PAIR], {"text": TEXT}, [[[TEXT, OTHER]]]],
    ids=["text", "list of one", "list", "pair", "list of a pair", "text and pair", "text as a dict", "old pair"],
)
def test_top_k_and_how_answers_are_nested(both, inputs, top_k):
    assert_equal_calls(both, inputs, **({} if top_k is ... else {"top_k": top_k}))


@pytest.mark.parametrize("top_k", [None, 1, 2])
@pytest.mark.parametrize("inputs", [TEXT, [TEXT], PAIR], ids=["text", "list", "pair"])
def test_a_top_k_of_the_pipeline(sides, inputs, top_k):
    both = sides.text(top_k=top_k)
    assert_equal_calls(both, inputs)
    assert_equal_calls(both, inputs, top_k=1)


@pytest.mark.parametrize("batch_size", [None, 1, 4, 100])
def test_texts_of_all_kinds(both, batch_size):
    assert_equal_calls(both, TEXTS, top_k=None, batch_size=batch_size)


@pytest.mark.parametrize("pair", [None, "", OTHER, " ", "</s>"])
def test_pairs(both, pair):
    inputs = [{"text": text, "text_pair": pair} for text in TEXTS]
    assert_equal_calls(both, inputs, top_k=None)
    assert_equal_calls(both, inputs, top_k=None, batch_size=4)


def test_generators(both):
    for inputs in (TEXTS, [PAIR, TEXT]):
        expected, answers = (side(item for item in inputs) for side in both)
        assert_same(list(answers), list(expected))


@pytest.mark.parametrize(
    ("labels", "problem_type"),
    [
        (LABELS, None),
        (LABELS, "regression"),
        (LABELS, "multi_label_classification"),
        (LABELS, "single_label_classification"),
        (["one"], None),
        (["one"], "regression"),
        (["one"], "multi_label_classification"),
    ],
)
def test_functions_and_their_defaults(make_sides, labels, problem_type):
    sides = make_sides(labels, seed=3, problem_type=problem_type)
    for function in (None, "sigmoid", "softmax", "none", "SoftMax"):
        assert_equal_calls(sides.text(), TEXT, function_to_apply=function)
        assert_equal_calls(sides.text(), TEXT, function_to_apply=function, top_k=None)
        assert_equal_calls(sides.text(function_to_apply=function), [TEXT])


LONG = "word after word, " * 200


@pytest.mark.parametrize("max_length", [2, 5, 6, 7, 8, 11, 15, 100, 512])
@pytest.mark.parametrize("truncation", [True, "longest_first", "only_first"])
def test_truncated_texts(both, truncation, max_length):
    assert_equal_calls(both, [TEXT, "", LONG], truncation=truncation, max_length=max_length)


@pytest.mark.parametrize(
    ("text", "pair", "max_length"),
    [
        *itertools.product([TEXT], [OTHER, "no"], [4, 5, 6, 9, 10, 12, 13, 14, 15, 16, 18, 19, 20, None]),
        *itertools.product(["no"], [TEXT], [5, 7, 8, 12, None]),
        # With fewer tokens left the package, which keeps all that it cuts off, takes half a minute.
        *itertools.product([LONG, TEXT], [LONG], [101, 300, 512, None]),
        (LONG, OTHER, None),
    ],
    ids=lambda value: str(value)[:5],
)
def test_truncated_pairs(both, text, pair, max_length):
    reference, ours = both
    item = {"text": text, "text_pair": pair}
    assert_equal_calls(both, item, truncation=True, max_length=max_length)
    for truncation in ("only_first", "only_second"):
        try:
            expected = reference(item, truncation=truncation, max_length=max_length)
        except Exception as error:
            assert "too short" in str(error)
            with pytest.raises(PipelineException, match="text alone"):
                ours(item, truncation=truncation, max_length=max_length)
        else:
            assert_same(ours(item, truncation=truncation, max_length=max_length), expected)


@pytest.mark.parametrize("padding", [..., True, False, "longest", "max_length", "do_not_pad"])
@pytest.mark.parametrize("truncation", [..., True, False, "do_not_truncate"])
@pytest.mark.parametrize("max_length", [..., 5, 100])
def test_what_cuts_and_what_does_not(both, padding, truncation, max_length):
    asked = {"padding": padding, "truncation": truncation, "max_length": max_length}
    assert_equal_calls(both, TEXT, **{name: value for name, value in asked.items() if value is not ...})


def test_lengths_of_the_pipeline(sides):
    assert_equal_calls(sides.text(max_length=5), TEXT)
    assert_equal_calls(sides.text(max_length=5, truncation=True), TEXT, max_length=6)
    assert_equal_calls(sides.text(max_length=5), TEXT, padding=True)


@pytest.mark.filterwarnings("ignore:Token indices sequence length")
@pytest.mark.parametrize("inputs", [LONG, {"text": LONG, "text_pair": OTHER}], ids=["text", "pair"])
def test_too_long(both, inputs):
    reference, ours = both
    with pytest.raises((IndexError, RuntimeError)):
        reference(inputs)
    with pytest.raises(PipelineException, match=r"tokens and the model reads at most 512.*truncation=True"):
        ours(inputs)
    with pytest.raises((IndexError, RuntimeError)):
        reference(inputs, truncation=True, max_length=1000)
    assert_same(ours(inputs, truncation=True, max_length=1000), reference(inputs, truncation=True))


@pytest.mark.parametrize(
    ("inputs", "parameters", "their_error", "our_error", "words"),
    [
        ([[TEXT, OTHER]], {}, ValueError, ValueError, "write a pair of texts as"),
        ({"text_pair": TEXT}, {}, ValueError, ValueError, "has no 'text'"),
        (5, {}, ValueError, TypeError, "inputs must be a text"),
        ([None], {}, ValueError, TypeError, "input 0 must be a text"),
        (TEXT, {"function_to_apply": "relu"}, KeyError, ValueError, "function_to_apply must be one of"),
        (TEXT, {"function_to_apply": "default"}, KeyError, None, ""),  # though its documentation has it
        (TEXT, {"truncation": "last"}, ValueError, ValueError, "truncation must be True, False or one of"),
        (TEXT, {"padding": "left"}, ValueError, ValueError, "padding must be one of"),
        ([], {}, IndexError, None, ""),
        ((TEXT, "no"), {}, ValueError, None, ""),
        (LONG, {"truncation": "only_second"}, Exception, PipelineException, "there is none"),
    ],
)
def test_where_transformers_crashes(both, inputs, parameters, their_error, our_error, words):
    reference, ours = both
    with pytest.raises(their_error):
        reference(inputs, **parameters)
    if our_error is None:
        assert len(ours(inputs, **parameters)) == (1 if isinstance(inputs, str) else len(inputs))
    else:
        with pytest.raises(our_error, match=words):
            ours(inputs, **parameters)


@pytest.mark.parametrize(
    ("inputs", "parameters", "words"),
    [
        ({"text": TEXT, "txt": OTHER}, {}, "the dict has the unknown key 'txt'"),
        (TEXT, {"return_all_scores": True}, "return_all_scores"),
        (TEXT, {"top_k": "2"}, "top_k must be an integer"),
        (PAIR, {"truncation": True, "max_length": 3}, "less than the 4 special tokens"),
    ],
)
def test_what_transformers_ignores_in_silence(both, inputs, parameters, words):
    reference, ours = both
    assert reference(inputs, **parameters)
    with pytest.raises((PipelineException, TypeError), match=words):
        ours(inputs, **parameters)


# -- zero-shot classification ----------------------------------------------------------------------------------------

CANDIDATES = ["film", "politics", "a very long label, with a comma in it"]


@pytest.mark.parametrize("multi_label", [..., False, True])
@pytest.mark.parametrize(
    "labels", [CANDIDATES, ["film"], "film", " film, politics,,the weather ", ("a", "b")], ids=repr
)
@pytest.mark.parametrize("sequences", [TEXT, [TEXT], [TEXT, OTHER, TEXT * 5]], ids=["text", "list of one", "list"])
def test_labels_and_texts(zero_shot, sequences, labels, multi_label):
    parameters = {} if multi_label is ... else {"multi_label": multi_label}
    assert_equal_calls(zero_shot, sequences, candidate_labels=labels, **parameters)
    assert_equal_calls(zero_shot, sequences, labels, **parameters)


@pytest.mark.parametrize("batch_size", [None, 4])
def test_zero_shot_texts_of_all_kinds(zero_shot, batch_size):
    texts = [text for text in TEXTS if text]
    assert_equal_calls(zero_shot, texts, CANDIDATES, batch_size=batch_size)
    expected, answers = (side((text for text in texts), CANDIDATES) for side in zero_shot)
    assert_same(list(itertools.islice(answers, 3)), list(itertools.islice(expected, 3)))


@pytest.mark.parametrize("template", ["This text is about {}.", "{}", "{0}, {0}!", "{:>12}"])
def test_templates(zero_shot, sides, template):
    assert_equal_calls(zero_shot, TEXT, CANDIDATES, hypothesis_template=template)
    made = sides.zero_shot(hypothesis_template=template, candidate_labels=CANDIDATES, multi_label=True)
    assert_equal_calls(made, [TEXT, OTHER])
    assert_equal_calls(made, TEXT, candidate_labels=["a", "b"], multi_label=False)


def test_an_empty_label(zero_shot):
    assert_equal_calls(zero_shot, TEXT, ["", "film"], hypothesis_template="{}")


@pytest.mark.parametrize("repeats", [1, 36, 37, 38, 45, 60])
def test_texts_are_cut_beside_labels(zero_shot, repeats):
    labels = ["film", "word after word, " * 3, "film " * 490]
    assert_equal_calls(zero_shot, "The quick brown fox jumps over the lazy dog, and off. " * repeats, labels)


@pytest.mark.filterwarnings("ignore:Token indices sequence length")
def test_no_room_for_the_text(zero_shot):
    reference, ours = zero_shot
    with pytest.raises((IndexError, RuntimeError)):
        reference(TEXT, ["film " * 505])
    with pytest.raises(PipelineException, match=r"the label 'film film .* so there is no room for the text"):
        ours(TEXT, ["film " * 505])


@pytest.mark.parametrize(
    "labels",
    [["ENTAILMENT", "NEUTRAL", "CONTRADICTION"], ["contradiction", "Entailed", "x"], ["not_entailment", "entailment"]],
    ids=repr,
)
def test_where_entailment_stands(make_sides, labels):
    both = make_sides(labels, seed=5).zero_shot()
    assert both[0].entailment_id == both[1].entailment_id
    for multi_label in (False, True):
        assert_equal_calls(both, TEXT, CANDIDATES, multi_label=multi_label)


def test_no_entailment_among_the_labels(make_sides):
    sides = make_sides(["LABEL_0", "LABEL_1", "LABEL_2"], seed=5)
    with (
        patch("transformers.pipelines.zero_shot_classification.logger.warning") as warning,
        warnings.catch_warnings(record=True, action="always") as mine,
    ):
        both = sides.zero_shot()
    (theirs,) = (call.args[0] for call in warning.call_args_list)
    assert theirs in [str(message.message) for message in mine]
    for multi_label in (False, True):
        assert_equal_calls(both, TEXT, CANDIDATES, multi_label=multi_label)


@pytest.mark.parametrize(
    ("arguments", "parameters", "their_error"),
    [
        (("", CANDIDATES), {}, ValueError),
        ((TEXT, []), {}, ValueError),
        ((TEXT, ", ,"), {}, ValueError),
        ((TEXT, CANDIDATES), {"hypothesis_template": "no place"}, ValueError),
        ((TEXT, CANDIDATES, "This is {}."), {}, ValueError),
        ((TEXT,), {}, TypeError),
        ((TEXT, CANDIDATES), {"hypothesis_template": "{} {}"}, IndexError),
        ((TEXT, CANDIDATES), {"hypothesis_template": "{label}"}, KeyError),
    ],
)
def test_what_zero_shot_refuses(zero_shot, arguments, parameters, their_error):
    reference, ours = zero_shot
    with pytest.raises(their_error) as theirs:
        reference(*arguments, **parameters)
    with pytest.raises(ValueError) as mine:
        ours(*arguments, **parameters)
    if their_error is ValueError:
        assert str(mine.value).startswith(str(theirs.value)[:60])


def test_lists_in_lists(zero_shot):
    reference, ours = zero_shot
    assert_same(reference([[TEXT, OTHER]], CANDIDATES), reference([TEXT], CANDIDATES))  # the other one is dropped
    with pytest.raises(TypeError, match="input 0 must be a text, not list"):
        ours([[TEXT, OTHER]], CANDIDATES)
