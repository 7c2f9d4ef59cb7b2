"""The small model that scripts/record/question_answering.py recorded, made again from its seed, with RoBERTa's own
tokenizer."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from tests.support.seeded import draw, seeded_tensors, write_json, write_model

SEED = 3
SHAPE: dict[str, Any] = {"vocab_size": 50265, "hidden_size": 16, "num_hidden_layers": 2}
_TOKENIZER = Path(__file__).parents[1] / "data" / "roberta_tokenizer" / "tokenizer.json.gz"


def write_question_answering(folder: Path, *, scale: float = 1.0) -> Path:
    """The model's folder. `scale` is of the head's weights; this one makes logits as far apart as in trained models."""
    head = {"qa_outputs.weight": draw(SEED, 2, 16, scale=scale), "qa_outputs.bias": draw(SEED, 2)}
    write_model(folder, seeded_tensors(SEED, **SHAPE) | head, tokenizer=False, **SHAPE)
    (folder / "tokenizer.json").write_bytes(gzip.decompress(_TOKENIZER.read_bytes()))
    write_json(folder / "tokenizer_config.json", {"model_max_length": 512})
    return folder
