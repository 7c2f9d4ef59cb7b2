"""Text that models are measured on: held out, document by document, and masked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from distilroberta_np import RobertaForMaskedLM
from distilroberta_np.layers.losses import cross_entropy
from distilroberta_np.layers.params import Array
from distilroberta_np.training.data.masking import mask_tokens
from distilroberta_np.training.data.text import MASK, SPECIAL, make_sequences, read_paragraphs


def split_documents(files: Sequence[Path], folder: Path, one_in: int = 100) -> tuple[list[Path], Path]:
    """Copy the documents of each file to a file of the same name, and one in `one_in` to `held_out.txt` instead.

    A document's own text decides, so the split is the same wherever and in whatever order it is made, and copies of a
    document land on one side.

    Returns:
        The files to train on, one for each of `files`, and the one held out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    training, held_out = [], folder / "held_out.txt"
    with open(held_out, "w", encoding="utf-8") as aside:
        for path in files:
            target = folder / (path.name.removesuffix(".gz").removesuffix(".txt") + ".train.txt")
            with open(target, "w", encoding="utf-8") as kept:
                for document in documents([path]):
                    digest = hashlib.sha256(document.encode()).digest()
                    (kept if int.from_bytes(digest[:8], "big") % one_in else aside).write(document + "\n\n")
            training.append(target)
    return training, held_out


def documents(files: Sequence[Path]) -> Iterator[str]:
    """The documents of files: paragraphs, a line each."""
    lines: list[str] = []
    for line in read_paragraphs(files):
        if line:
            lines.append(line)
        elif lines:
            yield "\n".join(lines)
            lines = []


def masked_sequences(text: Path, tokenizer: Tokenizer, length: int, most: int) -> tuple[list[list[int]], list[Array]]:
    """Masked sequences of held-out text, at most `most` tokens, and their labels."""
    tokens, starts = make_sequences([text], tokenizer, length)
    rng, vocabulary = np.random.default_rng(0), tokenizer.get_vocab()
    mask, special = vocabulary[MASK], [vocabulary[token] for token in SPECIAL]
    sequences, labels, seen = [], [], 0
    for sequence in rng.permutation(len(starts) - 1).tolist():
        ids = tokens[starts[sequence] : starts[sequence + 1]].astype(np.int64)
        seen += len(ids)
        if seen > most and sequences:
            break
        masked, targets = mask_tokens(ids[None], rng, mask, mask, special, 0.15)
        if (targets >= 0).any():
            sequences.append(masked[0].tolist())
            labels.append(targets[0])
    return sequences, labels


def loss_and_accuracy(
    model: RobertaForMaskedLM, sequences: Sequence[list[int]], labels: Sequence[Array]
) -> tuple[float, float]:
    """The mean loss per masked token, in nats, and the share of them that are predicted right. Labels of others: -1."""
    positions = [np.flatnonzero(row >= 0).tolist() for row in labels]
    hidden_states = np.concatenate(model.encode(sequences, positions))
    targets = np.concatenate([row[row >= 0] for row in labels])
    total, right = 0.0, 0
    for start in range(0, len(targets), 512):
        part = slice(start, start + 512)
        logits = np.array(model.logits(hidden_states[part]))
        right += int((logits.argmax(axis=-1) == targets[part]).sum())
        total += cross_entropy(logits, targets[part], count=1)[0]
    return total / len(targets), right / len(targets)
