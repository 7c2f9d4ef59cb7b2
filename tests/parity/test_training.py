"""Gradients, updates and saved models next to torch's autograd, torch's AdamW and transformers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
pytest.importorskip("transformers", reason="needs the parity extra")

import torch
import transformers

from distilroberta_np import RobertaConfig, RobertaForMaskedLM, RobertaTokenizer
from distilroberta_np.layers.params import tree_leaves, tree_map
from distilroberta_np.models.masked_lm import masked_lm_gradients, masked_lm_keys
from distilroberta_np.training.data.masking import mask_tokens
from distilroberta_np.training.optim.adamw import adamw, clip, linear_schedule, start
from distilroberta_np.training.pretrain import pretrain
from distilroberta_np.training.settings import PretrainSettings
from tests.support.transformers_models import seeded_masked_lm

pytestmark = pytest.mark.parity

SHAPE = {
    "vocab_size": 300,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 66,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


def models(seed, dtype=np.float32):
    """transformers' model, and copies of its weights in our tree."""
    theirs = seeded_masked_lm(seed, **SHAPE).to(torch.float64 if dtype == np.float64 else torch.float32)
    config = RobertaConfig.from_dict(theirs.config.to_dict())
    state = theirs.state_dict()
    return theirs, config, tree_map(lambda key: state[key.name].numpy().copy(), masked_lm_keys(config))


def batch(rng, lengths):
    """Texts of these lengths: ours in groups, and padded for torch."""
    groups = []
    for length in sorted(set(lengths)):
        ids = rng.integers(4, SHAPE["vocab_size"] - 1, (lengths.count(length), length))
        ids[:, 0], ids[:, -1] = 0, 2
        groups.append(mask_tokens(ids, rng, SHAPE["vocab_size"] - 1, SHAPE["vocab_size"] - 1, range(4), 0.3))
    longest = max(lengths)
    pad = [
        [np.pad(array, ((0, 0), (0, longest - array.shape[1])), constant_values=value) for array in arrays]
        for arrays, value in zip(zip(*groups, strict=True), (1, -100), strict=True)
    ]
    ids, labels = (torch.from_numpy(np.concatenate(arrays)) for arrays in pad)
    return groups, {"input_ids": ids, "attention_mask": (ids != 1).long(), "labels": labels}


def gradients_of(model, config):
    named = dict(model.named_parameters())
    return tree_map(lambda key: named[key.name].grad.numpy(), masked_lm_keys(config))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 2e-4)])
@pytest.mark.parametrize("lengths", [[12], [5, 5, 9, 30, 64]])
def test_every_gradient_equals_torchs(dtype, tolerance, lengths):
    theirs, config, weights = models(3, dtype)
    groups, inputs = batch(np.random.default_rng(0), lengths)
    outputs = theirs(**inputs)
    outputs.loss.backward()
    loss, gradients = masked_lm_gradients(*map(list, zip(*groups, strict=True)), weights, config)
    assert loss == pytest.approx(outputs.loss.item(), rel=1e-6)
    keys = tree_leaves(masked_lm_keys(config))
    pairs = zip(keys, tree_leaves(gradients), tree_leaves(gradients_of(theirs, config)), strict=True)
    for key, ours, expected in pairs:
        assert ours.dtype == dtype
        # Relative to the tensor's largest; a key's bias has none, as it adds the same to all scores of a query.
        scale = max(np.abs(expected).max(), 1e-2)
        assert np.abs(ours - expected).max() <= tolerance * scale, key.name


def test_fifty_updates_equal_torchs():
    theirs, config, weights = models(1)
    updates, warmup, peak, decay = 50, 5, 3e-3, 0.01
    decays = [parameter for parameter in theirs.parameters() if parameter.ndim > 1]
    rest = [parameter for parameter in theirs.parameters() if parameter.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decays, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}],
        lr=peak,
        betas=(0.9, 0.98),
        eps=1e-6,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: linear_schedule(n + 1, updates, warmup, 1.0))
    state, rng = start(weights), np.random.default_rng(0)
    for update in range(updates):
        groups, inputs = batch(rng, [10, 10, 24, 24, 24, 60])
        loss, gradients = masked_lm_gradients(*map(list, zip(*groups, strict=True)), weights, config)
        norm = clip(gradients, 1.0)
        state = adamw(weights, gradients, state, linear_schedule(update + 1, updates, warmup, peak), decay)

        optimizer.zero_grad()
        outputs = theirs(**inputs)
        outputs.loss.backward()
        their_norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        assert loss == pytest.approx(outputs.loss.item(), abs=1e-3)
        assert norm == pytest.approx(their_norm.item(), rel=1e-2)


def test_transformers_loads_a_pretrained_model_without_warnings(tmp_path, recwarn, caplog):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"The cat saw number {n} of them.\n" for n in range(300)), encoding="utf-8")
    settings = PretrainSettings(
        vocab_size=280, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        length=32, last_length=32, batch_tokens=512, updates=5, warmup=1,
    )  # fmt: skip
    assert pretrain(tmp_path / "run", [text], settings)
    folder = tmp_path / "run" / "checkpoint"
    theirs, told = transformers.RobertaForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert {name: list(values) for name, values in told.items() if values} == {}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer("The cat saw <mask> of them.", return_tensors="pt")
    ours = RobertaForMaskedLM.from_pretrained(folder)
    ids = RobertaTokenizer.from_pretrained(folder)("The cat saw <mask> of them.", return_tensors="np")
    np.testing.assert_array_equal(ids["input_ids"], inputs["input_ids"].numpy())
    with torch.no_grad():
        np.testing.assert_allclose(ours(**ids).logits, theirs.eval()(**inputs).logits.numpy(), atol=1e-5)
    assert [str(warning.message) for warning in recwarn] == []
    assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
