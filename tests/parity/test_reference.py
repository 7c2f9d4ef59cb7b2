"""Every intermediate of `reference/` against transformers on torch, taken by hooks, on the same weights."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from distilroberta_np import reference  # noqa: E402
from distilroberta_np.hub import find_embedded  # noqa: E402
from tests.support.transformers_models import DISTILROBERTA, seeded_masked_lm  # noqa: E402

pytestmark = pytest.mark.parity

SMALL = DISTILROBERTA | {
    "vocab_size": 101,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 40,
}
SHAPES = {
    "small": SMALL,
    "3 heads of 5": SMALL | {"hidden_size": 15, "num_attention_heads": 3, "intermediate_size": 7},
    "pad token 0": SMALL | {"pad_token_id": 0, "bos_token_id": 1},
    "eps 0.1": SMALL | {"layer_norm_eps": 0.1},
    "distilroberta": DISTILROBERTA,
}


@torch.no_grad()
def outputs_of_modules(model, ids):
    """Return transformers' output and the output of every module by its name."""
    outputs = {}

    def recorder(name):
        def hook(module, inputs, output):
            outputs[name] = (output[0] if isinstance(output, tuple) else output)[0].numpy()

        return hook

    handles = [module.register_forward_hook(recorder(name)) for name, module in model.named_modules() if name]
    result = model(torch.tensor([ids.tolist()]), output_hidden_states=True, output_attentions=True)
    for handle in handles:
        handle.remove()
    return result, outputs


def joined(heads):
    return heads.swapaxes(0, 1).reshape(heads.shape[1], -1)


def assert_record_equals(record, result, outputs, atol):
    def close(ours, theirs, name):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol, err_msg=name)

    close(record["embeddings"]["word"], outputs["roberta.embeddings.word_embeddings"], "word")
    close(record["embeddings"]["position"], outputs["roberta.embeddings.position_embeddings"], "position")
    close(record["embeddings"]["norm"], result.hidden_states[0][0], "embeddings")
    for n, attention in enumerate(result.attentions):
        ours, theirs = record[f"layer.{n}"], f"roberta.encoder.layer.{n}"
        for name in ("query", "key", "value"):
            close(joined(ours[name]), outputs[f"{theirs}.attention.self.{name}"], f"{name} of layer {n}")
        close(ours["probabilities"], attention[0], f"probabilities of layer {n}")
        close(ours["context"], outputs[f"{theirs}.attention.self"], f"context of layer {n}")
        close(ours["attention_output"], outputs[f"{theirs}.attention.output.dense"], f"attention of layer {n}")
        close(ours["attention_norm"], outputs[f"{theirs}.attention.output"], f"attention norm of layer {n}")
        close(ours["feed_forward_inner"], outputs[f"{theirs}.intermediate.dense"], f"inner of layer {n}")
        close(ours["feed_forward_activation"], outputs[f"{theirs}.intermediate"], f"activation of layer {n}")
        close(ours["feed_forward_output"], outputs[f"{theirs}.output.dense"], f"feed-forward of layer {n}")
        close(ours["feed_forward_norm"], result.hidden_states[n + 1][0], f"output of layer {n}")
    close(record["lm_head"]["dense"], outputs["lm_head.dense"], "dense of the head")
    close(record["lm_head"]["norm"], outputs["lm_head.layer_norm"], "norm of the head")
    close(record["lm_head"]["logits"], result.logits[0], "logits")


@pytest.mark.parametrize("length", [1, 17])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_intermediate_of_a_seeded_model(tmp_path, shape, length):
    model = seeded_masked_lm(length, **shape)
    model.save_pretrained(tmp_path)
    params, config = reference.load(tmp_path)
    ids = np.random.default_rng(length).integers(5, shape["vocab_size"], length)
    record = {}
    reference.forward(ids, params, config, record)
    assert_record_equals(record, *outputs_of_modules(model, ids), atol=8e-5)


def test_text_to_words_on_the_embedded_model():
    folder = find_embedded()
    model = transformers.AutoModelForMaskedLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    ).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    params, config = reference.load(folder)
    text = "The man worked as a <mask>."
    ids = np.array(reference.Tokenizer.from_folder(folder).encode(text)[0])
    assert ids.tolist() == tokenizer(text)["input_ids"]
    record = {}
    reference.forward(ids, params, config, record)
    result, outputs = outputs_of_modules(model, ids)
    assert_record_equals(record, result, outputs, atol=8e-5)
    best = torch.softmax(result.logits[0, ids.tolist().index(tokenizer.mask_token_id)], -1).topk(5)
    answers = reference.fill_mask(text, folder)
    assert [word for _, word in answers] == [tokenizer.decode(token) for token in best.indices]
    np.testing.assert_allclose([score for score, _ in answers], best.values, rtol=1e-4)
