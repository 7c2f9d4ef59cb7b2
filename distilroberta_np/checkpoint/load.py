"""From a model's folder to its weights: every tensor expected must be there in the right shape, and none besides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..config import RobertaConfig
from ..errors import CheckpointError
from ..layers.params import Array, tree_leaves, tree_map
from ..layers.roberta import (
    MaskedLMWeights,
    QuestionAnsweringWeights,
    RobertaWeights,
    SequenceClassificationWeights,
    TokenClassificationWeights,
)
from .keys import (
    UNUSED_BY_CLASSIFIER,
    UNUSED_BY_MASKED_LM,
    UNUSED_BY_QUESTION_ANSWERING,
    UNUSED_BY_ROBERTA,
    Key,
    is_unused,
    masked_lm_keys,
    question_answering_keys,
    sequence_classification_keys,
    stored_roberta_keys,
    token_classification_keys,
)
from .safetensors_file import StoredTensor, open_safetensors
from .shards import INDEX_FILE, WEIGHTS_FILE, read_weight_map

_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model.pt", "model.pt", "model.bin")


def load_roberta(folder: Path, config: RobertaConfig) -> RobertaWeights[Array]:
    """The encoder's weights, from a model with or without a head. Raises CheckpointError."""
    stored = open_checkpoint(folder)
    weights: RobertaWeights[Array] = _load(folder, stored_roberta_keys(config, stored), stored, UNUSED_BY_ROBERTA)
    return weights


def load_masked_lm(folder: Path, config: RobertaConfig) -> MaskedLMWeights[Array]:
    """The weights of the encoder and of the masked-language-model head. Raises CheckpointError."""
    stored = _open_with_head(folder, "lm_head.", "no masked-language-model head", "they can't fill masks")
    weights: MaskedLMWeights[Array] = _load(folder, masked_lm_keys(config), stored, UNUSED_BY_MASKED_LM)
    # Copies of the tied matrix and of its bias may be stored beside them. If they aren't copies, the head isn't tied.
    ties = {"lm_head.decoder.weight": weights.roberta.embeddings.word, "lm_head.decoder.bias": weights.lm_head.bias}
    for name, tied in ties.items():
        if name in stored and not np.array_equal(stored[name].to_float32(), tied):
            raise CheckpointError(
                f"{folder}: {name} differs from what it is tied to, the word embeddings and lm_head.bias; "
                "a head with an output matrix of its own is not computed here"
            )
    return weights


def load_sequence_classification(folder: Path, config: RobertaConfig) -> SequenceClassificationWeights[Array]:
    """The weights of the encoder and of the head that classifies texts. Raises CheckpointError."""
    stored = _open_with_head(folder, "classifier.out_proj.", "no head for classifying texts", "they can't")
    keys = sequence_classification_keys(config)
    weights: SequenceClassificationWeights[Array] = _load(folder, keys, stored, UNUSED_BY_CLASSIFIER)
    return weights


def load_token_classification(folder: Path, config: RobertaConfig) -> TokenClassificationWeights[Array]:
    """The weights of the encoder and of the head that classifies tokens. Raises CheckpointError."""
    stored = _open_with_head(folder, "classifier.weight", "no head for classifying tokens", "they can't")
    keys = token_classification_keys(config)
    weights: TokenClassificationWeights[Array] = _load(folder, keys, stored, UNUSED_BY_CLASSIFIER)
    return weights


def load_question_answering(folder: Path, config: RobertaConfig) -> QuestionAnsweringWeights[Array]:
    """The weights of the encoder and of the head that finds answers. Raises CheckpointError."""
    stored = _open_with_head(folder, "qa_outputs.", "no head for answering questions", "they can't")
    keys = question_answering_keys(config)
    weights: QuestionAnsweringWeights[Array] = _load(folder, keys, stored, UNUSED_BY_QUESTION_ANSWERING)
    return weights


def _open_with_head(folder: Path, begins: str, lacking: str, so: str) -> dict[str, StoredTensor]:
    """The tensors of a checkpoint that must have some whose names begin so."""
    stored = open_checkpoint(folder)
    if not any(name.startswith(begins) for name in stored):
        raise CheckpointError(
            f"{folder}: these weights have {lacking} (no {begins}*), so {so}; RobertaModel loads the encoder alone"
        )
    return stored


def open_checkpoint(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of a folder's model.safetensors, or of the shards that its index names.

    Raises:
        CheckpointError: neither is there, or they are malformed, or the weights are a pickle.
    """
    if (folder / WEIGHTS_FILE).exists():
        return open_safetensors(folder / WEIGHTS_FILE)
    if (folder / INDEX_FILE).exists():
        return _open_shards(folder)
    pickle = next((name for name in _PICKLES if (folder / name).exists()), None)
    if pickle is not None:
        raise CheckpointError(
            f"{folder / pickle}: a pickle, which can run any code when it is opened, so it is not opened here. "
            "Convert it where you trust it: load it with transformers and call save_pretrained, which writes "
            "model.safetensors"
        )
    raise CheckpointError(f"{folder}: no {WEIGHTS_FILE} and no {INDEX_FILE} in it")


def _open_shards(folder: Path) -> dict[str, StoredTensor]:
    weight_map = read_weight_map(folder)
    shards = {name: open_safetensors(folder / name) for name in dict.fromkeys(weight_map.values())}
    stored = {}
    for tensor, shard in weight_map.items():
        if tensor not in shards[shard]:
            raise CheckpointError(f"{folder / INDEX_FILE}: says that {tensor} is in {shard}, and it is not")
        stored[tensor] = shards[shard][tensor]
    for name, tensors in shards.items():
        for tensor in tensors:
            if weight_map.get(tensor) != name:
                raise CheckpointError(f"{folder / name}: holds {tensor}, which {INDEX_FILE} does not expect there")
    return stored


def _load(folder: Path, keys: Any, stored: dict[str, StoredTensor], unused: tuple[str, ...]) -> Any:
    expected = {key.name for key in tree_leaves(keys)}
    missing = sorted(expected - stored.keys())
    if missing:
        raise CheckpointError(f"{folder}: the weights lack {_some(missing)}")
    unexpected = sorted(name for name in stored.keys() - expected if not is_unused(name, unused))
    if unexpected:
        raise CheckpointError(f"{folder}: the weights hold {_some(unexpected)}, which the config does not account for")

    def read(key: Key) -> Array:
        tensor = stored[key.name]
        if tensor.shape != key.shape:
            raise CheckpointError(
                f"{tensor.path}: {key.name} has the shape {tensor.shape}, and by the config it must be {key.shape}"
            )
        return tensor.to_float32()

    return tree_map(read, keys)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
