"""What transformers computed, as scripts/record/goldens.py recorded it, step by step; nothing of it is needed here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from distilroberta_np import RobertaForMaskedLM, RobertaModel, pipeline
from distilroberta_np.layers.activation import gelu, softmax
from distilroberta_np.layers.attention import SequenceGroup, attention, attention_bias, split_heads
from distilroberta_np.layers.embeddings import embeddings, position_ids
from distilroberta_np.layers.encoder import encoder_layer
from distilroberta_np.layers.feed_forward import feed_forward
from distilroberta_np.layers.layer_norm import layer_norm
from distilroberta_np.layers.linear import LinearWeights, linear
from distilroberta_np.models.masked_lm import lm_head
from distilroberta_np.models.roberta import pooler
from tests.support.recorded import PREDICTIONS, recorded_model

SEEDED = Path(__file__).parent / "data" / "seeded"
RECORDED = load_file(SEEDED / "intermediates.safetensors")

MODEL = RobertaForMaskedLM.from_pretrained(SEEDED)
ENCODER = RobertaModel.from_pretrained(SEEDED)
CONFIG = MODEL.config
BIAS = attention_bias(RECORDED["attention_mask"], like=RECORDED["embeddings"])
BATCH, SEQUENCE, HIDDEN = RECORDED["embeddings"].shape
GROUPS = [SequenceGroup(BATCH, SEQUENCE, queries=SEQUENCE, bias=BIAS)]
LAYERS = range(CONFIG.num_hidden_layers)

# A step begins with recorded values, so both sides differ by the rounding of that step alone: at most a few units in
# the last place of its largest values, which are below 8 (one unit there: 4.8e-7). The scores alone reach higher.
STEP_ATOL = 2e-6
# Through all three layers that adds up to 3e-6 in the hidden states and 9e-6 in the logits (measured).
MODEL_ATOL = 2e-5


def assert_step(ours, name):
    recorded = RECORDED[name]
    assert ours.dtype == recorded.dtype == np.float32
    np.testing.assert_allclose(ours, recorded, rtol=1e-6, atol=STEP_ATOL, err_msg=name)


def test_embeddings():
    ids, weights = RECORDED["input_ids"], MODEL.weights.roberta.embeddings
    positions = position_ids(ids, CONFIG.pad_token_id)
    assert_step(weights.word[ids] + weights.token_type[0] + weights.position[positions], "embeddings.sum")
    assert_step(layer_norm(RECORDED["embeddings.sum"], weights.layer_norm, CONFIG.layer_norm_eps), "embeddings")
    rows, _ = embeddings(ids.reshape(-1), positions.reshape(-1), weights, CONFIG.layer_norm_eps)
    assert_step(rows.reshape(BATCH, SEQUENCE, HIDDEN), "embeddings")


@pytest.mark.parametrize("index", LAYERS)
def test_every_step_of_a_layer(index):
    weights, heads, eps = MODEL.weights.roberta.layers[index], CONFIG.num_attention_heads, CONFIG.layer_norm_eps
    hidden_states = RECORDED[f"layer.{index - 1}.output"] if index else RECORDED["embeddings"]
    name = f"layer.{index}"
    rows = hidden_states.reshape(-1, HIDDEN)
    attended_by, forward = weights.attention, weights.feed_forward
    recorded = {key.removeprefix(f"{name}."): value for key, value in RECORDED.items() if key.startswith(f"{name}.")}

    assert_step(split_heads(linear(rows, attended_by.query), GROUPS[0], heads), f"{name}.query")
    assert_step(split_heads(linear(rows, attended_by.key), GROUPS[0], heads), f"{name}.key")
    assert_step(split_heads(linear(rows, attended_by.value), GROUPS[0], heads), f"{name}.value")
    scale = np.float32((CONFIG.hidden_size // CONFIG.num_attention_heads) ** -0.5)
    assert_step(recorded["query"] @ recorded["key"].swapaxes(-1, -2) * scale + BIAS, f"{name}.scores")
    assert_step(softmax(recorded["scores"]), f"{name}.probabilities")
    context = np.empty_like(rows)
    split_heads(context, GROUPS[0], heads)[:] = recorded["probabilities"] @ recorded["value"]
    assert_step(context.reshape(hidden_states.shape), f"{name}.context")
    assert_step(linear(recorded["context"], attended_by.output), f"{name}.attended")
    attended, cache = attention(rows, rows, GROUPS, attended_by, heads)
    assert_step(cache.probabilities[0], f"{name}.probabilities")
    assert_step(attended.reshape(hidden_states.shape), f"{name}.attended")

    assert_step(hidden_states + recorded["attended"], f"{name}.attention_sum")
    assert_step(layer_norm(recorded["attention_sum"], weights.attention_layer_norm, eps), f"{name}.attention_output")

    assert_step(linear(recorded["attention_output"], forward.intermediate), f"{name}.intermediate")
    assert_step(gelu(recorded["intermediate"]), f"{name}.gelu")
    assert_step(linear(recorded["gelu"], forward.output), f"{name}.transformed")
    assert_step(feed_forward(recorded["attention_output"], forward)[0], f"{name}.transformed")
    assert_step(recorded["attention_output"] + recorded["transformed"], f"{name}.output_sum")
    assert_step(layer_norm(recorded["output_sum"], weights.feed_forward_layer_norm, eps), f"{name}.output")

    output = encoder_layer(rows, rows, GROUPS, weights, heads, eps)
    assert_step(output.reshape(hidden_states.shape), f"{name}.output")


def test_language_model_head():
    weights, word = MODEL.weights.lm_head, MODEL.weights.roberta.embeddings.word
    last = RECORDED[f"layer.{LAYERS[-1]}.output"]
    assert_step(linear(last, weights.dense), "head.dense")
    assert_step(gelu(RECORDED["head.dense"]), "head.gelu")
    assert_step(layer_norm(RECORDED["head.gelu"], weights.layer_norm, CONFIG.layer_norm_eps), "head.layer_norm")
    assert_step(linear(RECORDED["head.layer_norm"], LinearWeights(word, weights.bias)), "logits")
    assert_step(lm_head(last, weights, word, CONFIG.layer_norm_eps)[0], "logits")


def test_pooler():
    assert ENCODER.weights.pooler is not None
    assert_step(pooler(RECORDED[f"layer.{LAYERS[-1]}.output"], ENCODER.weights.pooler), "pooler")


def test_the_whole_model():
    ids, mask = RECORDED["input_ids"], RECORDED["attention_mask"]
    outputs = MODEL(ids, mask, output_hidden_states=True, output_attentions=True)
    encoded = ENCODER(ids, mask)
    pairs = [(outputs.logits, "logits"), (outputs.hidden_states[0], "embeddings"), (encoded.pooler_output, "pooler")]
    for index in LAYERS:
        pairs.append((outputs.hidden_states[index + 1], f"layer.{index}.output"))
        pairs.append((outputs.attentions[index], f"layer.{index}.probabilities"))
    pairs.append((encoded.last_hidden_state, f"layer.{LAYERS[-1]}.output"))
    for ours, name in pairs:
        np.testing.assert_allclose(ours, RECORDED[name], rtol=0, atol=MODEL_ATOL, err_msg=name)


def test_the_recorded_batch_has_every_kind_of_padding():
    mask = RECORDED["attention_mask"]
    assert mask.tolist() == (RECORDED["input_ids"] != CONFIG.pad_token_id).astype(int).tolist()
    right, left, inside, none, nothing_else = mask
    assert right.tolist() == [1] * 5 + [0] * 4
    assert left.tolist() == [0] * 4 + [1] * 5
    assert np.abs(np.diff(inside)).sum() > 2
    assert none.all() and not nothing_else.any()


@pytest.fixture(scope="module")
def unmasker():
    return pipeline("fill-mask", recorded_model())


def compare(ours, recorded):
    if isinstance(recorded, list):
        assert len(ours) == len(recorded)
        for our_part, recorded_part in zip(ours, recorded, strict=True):
            compare(our_part, recorded_part)
        return
    assert {**ours, "score": None} == {**recorded, "score": None}
    # A relative error of a score is an absolute one of its logit: 4e-6 at most were measured.
    assert ours["score"] == pytest.approx(recorded["score"], rel=2e-5)


@pytest.mark.parametrize("case", PREDICTIONS["cases"], ids=lambda case: ascii(case["call"]["inputs"])[:40])
def test_the_embedded_models_predictions(unmasker, case):
    compare(unmasker(**case["call"]), case["output"])


@pytest.mark.parametrize("before", [0, 6, 13, 20, 30])
def test_the_embedded_model_answers_in_long_texts_too(unmasker, before):
    text = "We went to the park in the morning and came home late. " * before + "She drank a cup of <mask>."
    assert {answer["token_str"] for answer in unmasker(text)} >= {" tea", " coffee"}
