"""Small seeded models in folders as current and old versions of sentence-transformers save them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.support.seeded import safetensors_bytes, seeded_tensors, write_json, write_model

HIDDEN = 16
PACKAGE = "sentence_transformers.models"


def write_sentence_encoder(
    folder: Path,
    *,
    pooling: dict[str, Any] | None = None,
    layers: dict[str, dict[str, Any]] | None = None,
    encoder: str = "",
    settings: dict[str, Any] | None = None,
    encoder_settings: dict[str, Any] | None = None,
) -> Path:
    """A sentence encoder with a hidden size of 16. `layers` follow the pooling, by kind; `encoder` is the subfolder of
    the encoder."""
    write_model(folder / encoder)
    kinds = {"Transformer": None, "Pooling": {"word_embedding_dimension": HIDDEN} | (pooling or {})} | (layers or {})
    modules = []
    for number, (kind, config) in enumerate(kinds.items()):
        path = encoder if kind == "Transformer" else f"{number}_{kind}"
        modules.append({"idx": number, "name": str(number), "path": path, "type": f"{PACKAGE}.{kind}"})
        if config is not None:
            (folder / path).mkdir()
            write_json(folder / path / "config.json", config)
            if kind == "Dense":
                (folder / path / "model.safetensors").write_bytes(safetensors_bytes(dense_tensors(config)))
    write_json(folder / "modules.json", modules)
    if settings is not None:
        write_json(folder / "config_sentence_transformers.json", settings)
    if encoder_settings is not None:
        write_json(folder / encoder / "sentence_bert_config.json", encoder_settings)
    return folder


def dense_config(**changes: Any) -> dict[str, Any]:
    activation = "torch.nn.modules.activation.Tanh"
    return {"in_features": HIDDEN, "out_features": 5, "bias": True, "activation_function": activation} | changes


def dense_tensors(config: dict[str, Any]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    tensors = {"linear.weight": rng.normal(size=(5, config["in_features"])), "linear.bias": rng.normal(size=5)}
    return tensors if config["bias"] else {"linear.weight": tensors["linear.weight"]}


def classifier_tensors(labels: int) -> dict[str, Any]:
    """The tensors of the seeded encoder with a classification head."""
    tensors = {name: values for name, values in seeded_tensors().items() if name.startswith("roberta.")}
    rng = np.random.default_rng(labels)
    head = {
        "classifier.dense.weight": (HIDDEN, HIDDEN),
        "classifier.dense.bias": (HIDDEN,),
        "classifier.out_proj.weight": (labels, HIDDEN),
        "classifier.out_proj.bias": (labels,),
    }
    return tensors | {name: rng.normal(size=shape).astype(np.float32) for name, shape in head.items()}


def write_cross_encoder(
    folder: Path, *, labels: int = 1, settings: dict[str, Any] | None = None, **config: Any
) -> Path:
    """A cross-encoder; with `settings` as current versions save it, with modules.json."""
    names = {str(label): f"LABEL_{label}" for label in range(labels)}
    write_model(folder, classifier_tensors(labels), id2label=names, **config)
    if settings is not None:
        write_json(folder / "modules.json", [{"path": "", "type": f"{PACKAGE}.Transformer"}])
        write_json(folder / "config_sentence_transformers.json", {"model_type": "CrossEncoder"} | settings)
    return folder
