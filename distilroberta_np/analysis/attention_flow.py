"""Attention beyond single maps: rollout over layers, and norms that take the values into account.

The map of each head is `trace["layer.probabilities"]`. A high probability alone says little: the value that it weighs
may be close to zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..layers.params import Array
from ..models import RobertaForMaskedLM
from .tracing import Trace


def attention_rollout(trace: Trace) -> Array:
    """Attention rollout (Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers", equation 1).

    The attention of a layer, averaged over its heads, is mixed with the identity for the residual connection,
    (A + I) / 2, and the layers are multiplied: how much of each input token flows into each token.

    Returns (layer, token, key) float64: after each layer. Rows sum to 1.
    """
    averaged = trace["layer.probabilities"].astype(np.float64).mean(axis=1)  # [L, A, S, S] -> [L, S, S]
    rollout = flow = np.eye(averaged.shape[-1])
    layers = []
    for attention in averaged:
        flow = (attention + np.eye(len(attention))) / 2
        rollout = flow / flow.sum(axis=-1, keepdims=True) @ rollout  # [S, S] @ [S, S]
        layers.append(rollout)
    return np.array(layers)


class AttentionNorms(NamedTuple):
    """Norms of what attention brings from one token (key) to another (token), float64."""

    heads: Array  # (layer, head, token, key)
    total: Array  # (layer, token, key): of the sum over the heads


def attention_norms(model: RobertaForMaskedLM, trace: Trace) -> AttentionNorms:
    """Norms of the weighted values (Kobayashi et al. 2020, "Attention is Not Only a Weight", section 3).

    A head brings alpha f(x) from a token x, where f(x) = (x W_V + b_V) W_O and alpha is the attention probability. The
    norm of this vector weighs the probability with the size of what it brings.
    """
    probabilities = trace["layer.probabilities"].astype(np.float64)  # [L, A, S, S]
    values = trace["layer.value"].astype(np.float64)  # [L, A, S, D]
    heads, size = values.shape[1], values.shape[-1]
    totals, norms = [], []
    for alpha, value, layer in zip(probabilities, values, model.weights.roberta.layers, strict=True):
        output = layer.attention.output.weight.T.reshape(heads, size, -1)  # [H, H]^T -> [A, D, H]
        brought = (value @ output).swapaxes(0, 1)  # [A, S, D] @ [A, D, H] -> [A, S, H] -> [S, A, H]
        # |sum_a alpha_a f_a|^2 = sum_ab alpha_a alpha_b <f_a, f_b>, without the vectors of all pairs of tokens.
        products = brought @ brought.swapaxes(-1, -2)  # [S, A, H] @ [S, H, A] -> [S, A, A], for each key
        squares = np.einsum("aij,jab,bij->ij", alpha, products, alpha)  # [S, S]
        totals.append(np.sqrt(squares.clip(min=0)))
        norms.append(alpha * np.linalg.norm(brought, axis=-1).T[:, None])  # [A, S, S] * [A, 1, S]
    return AttentionNorms(np.array(norms), np.array(totals))
