"""The difference between the gradients of this package and torch's autograd, per tensor. Prints Markdown.

    python -m scripts.gradient_report

For a seeded masked language model of 6 layers and a batch of sequences of several lengths: the relative difference
|one - other| / |other| (Euclidean norms) of the gradient, the largest of each kind of tensor. In float64 only the
fitted GELU and the order of sums differ. In float32 the table also has torch's own difference from float64. Needs the
`parity` extra.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch

from distilroberta_np import RobertaConfig
from distilroberta_np.layers.params import Array, tree_leaves, tree_map
from distilroberta_np.models.masked_lm import masked_lm_gradients, masked_lm_keys
from distilroberta_np.training.data.masking import mask_tokens
from scripts.machine import describe_machine
from tests.support.transformers_models import random_batch, seeded_masked_lm

SHAPE: dict[str, Any] = {
    "vocab_size": 5000,
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 130,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
LENGTHS = [7, 7, 20, 33, 33, 33, 64, 128]
Gradients = dict[str, Array]


def batch() -> list[tuple[Array, Array]]:
    """Ids and labels, (B, S) for each length."""
    rng = np.random.default_rng(0)
    mask = SHAPE["vocab_size"] - 1
    groups = []
    for length in sorted(set(LENGTHS)):
        ids = random_batch(length, SHAPE, [length] * LENGTHS.count(length))["input_ids"]
        groups.append(mask_tokens(ids, rng, mask, mask, range(4), 0.15))
    return groups


def our_gradients(theirs: Any) -> Gradients:
    config = RobertaConfig.from_dict(theirs.config.to_dict())
    state, keys = theirs.state_dict(), masked_lm_keys(config)
    weights = tree_map(lambda key: state[key.name].numpy(), keys)
    texts, labels = map(list, zip(*batch(), strict=True))
    _, gradients = masked_lm_gradients(texts, labels, weights, config)
    return {key.name: leaf for key, leaf in zip(tree_leaves(keys), tree_leaves(gradients), strict=True)}


def their_gradients(theirs: Any) -> Gradients:
    """Gradients of the whole batch at once, with padding."""
    padded = [
        [np.pad(group, ((0, 0), (0, max(LENGTHS) - group.shape[1])), constant_values=value) for group in groups]
        for groups, value in zip(zip(*batch(), strict=True), (SHAPE["pad_token_id"], -100), strict=True)
    ]
    ids, labels = (torch.from_numpy(np.concatenate(groups)) for groups in padded)
    theirs(input_ids=ids, attention_mask=(ids != SHAPE["pad_token_id"]).long(), labels=labels).loss.backward()
    return {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters() if parameter.grad is not None}


def kind_of(name: str) -> str:
    """A tensor's name without its layer."""
    return re.sub(r"^roberta\.(encoder\.layer\.\d+\.)?", "", name)


def difference(one: Array, other: Array, scale: float) -> float:
    return float(np.linalg.norm(one.astype(np.float64) - other) / scale)


def main() -> None:
    single = seeded_masked_lm(0, **SHAPE)
    double = seeded_masked_lm(0, **SHAPE).double()
    exact, theirs = their_gradients(double), their_gradients(single)
    columns = {
        "float64: ours from torch's": our_gradients(double),
        "float32: ours from float64": our_gradients(single),
        "float32: torch's from float64": theirs,
    }
    kinds: dict[str, list[str]] = {}
    for name in our_gradients(single):
        kinds.setdefault(kind_of(name), []).append(name)
    tokens = sum(LENGTHS)
    print(
        f"6 layers of width 256, {len(LENGTHS)} texts, {tokens} tokens; {describe_machine('torch', 'transformers')}.\n"
    )
    print("| gradient of | tensors | " + " | ".join(columns) + " |")
    print("| --- | ---: |" + " ---: |" * len(columns))
    largest = dict.fromkeys(columns, 0.0)
    for kind, names in kinds.items():
        cells = []
        for column, gradients in columns.items():
            # A key's bias adds the same to all scores of a query: its gradient is 0 but for rounding. So it is set
            # against the query's.
            scales = {name: np.linalg.norm(exact[name.replace("self.key.bias", "self.query.bias")]) for name in names}
            worst = max(difference(gradients[name], exact[name], float(scales[name])) for name in names)
            largest[column] = max(largest[column], worst)
            cells.append(f"{worst:.1e}")
        note = " (of the query bias's norm; it is 0)" if "key.bias" in kind else ""
        print(f"| {kind}{note} | {len(names)} | " + " | ".join(cells) + " |")
    print(f"| largest of all | {len(exact)} | " + " | ".join(f"{value:.1e}" for value in largest.values()) + " |")


if __name__ == "__main__":
    main()
