"""Fine-tuning a model to tag words, such as those of named entities."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...config import RobertaConfig
from ...errors import TokenizerError, TrainingError
from ...layers.params import Array
from ...messages import shown
from ...models.token_classification import RobertaForTokenClassification
from ..data.conll import TaggedSentence, read_conll
from ..metrics.classification import entity_scores
from . import Context, Example, Task, predict


class TokenClassification(Task[TaggedSentence]):
    model_class = RobertaForTokenClassification

    def read(self, path: Path, context: Context) -> list[TaggedSentence]:
        return read_conll(path, context.bad)

    def configure(self, rows: Sequence[TaggedSentence], config: RobertaConfig, context: Context) -> RobertaConfig:
        """Take the tags of the training data, sorted, as the labels."""
        tags = sorted({tag for row in rows for tag in row.tags})
        if len(tags) < 2:
            path = context.settings.train
            raise TrainingError(f"{path}: a classifier needs at least two tags; the data have only {tags}")
        return config.with_labels(tuple(tags), None)

    def encode(self, rows: Sequence[TaggedSentence], config: RobertaConfig, context: Context) -> list[Example]:
        """Join the words with spaces, as the pipeline reads them. A word's first token has its label, the others have
        none (Devlin et al. 2018, section 5.3). Sentences that are too long are split between words."""
        ids_of = config.label2id
        room = context.max_length - 2

        @functools.cache
        def tokens(word: str) -> tuple[int, ...]:
            return tuple(context.tokenizer.encode(word, add_special_tokens=False))

        examples: list[Example] = []
        long_sentences = long_words = 0
        for index, row in enumerate(rows):
            unknown = [tag for tag in row.tags if tag not in ids_of]
            if unknown:
                context.bad(f"{row.location}: the tag {shown(unknown[0])} does not occur in the training data")
                continue
            try:
                words = [tokens(word if position == 0 else " " + word) for position, word in enumerate(row.words)]
            except TokenizerError as error:
                context.bad(f"{row.location}: {error}")
                continue
            if not all(words):
                context.bad(f"{row.location}: the word {shown(row.words[words.index(())])} has no tokens")
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
                whole = np.array([context.tokenizer.bos_token_id, *ids, context.tokenizer.eos_token_id], np.int64)
                examples.append(Example(whole, np.array([-100, *labels, -100]), index))
        if long_sentences:
            longest = context.max_length
            context.say(f"{long_sentences:,} of {len(rows):,} sentences are longer than {longest} tokens: split")
        if long_words:
            context.say(f"{long_words:,} words are longer than {room} tokens: truncated")
        return examples

    def count(self, labels: Sequence[Array]) -> int:
        return sum(int((row >= 0).sum()) for row in labels)

    def metric_names(self, config: RobertaConfig) -> tuple[str, ...]:
        return ("f1", "precision", "recall", "accuracy")

    def evaluate(
        self, model: RobertaForTokenClassification, rows: Sequence[TaggedSentence], examples: Sequence[Example]
    ) -> dict[str, float]:
        """Compute the metrics of whole entities, and the accuracy of the tags."""
        positions = [np.flatnonzero(example.labels >= 0).tolist() for example in examples]
        logits = predict(model, examples, positions)
        names = model.config.id2label
        predicted: dict[int, list[str]] = {}
        expected: dict[int, list[str]] = {}
        for example, at, scores in zip(examples, positions, logits, strict=True):  # windows of a sentence in order
            predicted.setdefault(example.row, []).extend(names[label] for label in scores.argmax(axis=1).tolist())
            expected.setdefault(example.row, []).extend(names[label] for label in example.labels[at].tolist())
        found = entity_scores(list(predicted.values()), list(expected.values()))
        return {name: found[name] for name in self.metric_names(model.config)}


TASK = TokenClassification()
