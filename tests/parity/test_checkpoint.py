"""Checkpoints that transformers' own save_pretrained wrote."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from distilroberta_np import CheckpointError, RobertaForMaskedLM, RobertaModel  # noqa: E402
from distilroberta_np.layers.params import tree_leaves  # noqa: E402
from distilroberta_np.models.masked_lm import masked_lm_keys  # noqa: E402
from tests.support.transformers_models import DISTILROBERTA, random_batch, randomise, seeded_masked_lm, seeded_roberta  # noqa: E402

pytestmark = pytest.mark.parity

SHAPE = DISTILROBERTA | {
    "vocab_size": 211,
    "hidden_size": 36,
    "num_hidden_layers": 3,
    "intermediate_size": 50,
    "max_position_embeddings": 30,
}
BATCH = random_batch(0, SHAPE, [20, 11, 3])
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
# As in test_model.py.
LOGITS_ATOL = 6e-5
HIDDEN_ATOL = 2e-5


def torch_batch():
    return {name: torch.from_numpy(values) for name, values in BATCH.items()}


@torch.no_grad()
@pytest.mark.parametrize("max_shard_size", ["50GB", "60KB", "30KB", "1KB"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_masked_language_models(tmp_path, dtype, max_shard_size):
    seeded_masked_lm(0, **SHAPE).to(dtype).save_pretrained(tmp_path, max_shard_size=max_shard_size)
    shards = len(list(tmp_path.glob("*.safetensors")))
    assert (shards > 1) == (max_shard_size != "50GB")

    reference = transformers.RobertaForMaskedLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ours = RobertaForMaskedLM.from_pretrained(tmp_path)
    state = reference.state_dict()
    # Widening a float is exact, so what was loaded must be equal bit for bit.
    for key, values in zip(tree_leaves(masked_lm_keys(ours.config)), tree_leaves(ours.weights), strict=True):
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, state[key.name].numpy(), err_msg=key.name)
    expected = reference(**torch_batch()).logits.numpy()
    np.testing.assert_allclose(ours(**BATCH).logits, expected, rtol=0, atol=LOGITS_ATOL)


@torch.no_grad()
@pytest.mark.parametrize("max_shard_size", ["50GB", "30KB"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bare_encoders_with_a_pooler(tmp_path, dtype, max_shard_size):
    seeded_roberta(1, **SHAPE).to(dtype).save_pretrained(tmp_path, max_shard_size=max_shard_size)
    reference = transformers.RobertaModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    expected, ours = reference(**torch_batch()), RobertaModel.from_pretrained(tmp_path)(**BATCH)
    assert_close(ours.last_hidden_state, expected.last_hidden_state)
    assert_close(ours.pooler_output, expected.pooler_output)
    with pytest.raises(CheckpointError, match="no masked-language-model head"):
        RobertaForMaskedLM.from_pretrained(tmp_path)


@torch.no_grad()
@pytest.mark.parametrize(
    "head",
    [
        "RobertaForMaskedLM",
        "RobertaForSequenceClassification",
        "RobertaForTokenClassification",
        "RobertaForQuestionAnswering",
        "RobertaForMultipleChoice",
    ],
)
def test_the_encoder_of_models_with_any_head(tmp_path, head):
    model = getattr(transformers, head)(transformers.RobertaConfig(**SHAPE)).eval()
    randomise(model, 2)
    model.save_pretrained(tmp_path)
    encoder = RobertaModel.from_pretrained(tmp_path)
    ours, expected = encoder(**BATCH), model.roberta(**torch_batch())
    assert_close(ours.last_hidden_state, expected.last_hidden_state)
    has_pooler = model.roberta.pooler is not None
    assert (ours.pooler_output is not None) == has_pooler
    if has_pooler:
        assert_close(ours.pooler_output, expected.pooler_output)


def assert_close(ours, expected):
    np.testing.assert_allclose(ours, expected.numpy(), rtol=0, atol=HIDDEN_ATOL)
