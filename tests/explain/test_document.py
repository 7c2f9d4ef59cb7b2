"""The page of a loaded model: what it takes, what it refuses, and the tools of `analysis` on it."""

import json
import re

import numpy as np
import pytest

from distilroberta_np import PipelineException, pipeline
from distilroberta_np.analysis import ablate, patch
from distilroberta_np.explain.document import explain
from distilroberta_np.hub import find_embedded
from tests.support.seeded import seeded_pipeline

TEXT, OTHER = "The man worked as a <mask>.", "The woman worked as a <mask>."


@pytest.fixture(scope="module")
def unmasker():
    return pipeline("fill-mask", find_embedded())


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_why(unmasker):
    (page,) = data_of(explain(unmasker, TEXT))["pages"]
    expected = ablate(unmasker, TEXT)
    np.testing.assert_allclose(page["why"]["heads"], expected.heads, atol=6e-5)
    np.testing.assert_allclose(page["why"]["tokens"], expected.left_out, atol=6e-5)
    total = sum(page["why"]["integrated_gradients"])
    assert total == pytest.approx(page["why"]["difference"] + page["why"]["completeness_error"], abs=1e-3)
    assert page["why"]["answer"] == page["answers"][0][0]


def test_compare(unmasker):
    data = data_of(explain(unmasker, TEXT, OTHER))
    assert [page["text"] for page in data["pages"]] == [TEXT, OTHER]
    np.testing.assert_allclose(data["compare"]["effects"], patch(unmasker, TEXT, OTHER).effects, atol=6e-4)


def test_a_page_of_twenty_tokens_is_small(unmasker):
    assert (
        len(explain(unmasker, "The man who lived in the old house by the river for many years worked as a <mask>."))
        < 2_000_000
    )


def test_a_long_sentence_says_what_is_left_out(unmasker):
    (page,) = data_of(explain(unmasker, "long " * 200 + "<mask>"))["pages"]
    assert "why" not in page
    assert any("at most 128 tokens" in reason for reason in page["left_out"])


def test_any_masked_model(tmp_path):
    (page,) = data_of(explain(seeded_pipeline(tmp_path), "the cat <mask>"))["pages"]
    assert page["model"]["layers"] == len(page["layers"]) == len(page["why"]["heads"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["No mask."], "has no <mask>; write exactly one"),
        (["<mask> and <mask>"], "has 2 <mask>; write exactly one"),
        (["long " * 600 + "<mask>"], "shorten it"),
        ([TEXT, "The <mask>."], "both must be equal"),
    ],
)
def test_sentences_that_cannot_be_shown(unmasker, texts, message):
    with pytest.raises(PipelineException, match=re.escape(message)):
        explain(unmasker, *texts)
