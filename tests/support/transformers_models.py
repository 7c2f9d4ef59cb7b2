"""Models of transformers with seeded random weights, and models of this package on the same weights.

Needs the `parity` extra (torch, transformers).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers

import distilroberta_np
from distilroberta_np.layers.params import Array, tree_map
from distilroberta_np.models.masked_lm import masked_lm_keys
from distilroberta_np.models.roberta import roberta_keys

DISTILROBERTA: dict[str, Any] = {
    "vocab_size": 50265,
    "hidden_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
ROBERTA_BASE = DISTILROBERTA | {"num_hidden_layers": 12}


def seeded_masked_lm(seed: int, **shape: Any) -> transformers.RobertaForMaskedLM:
    """A masked language model of transformers with random weights; `shape` holds the values of its config."""
    config = transformers.RobertaConfig(**shape)
    model = transformers.RobertaForMaskedLM._from_config(config, attn_implementation="eager").eval()
    randomise(model, seed)
    return model


def seeded_roberta(seed: int, **shape: Any) -> transformers.RobertaModel:
    """An encoder of transformers with a pooler and random weights."""
    config = transformers.RobertaConfig(**shape)
    model = transformers.RobertaModel._from_config(config, attn_implementation="eager").eval()
    randomise(model, seed)
    return model


@torch.no_grad()
def randomise(model: torch.nn.Module, seed: int) -> None:
    """Redraw all weights at the scale of a trained model, so that a skipped step changes the outputs.

    The initialisation of transformers (biases 0, gains 1, weights of 0.02) gives nearly uniform attention and nearly
    equal logits. Here attention scores have a standard deviation of about 2, and logits of about 3.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "norm" in name.lower() and name.endswith("weight"):
            parameter.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith("bias"):
            parameter.normal_(0.0, 0.2, generator=generator)
        elif "embeddings" in name:
            parameter.normal_(0.0, 2.8 * parameter.shape[-1] ** -0.5, generator=generator)
        else:
            parameter.normal_(0.0, 1.4 * parameter.shape[-1] ** -0.5, generator=generator)


def as_numpy(model: transformers.PreTrainedModel) -> distilroberta_np.RobertaForMaskedLM:
    """This package's model that shares the memory of a masked language model of transformers."""
    config = distilroberta_np.RobertaConfig.from_dict(model.config.to_dict())
    return distilroberta_np.RobertaForMaskedLM(config, _arrays(model, masked_lm_keys(config)))


def encoder_as_numpy(model: transformers.RobertaModel) -> distilroberta_np.RobertaModel:
    """This package's encoder that shares the memory of an encoder of transformers, pooler included."""
    config = distilroberta_np.RobertaConfig.from_dict(model.config.to_dict())
    return distilroberta_np.RobertaModel(config, _arrays(model, roberta_keys(config, "", with_pooler=True)))


def _arrays(model: transformers.PreTrainedModel, keys: Any) -> Any:
    state = model.state_dict()
    return tree_map(lambda key: state[key.name].numpy(), keys)


def random_batch(seed: int, shape: dict[str, Any], lengths: list[int], padding: str = "right") -> dict[str, Array]:
    """Random sequences with `<s>` and `</s>`, as input_ids and attention_mask, int64 (B, S).

    Args:
        seed: for the tokens, and for the positions of the padding inside.
        shape: a model's config, for its vocabulary and pad token.
        lengths: tokens per sequence; 0 makes a row of padding.
        padding: "right", "left", or "inside", which spreads the padding between the tokens.
    """
    rng = np.random.default_rng(seed)
    pad, longest = shape["pad_token_id"], max(lengths)
    tokens = np.setdiff1d(np.arange(shape["vocab_size"]), [pad])
    input_ids = np.full((len(lengths), longest), pad, np.int64)
    for row, length in zip(input_ids, lengths, strict=True):
        if padding == "right":
            positions = np.arange(length)
        elif padding == "left":
            positions = np.arange(longest - length, longest)
        else:
            positions = np.sort(rng.choice(longest, length, replace=False))
        row[positions] = rng.choice(tokens, length)
    return {"input_ids": input_ids, "attention_mask": (input_ids != pad).astype(np.int64)}
