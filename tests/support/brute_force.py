"""The model of a test, computed by `reference/` in float64, one change at a time: what the tools are held to."""

import copy

import numpy as np

from distilroberta_np import reference
from tests.support.seeded import seeded_pipeline, seeded_tensors

roberta = reference.roberta
# Spelled with the merges of the seeded tokenizer: <s>, the, Ġcat, <mask>, Ġon, Ġ, t, h, i, s, </s>
TEXT = "the cat <mask> on this"
OTHER = "the sat <mask> on that"


def in_float64(params):
    return {n: in_float64(p) if isinstance(p, dict) else p.astype(np.float64) for n, p in params.items()}


class BruteForce:
    """A seeded model, by the fast path (`unmasker`) and by the reference."""

    def __init__(self, folder, seed=7, **shape):
        self.unmasker = seeded_pipeline(folder, seeded_tensors(seed, **shape), **shape)
        params, self.config = reference.load(folder)
        self.params = in_float64(params)
        self.tokenizer = reference.Tokenizer.from_folder(folder)
        self.layers, self.heads = self.config["num_hidden_layers"], self.config["num_attention_heads"]
        self.size = self.config["hidden_size"] // self.heads
        self.eps = self.config["layer_norm_eps"]

    def ids(self, text):
        return self.tokenizer.encode(text)[0]

    def mask(self, text):
        return self.ids(text).index(self.tokenizer.ids["<mask>"])

    def log_probabilities(self, ids, params=None):
        """(S, V) of a sequence, with other weights if given."""
        return np.log(roberta.softmax(roberta.forward(np.array(ids), params or self.params, self.config)))

    def record(self, text):
        record = {}
        roberta.forward(np.array(self.ids(text)), self.params, self.config, record)
        return record

    def states(self, text):
        record = self.record(text)
        layers = [record[f"layer.{n}"]["feed_forward_norm"] for n in range(self.layers)]
        return [record["embeddings"]["norm"], *layers]

    def run_from(self, layer, states):
        """Log-probabilities (S, V) from the hidden states that enter a layer."""
        for n in range(layer, self.layers):
            weights = self.params["roberta"]["encoder"]["layer"][str(n)]
            states = roberta.layer(states, weights, self.heads, self.eps, {})
        return self.head(states)

    def head(self, states):
        words = self.params["roberta"]["embeddings"]["word_embeddings"]["weight"]
        return np.log(roberta.softmax(roberta.lm_head(states, self.params["lm_head"], words, self.eps, {})))

    def edited(self, layer):
        """A copy of the weights, and in it those of a layer."""
        params = copy.deepcopy(self.params)
        return params, params["roberta"]["encoder"]["layer"][str(layer)]
