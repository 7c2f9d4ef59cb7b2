"""The three fine-tuned models against transformers': their logits, and each side's folders loaded by the other."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

import distilroberta_np  # noqa: E402
from distilroberta_np.layers.params import tree_leaves  # noqa: E402
from tests.support.transformers_models import DISTILROBERTA, random_batch, randomise  # noqa: E402

pytestmark = pytest.mark.parity

NAMES = ["RobertaForSequenceClassification", "RobertaForTokenClassification", "RobertaForQuestionAnswering"]
SMALL = DISTILROBERTA | {
    "vocab_size": 211,
    "hidden_size": 36,
    "num_hidden_layers": 3,
    "intermediate_size": 50,
    "max_position_embeddings": 30,
    "num_labels": 5,
}
# The real model's width, and fewer words and layers.
WIDE = DISTILROBERTA | {"vocab_size": 500, "num_hidden_layers": 1, "num_labels": 3}
# Of hidden states, as in test_model.py: a head's maps keep their size.
LOGITS_ATOL = 2e-5


def reference_of(name, seed=0, **shape):
    if name == "RobertaForQuestionAnswering":
        shape = {key: value for key, value in shape.items() if key not in ("num_labels", "id2label")}  # always two
    config = transformers.RobertaConfig(**shape)
    model = getattr(transformers, name)._from_config(config, attn_implementation="eager").eval()
    randomise(model, seed)
    return model


def logits_of(outputs):
    return [outputs.logits] if hasattr(outputs, "logits") else [outputs.start_logits, outputs.end_logits]


@torch.no_grad()
def assert_same_logits(ours, reference, batch):
    theirs = logits_of(reference(**{name: torch.from_numpy(values) for name, values in batch.items()}))
    for logits, expected in zip(logits_of(ours(**batch)), theirs, strict=True):
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, expected.numpy(), rtol=0, atol=LOGITS_ATOL)
        assert expected.std() > 1000 * LOGITS_ATOL


@pytest.fixture
def told():
    """What transformers logs as a warning or worse."""
    messages = []

    class Keep(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())

    handler = Keep(logging.WARNING)
    logging.getLogger("transformers").addHandler(handler)
    yield messages
    logging.getLogger("transformers").removeHandler(handler)


def loaded_without_a_word(name, folder, told):
    told.clear()
    model, info = getattr(transformers, name).from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert told == []
    assert not any(info.values()), info
    return model.eval()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [SMALL, WIDE], ids=["small", "wide"])
def test_loading_models_saved_by_transformers(tmp_path, name, shape):
    reference = reference_of(name, **shape)
    reference.save_pretrained(tmp_path)
    ours = getattr(distilroberta_np, name).from_pretrained(tmp_path)
    longest = shape["max_position_embeddings"] - 2
    for padding in ("right", "left", "inside"):
        assert_same_logits(ours, reference, random_batch(1, shape, [min(longest, 60), 20, 3], padding))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", NAMES)
def test_transformers_loads_saved_models(tmp_path, told, name, dtype):
    shape = SMALL | {"id2label": {place: f"label {place}" for place in range(5)}, "problem_type": "regression"}
    reference = reference_of(name, **shape)
    reference.save_pretrained(tmp_path / "theirs")
    saved = json.loads((tmp_path / "theirs" / "config.json").read_text())
    assert list(saved.get("id2label", "01234")) == list("01234"), "a config.json has strings for keys"
    ours = getattr(distilroberta_np, name).from_pretrained(tmp_path / "theirs")
    ours.save_pretrained(tmp_path / "ours", dtype=dtype)
    theirs = loaded_without_a_word(name, tmp_path / "ours", told)
    assert theirs.config.id2label == ours.config.id2label == reference.config.id2label
    assert theirs.config.label2id == ours.config.label2id
    assert theirs.config.problem_type == ours.config.problem_type == "regression"
    assert theirs.config.architectures == [name]
    again = getattr(distilroberta_np, name).from_pretrained(tmp_path / "ours")
    assert_same_logits(again, theirs, random_batch(2, SMALL, [25, 11, 2]))
    if dtype == "float32":
        assert_same_logits(ours, theirs, random_batch(2, SMALL, [25, 11, 2]))


@pytest.mark.parametrize("name", NAMES)
def test_two_labels_without_names(tmp_path, told, name):
    reference = reference_of(name, **SMALL | {"num_labels": 2, "problem_type": "multi_label_classification"})
    reference.save_pretrained(tmp_path / "theirs")
    assert "id2label" not in json.loads((tmp_path / "theirs" / "config.json").read_text())
    ours = getattr(distilroberta_np, name).from_pretrained(tmp_path / "theirs")
    assert ours.config.id2label == reference.config.id2label
    ours.save_pretrained(tmp_path / "ours")
    theirs = loaded_without_a_word(name, tmp_path / "ours", told)
    assert theirs.config.id2label == reference.config.id2label
    assert theirs.config.problem_type == "multi_label_classification"
    assert_same_logits(ours, theirs, random_batch(3, SMALL, [9, 4]))


@torch.no_grad()
@pytest.mark.parametrize("pooler", [True, False])
def test_encoders_saved_alone(tmp_path, told, pooler):
    config = transformers.RobertaConfig(**SMALL)
    reference = transformers.RobertaModel._from_config(config, add_pooling_layer=pooler).eval()
    randomise(reference, 4)
    reference.save_pretrained(tmp_path / "theirs")
    ours = distilroberta_np.RobertaModel.from_pretrained(tmp_path / "theirs")
    ours.save_pretrained(tmp_path / "ours")
    theirs, info = transformers.RobertaModel.from_pretrained(
        tmp_path / "ours", add_pooling_layer=pooler, output_loading_info=True
    )
    assert told == []
    assert not any(info.values()), info
    batch = random_batch(4, SMALL, [20, 5])
    outputs, expected = (
        ours(**batch),
        theirs.eval()(**{name: torch.from_numpy(values) for name, values in batch.items()}),
    )
    np.testing.assert_allclose(outputs.last_hidden_state, expected.last_hidden_state.numpy(), rtol=0, atol=LOGITS_ATOL)
    assert (expected.pooler_output is not None) == pooler
    if pooler:
        np.testing.assert_allclose(outputs.pooler_output, expected.pooler_output.numpy(), rtol=0, atol=LOGITS_ATOL)
    state = theirs.state_dict()
    assert sum(leaf.size for leaf in tree_leaves(ours.weights)) == sum(
        values.numel() for name, values in state.items() if not name.endswith("_ids")
    )
