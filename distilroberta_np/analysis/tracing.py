"""`trace`: every intermediate of a forward pass by its name, with the tokens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files import atomic_write
from ..layers.embeddings import embeddings, position_ids
from ..layers.params import Array
from ..pipelines.fill_mask import FillMaskPipeline
from .forward import run_layer
from .masked_sentence import read_sentence

_PER_LAYER = {
    **dict.fromkeys(["query", "key", "value"], ("head", "token", "size")),
    **dict.fromkeys(["scores", "probabilities"], ("head", "token", "key")),
    **dict.fromkeys(["context", "attention_output", "attention_sum", "attention_norm"], ("token", "hidden")),
    **dict.fromkeys(["feed_forward_inner", "feed_forward_activation"], ("token", "inner")),
    **dict.fromkeys(["feed_forward_output", "feed_forward_sum", "feed_forward_norm"], ("token", "hidden")),
}
# The axes of every array of a trace, by the array's name. They are the names of `reference/`, with the layers stacked.
AXES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys([f"embeddings.{name}" for name in ("word", "position")], ("token", "hidden")),
    "embeddings.token_type": ("hidden",),
    **dict.fromkeys([f"embeddings.{name}" for name in ("sum", "norm")], ("token", "hidden")),
    **{f"layer.{name}": ("layer", *axes) for name, axes in _PER_LAYER.items()},
    "logits": ("token", "vocabulary"),
}


@dataclass(frozen=True, repr=False)
class Trace:
    """The intermediates of one sentence. `print` lists them; `trace["layer.probabilities"]` is one of them.

    Attributes:
        tokens: each token as text, with the space before it.
        ids: the token ids.
        arrays: float32 arrays by name; `AXES` has the axes of each. The axis "token" is that of the query in
            attention scores and probabilities, and "key" is the token that it attends to.
    """

    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    arrays: dict[str, Array]

    def __getitem__(self, name: str) -> Array:
        if name not in self.arrays:
            raise KeyError(f"{name!r} is not in the trace; it has {', '.join(self.arrays)}")
        return self.arrays[name]

    @property
    def hidden_states(self) -> Array:
        """The embeddings, then the output of each layer: (L + 1, S, H)."""
        return np.concatenate([self["embeddings.norm"][None], self["layer.feed_forward_norm"]])

    def select(self, name: str, **indices: int | str | slice) -> Array:
        """Return a part of an array by the names of its axes.

            trace.select("layer.probabilities", layer=2, head=0, token=" nurse")

        Args:
            indices: an index or a slice for each axis to cut; for "token" and "key" also a token as text, as in
                `tokens`, of which the first is taken.

        Raises:
            KeyError: the trace has no such array.
            ValueError: the array has no such axis, or the sentence has no such token.
            IndexError: an index is out of range.
        """
        array = self[name]
        unknown = indices.keys() - set(AXES[name])
        if unknown:
            raise ValueError(f"{name} has no axis {unknown.pop()!r}; its axes are {', '.join(AXES[name])}")
        selected: Array = array[tuple(self._index(indices.get(axis, slice(None))) for axis in AXES[name])]
        return selected

    def _index(self, index: int | str | slice) -> int | slice:
        if not isinstance(index, str):
            return index
        if index not in self.tokens:
            raise ValueError(f"{index!r} is not a token of the sentence; its tokens are {', '.join(self.tokens)}")
        return self.tokens.index(index)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the arrays to an .npz file, with `tokens` and `ids`, for `np.load`."""
        with atomic_write(Path(path)) as file:
            np.savez_compressed(file, allow_pickle=False, tokens=self.tokens, ids=self.ids, **self.arrays)

    def __repr__(self) -> str:
        rows = [(name, ", ".join(AXES[name]), str(array.shape)) for name, array in self.arrays.items()]
        first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
        lines = [f"{name:<{first}}  {axes:<{second}}  {shape}" for name, axes, shape in rows]
        return "\n".join([f"Trace of {len(self.tokens)} tokens: {'|'.join(self.tokens)}", *lines])


def trace(unmasker: FillMaskPipeline, text: str) -> Trace:
    """Run a masked language model on a text, and return every intermediate.

    Raises:
        PipelineException: the text is too long for the model.
        TypeError, TokenizerError: it is not a string, or contains a lone surrogate.
    """
    model, (ids, tokens) = unmasker.model, read_sentence(unmasker, text)
    weights, eps = model.weights.roberta, model.config.layer_norm_eps
    input_ids = np.array(ids)
    positions = position_ids(input_ids[None], model.config.pad_token_id)[0]
    norm, cache = embeddings(input_ids, positions, weights.embeddings, eps)  # [S, H]
    hidden_states, layers = norm[None], []  # [1, S, H]
    for layer in weights.layers:
        layers.append(run_layer(hidden_states, layer, model.config))
        hidden_states = layers[-1]["feed_forward_norm"]
    arrays = {
        "embeddings.word": weights.embeddings.word[input_ids],
        "embeddings.position": weights.embeddings.position[positions],
        "embeddings.token_type": weights.embeddings.token_type[0],
        "embeddings.sum": cache.summed,
        "embeddings.norm": norm,
        **{f"layer.{name}": np.concatenate([layer[name] for layer in layers]) for name in _PER_LAYER},
        "logits": model.logits(hidden_states[0]),  # [S, H] -> [S, V]
    }
    return Trace(tokens, ids, arrays)
