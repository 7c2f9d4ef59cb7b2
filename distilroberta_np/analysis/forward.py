"""The layers of a model one at a time, with their intermediates, and with heads or feed-forward blocks left out.

It composes the steps of `layers/`, as `layers.encoder` does, for copies of one sentence that start at different
layers: a packed batch that grows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..config import RobertaConfig
from ..layers.attention import SequenceGroup, attention, split_heads
from ..layers.encoder import EncoderLayerWeights, add_and_norm
from ..layers.feed_forward import feed_forward
from ..layers.linear import linear
from ..layers.params import Array
from ..models import RobertaForMaskedLM
from ..runtime.batching import batches


def run_layer(
    hidden_states: Array,
    weights: EncoderLayerWeights[Array],
    config: RobertaConfig,
    kept_heads: Array | None = None,
    kept_feed_forward: Array | None = None,
) -> dict[str, Array]:
    """Run one layer on B sequences of S tokens, and return its intermediates by name.

    Args:
        hidden_states: (B, S, H), the input of the layer.
        kept_heads: (B, A), a factor for the context of each head: 0 leaves the head out. All are 1 if None.
        kept_feed_forward: (B,), a factor for the output of the feed-forward block. All are 1 if None.

    Returns the names of `Trace`, without "layer."; the arrays begin with the axis B. The output is feed_forward_norm.
    """
    (batch, tokens, hidden), heads, eps = hidden_states.shape, config.num_attention_heads, config.layer_norm_eps
    group = SequenceGroup(batch, tokens, queries=tokens)
    rows = hidden_states.reshape(-1, hidden)  # [B, S, H] -> [N, H]
    attended, cache = attention(rows, rows, [group], weights.attention, heads)  # [N, H]
    query, key, value = (split_heads(part, group, heads) for part in (cache.query, cache.key, cache.value))
    context = cache.context
    if kept_heads is not None:
        factors = np.repeat(kept_heads, hidden // heads, axis=1)[:, None]  # [B, A] -> [B, 1, H]
        context = (context.reshape(hidden_states.shape) * factors).reshape(rows.shape)
        attended = linear(context, weights.attention.output)  # [N, H]
    attention_output = attended.copy()  # add_and_norm overwrites it with the sum
    attention_norm, first = add_and_norm(rows, attended, weights.attention_layer_norm, eps)
    transformed, inner = feed_forward(attention_norm, weights.feed_forward)
    if kept_feed_forward is not None:
        transformed *= np.repeat(kept_feed_forward, tokens)[:, None]  # [N, H] * [N, 1]
    feed_forward_output = transformed.copy()
    feed_forward_norm, second = add_and_norm(attention_norm, transformed, weights.feed_forward_layer_norm, eps)
    per_token = {
        "context": context,
        "attention_output": attention_output,
        "attention_sum": first.summed,
        "attention_norm": attention_norm,
        "feed_forward_inner": inner.intermediate,
        "feed_forward_activation": inner.active,
        "feed_forward_output": feed_forward_output,
        "feed_forward_sum": second.summed,
        "feed_forward_norm": feed_forward_norm,
    }
    return {
        "query": query,
        "key": key,
        "value": value,
        "scores": query @ key.swapaxes(-1, -2) * (1 / math.sqrt(hidden // heads)),  # [B, A, S, S]
        "probabilities": cache.probabilities[0],
        **{name: array.reshape(batch, tokens, -1) for name, array in per_token.items()},
    }


class Intervention(NamedTuple):
    """A change of one run, made where the hidden states enter a layer.

    Attributes:
        layer: from 0; the number of layers stands for the final hidden states.
        head: the head of that layer to leave out.
        feed_forward: leave the feed-forward block of that layer out.
        position, state: replace the hidden state (H,) at a position.
    """

    layer: int
    head: int | None = None
    feed_forward: bool = False
    position: int | None = None
    state: Array | None = None


def run_interventions(
    model: RobertaForMaskedLM, hidden_states: Array, interventions: Sequence[Intervention], position: int
) -> Array:
    """Run a sentence once for each intervention, from the layer of the intervention on.

    Args:
        hidden_states: (L + 1, S, H) of the sentence: the embeddings, then the output of each layer.
        interventions: in the order of their layers.
        position: of the token whose final hidden state is returned.

    Returns (N, H), one for each intervention.
    """
    count, tokens, hidden = hidden_states.shape
    results = []
    for batch in batches([tokens] * len(interventions)):
        states = np.empty((0, tokens, hidden), np.float32)  # [B, S, H]
        for layer in range(count):
            entering = [change for change in interventions[batch] if change.layer == layer]
            new = np.repeat(hidden_states[layer][None], len(entering), axis=0)
            kept_heads = np.ones((len(states) + len(new), model.config.num_attention_heads), np.float32)
            kept_feed_forward = np.ones(len(kept_heads), np.float32)
            for row, change in enumerate(entering):
                if change.position is not None:
                    new[row, change.position] = change.state
                if change.head is not None:
                    kept_heads[len(states) + row, change.head] = 0
                kept_feed_forward[len(states) + row] = not change.feed_forward
            states = np.concatenate([states, new])
            if layer < count - 1 and len(states):
                weights = model.weights.roberta.layers[layer]
                states = run_layer(states, weights, model.config, kept_heads, kept_feed_forward)["feed_forward_norm"]
        results.append(states[:, position])
    return np.concatenate(results)
