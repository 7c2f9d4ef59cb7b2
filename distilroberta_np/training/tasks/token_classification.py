"""Fine-tuning a model to tag words, such as those of named entities."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...checkpoint.keys import token_classification_keys as head_keys
from ...config import RobertaConfig
from ...errors import TokenizerError, TrainingError
from ...layers.params import Array
from ...models import RobertaForTokenClassification as Model
from ...tokenizer import RobertaTokenizer
from ..data.labelled import Bad, TaggedSentence, read_conll
from ..examples import Example, predict
from ..finetune_settings import FinetuneSettings
from ..head_gradients import token_classification_gradients as gradients
from ..metrics.classification import entity_scores

__all__ = ["Model", "count", "encode", "gradients", "head_keys", "learn", "measure", "metric_names", "read"]


def read(path: Path, settings: FinetuneSettings, bad: Bad) -> list[TaggedSentence]:
    return read_conll(path, bad)


def learn(
    rows: Sequence[TaggedSentence], config: RobertaConfig, settings: FinetuneSettings, say: Callable[[str], None]
) -> RobertaConfig:
    """The tags of the sentences to train on, sorted, as the head's labels."""
    tags = sorted({tag for row in rows for tag in row.tags})
    if len(tags) < 2:
        raise TrainingError(f"{settings.train}: a classifier needs two tags at least, and here is {tags}")
    return replace(config, labels=tuple(tags), problem_type=None)


def encode(
    rows: Sequence[TaggedSentence],
    tokenizer: RobertaTokenizer,
    config: RobertaConfig,
    settings: FinetuneSettings,
    longest: int,
    bad: Bad,
    say: Callable[[str], None],
) -> list[Example]:
    """Sentences as their words with a space between, as the pipeline will read them. A word's first piece has its
    label; the others have none (Devlin et al. 2018, section 5.3). Sentences that are too long are cut between words."""
    ids_of = config.label2id
    room = longest - 2

    @functools.cache
    def pieces(word: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(word, add_special_tokens=False).ids)

    examples: list[Example] = []
    long_sentences = long_words = 0
    for number, row in enumerate(rows):
        unknown = [tag for tag in row.tags if tag not in ids_of]
        if unknown:
            bad(f"{row.place}: the tag {unknown[0]!r:.60} is none of the tags to train on")
            continue
        try:
            words = [pieces(word if place == 0 else " " + word) for place, word in enumerate(row.words)]
        except TokenizerError as error:
            bad(f"{row.place}: {error}")
            continue
        if not all(words):
            bad(f"{row.place}: the tokenizer makes nothing of the word {row.words[words.index(())]!r:.60}")
            continue
        windows: list[tuple[list[int], list[int]]] = [([], [])]
        for word, tag in zip(words, row.tags, strict=True):
            long_words += len(word) > room
            if windows[-1][0] and len(windows[-1][0]) + len(word) > room:
                windows.append(([], []))
            ids, labels = windows[-1]
            ids += word[:room]
            labels += [ids_of[tag], *[-100] * (len(word[:room]) - 1)]
        long_sentences += len(windows) > 1
        for ids, labels in windows:
            whole = np.array([tokenizer.bos_token_id, *ids, tokenizer.eos_token_id], np.int64)
            examples.append(Example(whole, np.array([-100, *labels, -100]), number))
    if long_sentences:
        say(f"{long_sentences:,} of {len(rows):,} sentences are longer than {longest} tokens, and go in parts")
    if long_words:
        say(f"{long_words:,} words have more than {room} pieces, and only so many are seen")
    return examples


def count(labels: Sequence[Array]) -> int:
    return sum(int((row >= 0).sum()) for row in labels)


def metric_names(config: RobertaConfig) -> tuple[str, ...]:
    """What `measure` gives; the first is what the best checkpoint is chosen by, unless told otherwise."""
    return ("f1", "precision", "recall", "accuracy")


def measure(model: Model, rows: Sequence[TaggedSentence], examples: Sequence[Example]) -> dict[str, float]:
    """How good a model's tags are: of whole entities, and the share of right tags."""
    places = [np.flatnonzero(example.labels >= 0).tolist() for example in examples]
    logits = predict(model, model.logits, examples, places)
    names = model.config.id2label
    predicted: dict[int, list[str]] = {}
    wanted: dict[int, list[str]] = {}
    for example, at, scores in zip(examples, places, logits, strict=True):  # the parts of a sentence are neighbours
        predicted.setdefault(example.row, []).extend(names[label] for label in scores.argmax(axis=1).tolist())
        wanted.setdefault(example.row, []).extend(names[label] for label in example.labels[at].tolist())
    scores_of = entity_scores(list(predicted.values()), list(wanted.values()))
    return {name: scores_of[name] for name in metric_names(model.config)}
