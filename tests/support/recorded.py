"""What transformers computed with the embedded model, as scripts/record/goldens.py recorded it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from distilroberta_np.hub import find_embedded

PREDICTIONS = json.loads((Path(__file__).parents[1] / "data" / "embedded_predictions.json").read_text(encoding="utf-8"))


def recorded_model() -> Path:
    """The folder of the embedded model, if it is the one that was recorded."""
    folder = find_embedded()
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert digest == PREDICTIONS["sha256 of model.safetensors"], (
        "the embedded model is another one than was recorded; run scripts/record/goldens.py"
    )
    return folder
