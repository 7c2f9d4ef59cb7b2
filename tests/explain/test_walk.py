"""What the page shows of a sentence, against the fast path and the arrays of the reference."""

import json
from pathlib import Path

import numpy as np
import pytest

from distilroberta_np import pipeline
from distilroberta_np.explain.walk import source, walk
from distilroberta_np.hub import find_embedded
from distilroberta_np.reference import Tokenizer, forward, load, roberta

TEXT = "The unbelievable man worked as a <mask>."


@pytest.fixture(scope="module")
def embedded():
    folder = find_embedded()
    return Tokenizer.from_folder(folder), *load(folder)


@pytest.fixture(scope="module")
def page(embedded):
    return walk_text(embedded, TEXT)


def walk_text(embedded, text):
    tokenizer, params, config = embedded
    ids, offsets = tokenizer.encode(text)
    return walk(text, ids, offsets, ids.index(tokenizer.ids["<mask>"]), tokenizer, params, config)


def test_answers_are_those_of_the_pipeline(page):
    expected = pipeline("fill-mask", find_embedded())(TEXT)
    assert [word for word, _ in page["answers"]] == [answer["token_str"] for answer in expected]
    np.testing.assert_allclose([p for _, p in page["answers"]], [answer["score"] for answer in expected], atol=2e-6)


def test_the_lens_of_the_last_layer_is_the_answer(page):
    assert page["layers"][-1]["rank"] == 1
    assert [word for word, _ in page["layers"][-1]["lens"]] == [word for word, _ in page["answers"]]


def test_attention_and_norms_are_those_of_the_reference(page, embedded):
    tokenizer, params, config = embedded
    record = {}
    forward(np.array(tokenizer.encode(TEXT)[0]), params, config, record)
    for n, layer in enumerate(page["layers"]):
        expected = record[f"layer.{n}"]
        np.testing.assert_allclose(layer["attention"], expected["probabilities"], atol=5.1e-4)
        np.testing.assert_allclose(layer["attention_of_mask"], expected["probabilities"][:, page["mask"]], atol=5.1e-5)
        for name, key in (("attention_output",) * 2, ("feed_forward_output",) * 2, ("output", "feed_forward_norm")):
            np.testing.assert_allclose(layer[name], np.linalg.norm(expected[key], axis=-1), atol=1e-3)


def test_merges_lead_from_bytes_to_the_token(page):
    token = max(page["tokens"], key=lambda token: len(token["merges"]))
    assert all(len(subword) == 1 for subword in token["merges"][0])
    assert token["merges"][-1] == [token["text"]]
    assert [len(step) for step in token["merges"]] == list(range(len(token["merges"]), 0, -1))


def test_a_special_token_has_no_merges(page):
    assert page["tokens"][page["mask"]]["merges"] == [["<mask>"]]


def test_bytes_that_are_no_character_are_shown_too(embedded):
    page = walk_text(embedded, "\N{ZERO WIDTH JOINER}\N{GRINNING FACE} <mask>")
    texts = [token["text"] for token in json.loads(json.dumps(page))["tokens"]]
    assert texts == ["<s>", *["\N{REPLACEMENT CHARACTER}"] * 7, "<mask>", "</s>"]


def test_a_long_text_keeps_only_the_rows_of_the_mask(embedded):
    page = walk_text(embedded, "long " * 400 + "<mask>")
    assert all(layer["attention"] is None for layer in page["layers"])
    assert np.allclose(np.sum(page["layers"][0]["attention_of_mask"], axis=-1), 1, atol=0.03)
    assert "too many" in page["left_out"][0]
    assert len(json.dumps(page)) < 2_000_000


def test_source_lines_are_those_of_the_file(page):
    lines = Path(roberta.__file__).read_text(encoding="utf-8").splitlines()
    for name, shown in page["source"].items():
        assert shown["lines"][0].startswith(f"def {name}(")
        assert lines[shown["first"] - 1] == shown["lines"][0]
        assert all(lines[line - 1].strip() for line in shown["marked"])
    assert set(page["source"]) >= {"attention", "layer_norm", "lm_head", "softmax"}


def test_source_of_a_changed_file_leaves_out_what_is_gone():
    assert set(source("def softmax(x):\n    return x\n")) == {"softmax"}
