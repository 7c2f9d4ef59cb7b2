"""Record the outputs of transformers that tests/test_goldens.py compares with. Run it again for another model.

    python -m scripts.record.goldens

Writes under tests/data/:
    seeded/                           a small checkpoint with seeded random weights and a pooler
    seeded/intermediates.safetensors  inputs, and every tensor that transformers computes from them, step by step
    embedded_predictions.json         what transformers' fill-mask pipeline answers with the embedded model

All values are float32, and carry the versions of torch and transformers. The current ones were recorded with torch
2.13.0 and transformers 5.23.0. Needs the `parity` extra.
"""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers.models.roberta import modeling_roberta

from tests.support.transformers_models import random_batch, seeded_masked_lm, seeded_roberta

PROJECT = Path(__file__).parents[2]
DATA = PROJECT / "tests" / "data"
EMBEDDED = PROJECT / "weights" / "tiny"
RECORDED_WITH = {"torch": torch.__version__, "transformers": transformers.__version__}

SHAPE: dict[str, Any] = {
    "vocab_size": 128,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 16,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}

CALLS: list[dict[str, Any]] = [
    {"inputs": "The capital of France is <mask>."},
    {"inputs": "She opened the<mask>and looked inside.", "top_k": 3},
    {"inputs": "<mask> is a city in Germany.", "top_k": 10},
    {"inputs": "The <mask> sat on the <mask>."},
    {"inputs": "<mask><mask><mask>", "top_k": 2},
    {"inputs": "I had <mask> for breakfast.", "targets": ["Ġeggs", "Ġbread", "Ġwater", "Ġeggs"]},
    {"inputs": "He is a <mask>, and she is a <mask>.", "targets": ["Ġman", "Ġwoman", "Ġdoctor"], "top_k": 2},
    {"inputs": "Das Mädchen aß 3½ naïve Crêpes — für <mask>€!"},
    {"inputs": "日本語 🙂 <mask> שלום e\u0301"},
    {"inputs": '  Two  spaces ,\tand a\ttab ... <mask> ( "quoted" ) ?!'},
    {"inputs": "It rained all day, so the river rose and the old bridge by the mill was closed to <mask> until noon."},
    {"inputs": ["A short <mask>.", "Of two texts this one is the longer <mask> by far."], "top_k": 2},
]


def seeded_models() -> tuple[Any, Any]:
    """A masked language model, and an encoder with a pooler that shares its weights."""
    masked_lm, encoder = seeded_masked_lm(0, **SHAPE), seeded_roberta(1, **SHAPE)
    encoder.load_state_dict(masked_lm.roberta.state_dict(), strict=False)
    return masked_lm, encoder


def padded_batch() -> dict[str, np.ndarray]:
    """Rows with padding on the right, on the left, inside, none, and nothing else; B, S, A and D all differ."""
    batches = [random_batch(seed, SHAPE, [9, 5, 0], side) for seed, side in enumerate(("right", "left", "inside"))]
    padded = {name: [batch[name][1] for batch in batches] for name in ("input_ids", "attention_mask")}
    return {name: np.stack([*rows, batches[0][name][0], batches[0][name][2]]) for name, rows in padded.items()}


@torch.no_grad()
def intermediates(masked_lm: Any, encoder: Any, batch: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Every tensor between the ids and the logits (and the pooler's output), by the name of its step."""
    tensors: dict[str, torch.Tensor] = {}
    inputs = {name: torch.from_numpy(values) for name, values in batch.items()}

    def record(name: str, module: torch.nn.Module) -> None:
        module.register_forward_hook(lambda _module, _inputs, output: tensors.__setitem__(name, output))

    def record_input(name: str, module: torch.nn.Module) -> None:
        module.register_forward_pre_hook(lambda _module, args: tensors.__setitem__(name, args[0]))

    record_input("embeddings.sum", masked_lm.roberta.embeddings.LayerNorm)
    record("embeddings", masked_lm.roberta.embeddings)
    for index, layer in enumerate(masked_lm.roberta.encoder.layer):
        name = f"layer.{index}"
        record(f"{name}.attended", layer.attention.output.dense)
        record_input(f"{name}.attention_sum", layer.attention.output.LayerNorm)
        record(f"{name}.attention_output", layer.attention.output.LayerNorm)
        record(f"{name}.intermediate", layer.intermediate.dense)
        record(f"{name}.gelu", layer.intermediate)
        record(f"{name}.transformed", layer.output.dense)
        record_input(f"{name}.output_sum", layer.output.LayerNorm)
        record(f"{name}.output", layer.output.LayerNorm)
    record("head.dense", masked_lm.lm_head.dense)
    record_input("head.gelu", masked_lm.lm_head.layer_norm)
    record("head.layer_norm", masked_lm.lm_head.layer_norm)
    record("logits", masked_lm.lm_head)

    compute = modeling_roberta.eager_attention_forward
    softmax = torch.nn.functional.softmax

    def recording_attention(module: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        name = f"layer.{sum(step.endswith('.query') for step in tensors)}"

        def recording_softmax(scores: torch.Tensor, **softmax_kwargs: Any) -> torch.Tensor:
            tensors[f"{name}.scores"] = scores
            return softmax(scores, **softmax_kwargs)

        with patch.object(torch.nn.functional, "softmax", recording_softmax):
            context, probabilities = compute(module, query, key, value, *args, **kwargs)
        # The context has the heads after the tokens: [B, S, A, D].
        steps = {"query": query, "key": key, "value": value, "probabilities": probabilities}
        steps["context"] = context.flatten(2)
        tensors.update({f"{name}.{step}": tensor for step, tensor in steps.items()})
        return context, probabilities

    with patch.object(modeling_roberta, "eager_attention_forward", recording_attention):
        masked_lm(**inputs)
    tensors["pooler"] = encoder(**inputs).pooler_output
    return inputs | {name: tensor.contiguous() for name, tensor in tensors.items()}


def record_seeded(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    masked_lm, encoder = seeded_models()
    masked_lm.config.architectures = ["RobertaForMaskedLM"]
    masked_lm.config.save_pretrained(folder)
    # Like the published checkpoint: a pooler next to the head, and no second copy of the tied matrix.
    weights = masked_lm.state_dict()
    weights |= {f"roberta.{name}": tensor for name, tensor in encoder.state_dict().items() if "pooler" in name}
    weights = {name: tensor for name, tensor in weights.items() if not name.startswith("lm_head.decoder")}
    save_file(weights, folder / "model.safetensors", RECORDED_WITH)
    save_file(
        intermediates(masked_lm, encoder, padded_batch()), folder / "intermediates.safetensors", metadata=RECORDED_WITH
    )


def record_predictions(path: Path) -> None:
    model = transformers.RobertaForMaskedLM.from_pretrained(EMBEDDED, dtype=torch.float32)
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(EMBEDDED)
    unmasker = transformers.pipeline("fill-mask", model=model, tokenizer=tokenizer)
    cases = [{"call": call, "output": unmasker(**call)} for call in CALLS]
    for row in rows([case["output"] for case in cases]):
        for better, worse in pairwise(prediction["score"] for prediction in row):
            if better - worse < 1e-4 * better:
                raise SystemExit(f"scores {better} and {worse} are too close to hold their order; change the text")
    recorded = {
        "recorded_with": RECORDED_WITH,
        "sha256 of model.safetensors": hashlib.sha256((EMBEDDED / "model.safetensors").read_bytes()).hexdigest(),
        "cases": cases,
    }
    path.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def rows(output: Any) -> list[Any]:
    """The lists of predictions in an output, at any depth."""
    if isinstance(output[0], dict):
        return [output]
    return [row for part in output for row in rows(part)]


def main() -> None:
    record_seeded(DATA / "seeded")
    record_predictions(DATA / "embedded_predictions.json")


if __name__ == "__main__":
    main()
