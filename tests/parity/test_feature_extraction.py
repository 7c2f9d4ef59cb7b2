"""The feature-extraction pipeline: transformers' vectors, or where that crashes, ours next to it."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta_np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from distilroberta_np import RobertaTokenizer  # noqa: E402
from distilroberta_np.hub import find_embedded  # noqa: E402
from distilroberta_np.pipelines import FeatureExtractionPipeline, pipeline  # noqa: E402
from tests.support import answers  # noqa: E402
from tests.support.transformers_models import encoder_as_numpy, seeded_roberta  # noqa: E402

pytestmark = pytest.mark.parity

SHAPE = {
    "vocab_size": 50265,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
}
TEXTS = ["Hello.", "", " two  spaces ", "naïve 🙂 日本", "A <mask> in it.", "long " * 40]


@pytest.fixture(scope="module")
def reference_model():
    return seeded_roberta(0, **SHAPE)


@pytest.fixture(scope="module")
def reference(reference_model, reference_tokenizer):
    return transformers.pipeline("feature-extraction", model=reference_model, tokenizer=reference_tokenizer)


@pytest.fixture(scope="module")
def ours(reference_model, roberta_tokenizer_json):
    (roberta_tokenizer_json.parent / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    tokenizer = RobertaTokenizer.from_pretrained(roberta_tokenizer_json.parent)
    return FeatureExtractionPipeline(encoder_as_numpy(reference_model), tokenizer)


assert_same = partial(answers.assert_same, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("inputs", [*TEXTS, TEXTS, TEXTS[:1], tuple(TEXTS)])
def test_texts_and_lists_of_them(ours, reference, inputs):
    # (transformers takes a tuple for a list of one batch; a list of its texts is what it means.)
    assert_same(ours(inputs), reference(list(inputs) if isinstance(inputs, tuple) else inputs))


def test_streams(ours, reference):
    assert_same(list(ours(iter(TEXTS), batch_size=4)), list(reference(text for text in TEXTS)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"truncation": True},
        {"truncation": False},
        {"truncation": "longest_first"},
        {"truncation": True, "tokenize_kwargs": {"max_length": 12}},
        {"tokenize_kwargs": {"truncation": True, "max_length": 12}},
        {"tokenize_kwargs": {"truncation": False, "max_length": 12}},
        {"tokenize_kwargs": {"max_length": 12}},
        {"tokenize_kwargs": {"max_length": 2, "truncation": True}},
        {"tokenize_kwargs": {"padding": True}},
        {"tokenize_kwargs": {"add_special_tokens": False, "max_length": 7, "truncation": True}},
    ],
    ids=str,
)
def test_arguments(ours, reference, arguments):
    # transformers writes into the dicts that it is given.
    assert_same(ours(TEXTS[5], **deepcopy(arguments)), reference(TEXTS[5], **deepcopy(arguments)))
    arrays = [extractor(TEXTS[5], return_tensors=True, **deepcopy(arguments)) for extractor in (ours, reference)]
    assert_same(arrays[0], arrays[1].numpy())


def test_a_text_that_is_too_long(ours, reference):
    long = "long " * 600
    with pytest.raises((IndexError, RuntimeError)):
        reference(long)
    with pytest.raises(ValueError, match="has 603 tokens"):
        ours(long)
    assert_same(ours(long, truncation=True), reference(long, truncation=True))


def test_truncation_twice(ours, reference):
    for extractor in (ours, reference):
        with pytest.raises(ValueError, match="twice"):
            extractor("a", truncation=True, tokenize_kwargs={"truncation": True})


def test_texts_computed_together_are_not_padded(ours, reference):
    theirs = reference(TEXTS[:2], batch_size=2)
    assert len(theirs[1][0]) == len(theirs[0][0]) > 2  # the empty text's, with the padding's behind them
    mine = ours(TEXTS[:2], batch_size=2)
    assert len(mine[1][0]) == 2
    np.testing.assert_allclose(mine[1][0], theirs[1][0][:2], rtol=1e-4, atol=1e-5)


def test_the_embedded_model():
    folder = find_embedded()
    reference = transformers.pipeline("feature-extraction", model=str(folder), dtype=torch.float32)
    assert_same(pipeline("feature-extraction", folder)(TEXTS), reference(TEXTS))
