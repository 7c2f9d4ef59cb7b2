"""What must hold for every batch: tried on many with hypothesis, which comes with the `test` extra."""

import numpy as np
import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distilroberta_np import RobertaForMaskedLM, RobertaTokenizer
from distilroberta_np.layers.activation import softmax
from tests.support.seeded import VOCAB_SIZE, seeded_pipeline, seeded_tensors, write_model

# The same examples every time: a default run must not fail by chance.
EXAMPLES = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PAD = 1
TOKENS = st.integers(0, VOCAB_SIZE - 1).filter(lambda token: token != PAD)


@st.composite
def texts(draw):
    """A text of 1 to 512 tokens: short ones often, and the longest too."""
    length = draw(st.one_of(st.integers(1, 12), st.integers(1, 512), st.sampled_from([1, 511, 512])))
    seed = draw(st.integers(0, 2**32 - 1))
    tokens = np.random.default_rng(seed).integers(2, VOCAB_SIZE, length)
    tokens[0] = draw(TOKENS)
    return tokens.tolist()


BATCHES = st.lists(texts(), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"), seeded_tensors(5))


@pytest.fixture(scope="module")
def model(folder):
    return RobertaForMaskedLM.from_pretrained(folder)


def padded(folder, batch):
    return RobertaTokenizer.from_pretrained(folder).pad({"input_ids": batch}, return_tensors="np")


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=3e-4)


@EXAMPLES
@given(batch=BATCHES)
def test_a_text_in_a_padded_batch_is_computed_as_by_itself(folder, model, batch):
    logits = model(**padded(folder, batch)).logits
    assert logits.dtype == np.float32
    for row, text in zip(logits, batch, strict=True):
        close(row[: len(text)], model([text]).logits[0])


@EXAMPLES
@given(batch=BATCHES, data=st.data())
def test_the_order_of_a_batch_changes_only_the_order(folder, model, batch, data):
    order = data.draw(st.permutations(range(len(batch))))
    inputs = padded(folder, batch)
    shuffled = {name: values[list(order)] for name, values in inputs.items()}
    close(model(**shuffled).logits, model(**inputs).logits[list(order)])


@EXAMPLES
@given(text=texts(), left=st.integers(0, 20), inside=st.integers(0, 20), data=st.data())
def test_padding_may_stand_anywhere(model, text, left, inside, data):
    position = data.draw(st.integers(0, len(text)))
    ids = np.array([[PAD] * left + text[:position] + [PAD] * inside + text[position:]])
    logits = model(ids, ids != PAD).logits[0]
    close(logits[ids[0] != PAD], model([text]).logits[0])


@EXAMPLES
@given(text=texts())
def test_everything_is_float32_and_finite_and_probabilities_sum_to_one(model, text):
    outputs = model([text], output_hidden_states=True, output_attentions=True)
    for array in (outputs.logits, *outputs.hidden_states, *outputs.attentions):
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    for attention in outputs.attentions:
        np.testing.assert_allclose(attention.sum(-1), 1, atol=1e-5)
    probabilities = softmax(outputs.logits)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)


@pytest.fixture(scope="module")
def unmasker(tmp_path_factory):
    return seeded_pipeline(tmp_path_factory.mktemp("pipeline"))


@settings(EXAMPLES, max_examples=100)
@given(before=st.text(max_size=30), after=st.text(max_size=30))
def test_keep_text_changes_nothing_but_the_mask_and_the_space_before_it(unmasker, before, after):
    text = f"{before}<mask>{after}"
    answers = unmasker(text, keep_text=True)
    rows = answers if text.count("<mask>") > 1 else [answers]
    for prediction in rows[0]:
        sequence, word = prediction["sequence"], prediction["token_str"]
        assert sequence.endswith(after)
        assert sequence.startswith(before.rstrip())
        assert sequence.removesuffix(after)[len(before.rstrip()) :].strip() == word.strip()


@settings(EXAMPLES, max_examples=200)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_text_can_be_encoded_and_decoded(folder, text):
    tokenizer = RobertaTokenizer.from_folder(folder)
    ids = tokenizer.encode(text)
    assert (ids[0], ids[-1]) == (0, 2)
    assert max(ids) < VOCAB_SIZE
    if "<" not in text:
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
