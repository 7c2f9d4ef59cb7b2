"""`distilroberta-np token-classification`: the named entities in texts, or the label of every token."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from ..messages import printable
from ..pipelines import pipeline
from ..pipelines.token_classification import STRATEGIES, TokenClassificationPipeline
from .answering import add_input_arguments, answer_all, said_on_stderr
from .command import Command
from .terminal import add_model_arguments, print_table

_EXAMPLES = """\
  distilroberta-np token-classification "Ada Lovelace lived in London." --model a/folder
  distilroberta-np token-classification --input texts.txt --model a/folder --json
  some-program | distilroberta-np token-classification - --model a/folder
  distilroberta-np token-classification "In London." --model a/folder --ignore-labels

Texts stand before --ignore-labels, or behind --. A text that is longer than the
model can read is read in windows that overlap; by the strategy "none", which can't
merge them, it is named on stderr and not answered, and the exit status is 1.

By the strategies "first", "average" and "max" all tokens of a word have one label;
a word is what stands between spaces.

On a terminal the answers come as tables. Piped, they come a line an entity: the
text's number, entity, score, word, and its first and last character (that one
excluded), separated by tabs; with --json, a line a text: {"text": ...,
"entities": [...]}, or "error" in the place of "entities"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_input_arguments(parser, "a text")
    add_model_arguments(parser, required=True)
    parser.add_argument(
        "--aggregation-strategy",
        choices=STRATEGIES,
        default="simple",
        help="how tokens become entities; none: every token by itself (default: simple)",
    )
    parser.add_argument(
        "--stride",
        type=int,
        metavar="N",
        help="tokens that the windows of a long text share (default: a quarter of a window)",
    )
    parser.add_argument("--ignore-labels", nargs="*", metavar="LABEL", help="labels that are left out (default: O)")


def run(options: argparse.Namespace) -> int:
    by_token = options.aggregation_strategy == "none"
    if by_token and options.stride is not None:
        options.parser.error("--stride merges entities, so it needs another --aggregation-strategy than none")
    with said_on_stderr():
        classifier: TokenClassificationPipeline = pipeline(
            "token-classification",
            options.model,
            revision=options.revision,
            local_files_only=options.local_files_only,
            aggregation_strategy=options.aggregation_strategy,
            ignore_labels=options.ignore_labels,
            stride=options.stride,
        )
    parse: Callable[[str], str] = partial(_short_enough, classifier) if by_token else str
    stride = classifier.max_length // 4 if options.stride is None and not by_token else None
    with warnings.catch_warnings():
        # How words are told is said by --help, once and not for every part of the input.
        warnings.filterwarnings("ignore", message="Tokenizer does not support real words")
        return answer_all(options, classifier, _print_answer, outcome="entities", parse=parse, stride=stride)


def _short_enough(classifier: TokenClassificationPipeline, text: str) -> str:
    """The text. Raises ValueError where the pipeline would cut it."""
    tokens = len(classifier.tokenizer.encode(text).ids)
    if tokens > classifier.max_length:
        raise ValueError(
            f"the text has {tokens} tokens and the model reads at most {classifier.max_length}; shorten it, or choose "
            "another --aggregation-strategy than none"
        )
    return text


def _print_answer(number: int, text: str, answer: list[dict[str, Any]]) -> None:
    entities = [
        (item.get("entity_group", item.get("entity")), f"{item['score']:.4g}", item["word"], item["start"], item["end"])
        for item in answer
    ]
    if not sys.stdout.isatty():
        print_table([str(cell) for cell in (number, *entity)] for entity in entities)
        return
    print(printable(text))
    if entities:
        print_table([(*names, f"{start}-{end}") for *names, start, end in entities], right=(1,))


COMMAND = Command(
    "token-classification",
    topic="texts",
    summary="the named entities in a text, by a model fine-tuned for them",
    examples=_EXAMPLES,
    add_arguments=add_arguments,
    run=run,
)
