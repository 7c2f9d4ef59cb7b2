"""The fill-mask pipeline, row by row: transformers' result, or where that crashes or drops input, ours next to it."""

from __future__ import annotations

import itertools
import re
import warnings
from unittest.mock import patch

import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from transformers.pipelines.base import PipelineException as ReferenceException  # noqa: E402

from distilroberta_np import FillMaskPipeline, PipelineException, RobertaTokenizer, pipeline  # noqa: E402
from distilroberta_np.hub import find_embedded  # noqa: E402
from tests.support.transformers_models import as_numpy  # noqa: E402

pytestmark = pytest.mark.parity

# A relative error of a score is an absolute one of its logit, and those of either side are at most 2e-5 from float64
# (scripts/parity_report.py); so the two sides' scores differ by less than 6e-5 of themselves.
SCORE_RTOL = 6e-5

ONE = "The man worked as a <mask>."
TWO = "The <mask> worked as a<mask>, and was <mask>."


@pytest.fixture(scope="module")
def reference(full_size, reference_tokenizer):
    return transformers.pipeline("fill-mask", model=full_size, tokenizer=reference_tokenizer)


@pytest.fixture(scope="module")
def ours(full_size, roberta_tokenizer_json):
    tokenizer = RobertaTokenizer.from_folder(roberta_tokenizer_json.parent)
    return FillMaskPipeline(as_numpy(full_size), tokenizer)


def assert_same(answers, expected):
    """Equal structure, and equal predictions; the order of scores that rounding can swap is left open."""
    assert isinstance(answers, type(expected))
    if isinstance(expected, list):
        assert len(answers) == len(expected)
        if expected and isinstance(expected[0], dict):
            assert_same_row(answers, expected)
        else:
            for part, wanted in zip(answers, expected, strict=True):
                assert_same(part, wanted)
    else:
        raise AssertionError(f"neither side should give {expected!r}")


def assert_same_row(row, expected):
    for rank, (prediction, wanted) in enumerate(zip(row, expected, strict=True)):
        assert list(prediction) == list(wanted) == ["score", "token", "token_str", "sequence"]
        assert [type(value) for value in prediction.values()] == [type(value) for value in wanted.values()]
        assert prediction["score"] == pytest.approx(wanted["score"], rel=SCORE_RTOL)
        neighbours = [expected[place]["score"] for place in (rank - 1, rank + 1) if 0 <= place < len(expected)]
        if all(abs(score - wanted["score"]) > 2 * SCORE_RTOL * wanted["score"] for score in neighbours):
            assert prediction | {"score": None} == wanted | {"score": None}


TEXTS = [
    ONE,
    TWO,
    "<mask>",
    "<mask><mask>",
    "Hello I'm a <mask> model.",
    "no space before<mask>",
    "  spaces   and\ttabs\n <mask>  . ",
    "<mask> at the beginning, and at the end <mask>",
    "Zażółć gęślą jaźń <mask> 🙂👩‍👩‍👧 שלום 日本語 e\u0301",
    "don't , it 's \"quoted\" ( <mask> ) , isn't it ?",
    "<s> typed specials </s> <mask> <pad> <unk>",
    "nul \x00 <mask>",
    "The quick brown fox jumps over the lazy dog. " * 12 + "Then it <mask>.",
]


@pytest.fixture(scope="module")
def expected(reference):
    return reference(TEXTS)


@pytest.mark.parametrize("index", range(len(TEXTS)), ids=lambda index: ascii(TEXTS[index])[:40])
def test_one_text(ours, expected, index):
    assert_same(ours(TEXTS[index]), expected[index])


def test_lists(ours, reference):
    assert_same(ours([ONE, TWO, ONE]), reference([ONE, TWO, ONE]))


@pytest.mark.parametrize("text", [ONE, TWO])
def test_a_list_of_one_is_unwrapped(ours, reference, text):
    assert_same(ours([text]), reference([text]))
    assert ours([text]) == ours(text)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batches(ours, expected, batch_size):
    assert_same(ours(TEXTS, batch_size=batch_size), expected)


@pytest.mark.filterwarnings("ignore:.*num_workers")
def test_generators_are_read_as_their_results_are_asked_for(ours, reference):
    read = []

    def texts():
        for text in itertools.cycle([ONE, TWO]):
            read.append(text)
            yield text

    answers = ours(texts())
    assert read == []
    mine = list(itertools.islice(answers, 3))
    assert read == [ONE, TWO, ONE]
    theirs = list(itertools.islice(reference(texts()), 3))
    assert_same(mine, [answer[0] if len(answer) == 1 else answer for answer in theirs])


@pytest.mark.parametrize("top_k", [None, 0, 1, 2, 40])
@pytest.mark.parametrize("text", [ONE, TWO])
def test_top_k(ours, reference, top_k, text):
    assert_same(ours(text, top_k=top_k), reference(text, top_k=top_k))


@pytest.mark.parametrize(
    ("top_k", "their_error", "our_error", "words"),
    [
        (50266, RuntimeError, ValueError, "the vocabulary has only 50265 tokens"),
        (-1, RuntimeError, ValueError, "top_k must be at least 0, not -1"),
        (2.5, TypeError, TypeError, "top_k must be an integer, not 2.5"),
        ("5", TypeError, TypeError, "top_k must be an integer, not '5'"),
    ],
)
def test_top_k_that_cannot_be(ours, reference, top_k, their_error, our_error, words):
    with pytest.raises(their_error):
        reference(ONE, top_k=top_k)
    with pytest.raises(our_error, match=words):
        ours(ONE, top_k=top_k)


def test_no_texts(ours, reference):
    with pytest.raises(IndexError):
        reference([])
    assert ours([]) == []


def test_tuples(ours, reference):
    with pytest.raises(ValueError):
        reference((ONE, TWO))
    assert_same(ours((ONE, TWO)), reference([ONE, TWO]))


def test_nested_lists(ours, reference):
    other = ONE.replace("man", "woman")
    assert_same(reference([[ONE, other], [ONE, other]]), reference([ONE, ONE]))  # the others are dropped in silence
    with pytest.raises(TypeError, match="input 0 must be a text, not list"):
        ours([[ONE, other], [ONE, other]])


@pytest.mark.parametrize("text", ["", "no mask here", "<MASK> [MASK]"])
def test_no_mask(ours, reference, text):
    words = r"No mask_token \(<mask>\) found on the input"
    with pytest.raises(ReferenceException, match=words):
        reference(text)
    with pytest.raises(PipelineException, match=words):
        ours(text)
    with pytest.raises(ReferenceException, match=words):
        reference([ONE, text])
    with pytest.raises(PipelineException, match=words) as caught:
        ours([ONE, text])
    assert caught.value.index == 1


def text_of(count):
    """A text of this many tokens, `<s>`, the mask at the end, and `</s>` among them."""
    return " and" * (count - 3) + " <mask>"


def test_the_longest_text(ours, reference):
    assert len(ours.tokenizer.encode(text_of(512))) == 512
    assert_same(ours(text_of(512)), reference(text_of(512)))


@pytest.mark.filterwarnings("ignore:Token indices sequence length")
def test_a_text_too_long(ours, reference):
    with pytest.raises((IndexError, RuntimeError)):
        reference(text_of(513))
    with pytest.raises(PipelineException, match=r"513 tokens and the model reads at most 512.*truncation=True"):
        ours(text_of(513))


def test_truncation_behind_the_mask(ours, reference):
    text = ONE + " and" * 600
    expected = reference(text, tokenizer_kwargs={"truncation": True})
    assert_same(ours(text, tokenizer_kwargs={"truncation": True}), expected)
    assert_same(ours(text, truncation=True), expected)


def test_truncation_to_a_length(ours, reference):
    text, arguments = TWO + " and" * 30, {"truncation": True, "max_length": 20}
    assert_same(ours(text, tokenizer_kwargs=arguments), reference(text, tokenizer_kwargs=arguments))


def test_truncation_before_the_mask(ours, reference):
    with pytest.raises(ReferenceException, match="No mask_token"):
        reference(text_of(600), tokenizer_kwargs={"truncation": True})
    # The 512 tokens up to the mask are kept instead.
    assert_same(ours(text_of(600), truncation=True), reference(text_of(512)))
    with pytest.raises(PipelineException, match="only 510 fit"):
        ours("<mask>" + text_of(600), truncation=True)


TARGETS = {
    "an entry": ["ĠParis"],
    "a string": "ĠParis",
    "entries": ["ĠParis", "ĠLondon", "Ġdog", "a"],
    "repeated": ["Ġdog", "Ġcat", "Ġdog"],
    "with its space": [" Paris", " London"],
    "both spellings of one": [" Paris", "ĠParis"],
    "of several pieces": [" antidisestablishmentarianism", "ĠParis"],
    "without its space": ["pizza", "waiter"],
    "an empty one among others": ["", "ĠParis"],
    "other scripts": [" naïve", "🙂", " 日本"],
    "the mask itself": ["<mask>", "ĠParis"],
}


@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS.keys())
def test_targets(ours, reference, targets, top_k):
    with patch("transformers.pipelines.fill_mask.logger.warning") as warning:
        expected = [reference(text, targets=targets, top_k=top_k) for text in (ONE, TWO)]
    theirs = [call.args[0] for call in warning.call_args_list]
    with warnings.catch_warnings(record=True, action="always") as mine:
        assert_same([ours(text, targets=targets, top_k=top_k) for text in (ONE, TWO)], expected)
    # The same warnings in the same words, and a hint after them; but none for a word of one token with its space.
    theirs = [
        words for words in theirs if not re.search(r"token ` (\w+)` .* with `Ġ\1`", words) and "naïve" not in words
    ]
    for our_words, their_words in zip((str(item.message) for item in mine), theirs, strict=True):
        assert our_words.startswith(their_words)


def test_targets_keep_their_share_of_the_whole_vocabulary(ours):
    whole = ours(ONE, top_k=3)
    entries = [ours.tokenizer.id_to_token(prediction["token"]) for prediction in whole]
    assert ours(ONE, targets=entries) == whole


@pytest.mark.filterwarnings("ignore:The specified target token")
@pytest.mark.parametrize("targets", [[], [""], ["", ""], ""])
def test_no_target_left(ours, reference, targets):
    message = "At least one target must be provided when passed."
    for unmasker in (reference, ours):
        with pytest.raises(ValueError, match=message):
            unmasker(ONE, targets=targets)


@pytest.mark.parametrize("targets", [[5], [None], ["ĠParis", 5]])
def test_a_target_that_is_no_string(ours, reference, targets):
    for unmasker in (reference, ours):
        with pytest.raises(ValueError):
            unmasker(ONE, targets=targets)


def test_a_target_without_its_space_scores_another_token(ours, reference):
    with patch("transformers.pipelines.fill_mask.logger.warning"):
        assert reference(ONE, targets="pizza")[0]["token_str"] == "p"
    with pytest.warns(UserWarning, match="did you mean ` pizza`"):
        assert ours(ONE, targets="pizza")[0]["token_str"] == "p"


def test_the_embedded_model():
    folder = find_embedded()
    model = transformers.RobertaForMaskedLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    reference = transformers.pipeline("fill-mask", model=model, tokenizer=tokenizer)
    assert_same(pipeline("fill-mask", folder)(TEXTS, top_k=20), reference(TEXTS, top_k=20))
