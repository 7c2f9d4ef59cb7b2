"""`distilroberta-np score`: how probable a model finds sentences."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from ..analysis.pseudo_likelihood import PseudoLikelihoodScorer, SentenceScore
from .answering import add_input_arguments, answer_all, load_pipeline, open_texts
from .command import Command
from .terminal import add_model_arguments, print_result, print_table

_EXAMPLES = """\
  distilroberta-np score "The man worked as a teacher." "The man worked as a banana."
  distilroberta-np score --input texts.txt --json > scores.jsonl
  distilroberta-np score --input corpus.txt --perplexity

Each token is masked in turn; the score of a text is the sum of the natural
log-probabilities of its tokens, the pseudo-log-likelihood (Salazar et al. 2020).
It compares texts of about equal length; the closer to zero, the more probable.

On a terminal the log-probability of each token is shown too. Piped, there is one
line per text: its number, the score, the number of tokens and the text, separated
by tabs. With --json there is one line per text: {"text": ...,
"pseudo_log_likelihood": ..., "tokens": ..., "log_probabilities": ...}, or "error".
With --perplexity the last line is the pseudo-perplexity of all texts together, exp
of minus the mean log-probability per token."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_input_arguments(parser, "a text")
    parser.add_argument(
        "--within-word",
        action="store_true",
        help="also mask the subwords to the right in the same word (PLL-word-l2r, Kauf & Ivanova 2023)",
    )
    parser.add_argument("--perplexity", action="store_true", help="end with the pseudo-perplexity of all texts")
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> int:
    unmasker = load_pipeline(options, "fill-mask")
    scorer = _TotallingScorer(unmasker.model, unmasker.tokenizer, within_word=options.within_word)
    with open_texts(options) as source:
        status = answer_all(options, source, scorer, _print_score, outcome=None)
    if options.perplexity and scorer.tokens:
        perplexity = math.exp(-scorer.total / scorer.tokens)
        print(json.dumps({"pseudo_perplexity": perplexity}) if options.json else f"pseudo-perplexity\t{perplexity:.6g}")
    return status


class _TotallingScorer(PseudoLikelihoodScorer):
    """A scorer that adds up what it scores, for the pseudo-perplexity."""

    total, tokens = 0.0, 0

    def answers(self, inputs: Iterable[Any], **options: Any) -> Iterator[SentenceScore | Exception]:
        for answer in super().answers(inputs, **options):
            if not isinstance(answer, Exception):
                self.total += answer["pseudo_log_likelihood"]
                self.tokens += len(answer["tokens"])
            yield answer


def _print_score(number: int, text: str, answer: SentenceScore) -> None:
    score = f"{answer['pseudo_log_likelihood']:.4f}"
    if not sys.stdout.isatty():
        print_table([(str(number), score, str(len(answer["tokens"])), text)])
        return
    values = [f"{value:.4f}" for value in answer["log_probabilities"]]
    print_result([text], (), [*zip(values, answer["tokens"], strict=True), (score, "(sum)")], right=(0,))


COMMAND = Command(
    "score", "texts", "how probable the model finds texts (pseudo-log-likelihood)", _EXAMPLES, add_arguments, run
)
