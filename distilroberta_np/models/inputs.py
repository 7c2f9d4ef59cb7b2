"""From what a caller gives to what the encoder computes: checked arrays, and packed batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..config import RobertaConfig
from ..layers.attention import SequenceGroup
from ..layers.embeddings import position_ids
from ..layers.params import Array


class PackedBatch(NamedTuple):
    """Sequences concatenated along the row axis, so that every product is of tokens alone."""

    input_ids: Array  # (N,)
    position_ids: Array  # (N,)
    groups: list[SequenceGroup]
    selected: Array | slice  # (M,), the rows that the last layer computes
    inputs_embeds: Array | None = None  # (N, H), instead of the word embeddings of input_ids


def pack(groups: Sequence[Array], positions: Sequence[Array] | None, pad_token_id: int) -> PackedBatch:
    """Pack groups of sequences of equal length.

    Args:
        groups: the ids of each group, (B, S) integer.
        positions: for each group the positions whose final hidden states are computed, (B, Q) integer with Q at least
            1; None for all.
        pad_token_id: whose tokens have no position of their own.
    """
    ends = np.cumsum([ids.size for ids in groups]).tolist()
    selected: Array | slice = slice(None)
    if positions is not None:
        starts = (
            end - ids.size + np.arange(len(ids))[:, None] * ids.shape[1] for ids, end in zip(groups, ends, strict=True)
        )  # of each sequence among the rows, [B, 1]
        rows = [(start + columns).reshape(-1) for start, columns in zip(starts, positions, strict=True)]  # [B x Q]
        selected = np.concatenate(rows)
    queries = [ids.shape[1] for ids in (groups if positions is None else positions)]
    return PackedBatch(
        np.concatenate([ids.reshape(-1) for ids in groups]),
        np.concatenate([position_ids(ids, pad_token_id).reshape(-1) for ids in groups]),
        [SequenceGroup(len(ids), ids.shape[1], count) for ids, count in zip(groups, queries, strict=True)],
        selected,
    )


class Targets(NamedTuple):
    """The positions of a batch that have a label."""

    positions: list[Array] | None  # of each group (B, Q), as `pack` takes them
    rows: Array  # (T,), the rows with a label among the M of these positions
    labels: Array  # (T,)


def select_targets(labels: Sequence[Array], *, everywhere: bool = False) -> Targets:
    """Select the positions with a label.

    The number of positions per sequence is the largest of its group, so that the group stays rectangular: sequences
    with fewer labels get some other positions too. That costs less than a group for each number would.

    Args:
        labels: of each group (B, S) integer, -100 for a position without one.
        everywhere: take all positions, those without a label too.
    """
    positions = None
    if not everywhere:
        positions = []
        for group in labels:
            most = max(1, int((group >= 0).sum(axis=1).max()))
            first = np.argsort(group < 0, axis=1, kind="stable")[:, :most]  # those with a label before the others
            positions.append(np.sort(first, axis=1))
        labels = [np.take_along_axis(group, at, axis=1) for group, at in zip(labels, positions, strict=True)]
    flat = np.concatenate([group.reshape(-1) for group in labels])  # [M]
    rows = np.flatnonzero(flat >= 0)
    return Targets(positions, rows, flat[rows])


def check_inputs(
    input_ids: Any, attention_mask: Any, token_type_ids: Any, config: RobertaConfig
) -> tuple[Array, Array]:
    """Ids and mask as (B, S) arrays that the model can compute; the mask is all ones if none is given.

    An index out of range would otherwise wrap around or crash deep inside, so everything is checked here, once.

    Raises TypeError, ValueError: as `RobertaModel.__call__`.
    """
    # RoBERTa is trained without token types.
    if token_type_ids is not None and np.any(_as_array("token_type_ids", token_type_ids)):
        raise ValueError("token_type_ids must be 0: other types are not supported; leave them out")
    input_ids = _as_array("input_ids", input_ids)
    if input_ids.ndim != 2:
        raise ValueError(f"input_ids must have the shape (batch, sequence), not {input_ids.shape}")
    if input_ids.size == 0:
        raise ValueError(f"input_ids are empty: their shape is {input_ids.shape}")
    if not np.issubdtype(input_ids.dtype, np.integer):
        raise TypeError(f"input_ids must be integers, not {input_ids.dtype}")
    lowest, highest = int(input_ids.min()), int(input_ids.max())
    if lowest < 0 or highest >= config.vocab_size:
        wrong = lowest if lowest < 0 else highest
        raise ValueError(f"input_ids contain {wrong}, which is outside the vocabulary of {config.vocab_size}")
    longest = int((input_ids != config.pad_token_id).sum(axis=1).max())
    if longest > config.max_sequence_length:
        raise ValueError(f"a sequence has {longest} tokens, but the model reads at most {config.max_sequence_length}")

    if attention_mask is None:
        return input_ids, np.ones_like(input_ids)
    attention_mask = _as_array("attention_mask", attention_mask)
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask has the shape {attention_mask.shape}, input_ids {input_ids.shape}; they must be equal"
        )
    if attention_mask.dtype != bool and not np.issubdtype(attention_mask.dtype, np.integer):
        raise TypeError(f"attention_mask must be integers or booleans, not {attention_mask.dtype}")
    if not np.isin(attention_mask, (0, 1)).all():
        raise ValueError("attention_mask must contain only 1 (a token) and 0 (padding)")
    return input_ids, attention_mask


def check_embeddings(inputs_embeds: Any, config: RobertaConfig) -> tuple[Array, Array]:
    """Embeddings as a float32 array (B, S, H), and ids (B, S) of tokens that are not padding, for their positions.

    Raises TypeError, ValueError: as `RobertaModel.__call__`.
    """
    values = _as_array("inputs_embeds", inputs_embeds)
    if not np.issubdtype(values.dtype, np.floating):
        raise TypeError(f"inputs_embeds must be floating-point numbers, not {values.dtype}")
    if values.ndim != 3 or values.shape[2] != config.hidden_size:
        raise ValueError(
            f"inputs_embeds must have the shape (batch, sequence, {config.hidden_size}), not {values.shape}"
        )
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("inputs_embeds contain NaN, infinity or a number beyond the range of float32")
    token_id = 0 if config.pad_token_id else 1
    return values, np.full(values.shape[:2], token_id)


def _as_array(name: str, values: Any) -> Array:
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must have rows of equal length; pad shorter ones, as the tokenizer does") from None
