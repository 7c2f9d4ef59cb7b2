"""The command `distilroberta-np`. Each subcommand has a file of its own; this one only finds it and ends well."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..errors import DistilRobertaError
from . import (
    bias,
    distill,
    download,
    encode,
    feature_extraction,
    fill_mask,
    finetune,
    info,
    pretrain,
    question_answering,
    rank,
    similarity,
    text_classification,
    token_classification,
    verify,
    zero_shot_classification,
)

_EPILOG = """\
examples:
  distilroberta-np fill-mask "The man worked as a <mask>."
  distilroberta-np fill-mask --input texts.txt --json > answers.jsonl
  distilroberta-np text-classification "What a film!" --model a/folder
  distilroberta-np token-classification "Ada lived in London." --model a/folder
  distilroberta-np question-answering "Where do I live?" --context "I live in Berlin." --model a/folder
  distilroberta-np zero-shot-classification "Rain is coming." --labels weather sport --model a/folder
  distilroberta-np feature-extraction "A text." --json
  distilroberta-np encode --input sentences.txt --output vectors.npy
  distilroberta-np similarity "A man eats." "Someone is eating." "It rains."
  distilroberta-np rank "who wrote it?" --input lines.txt --model a/folder
  distilroberta-np bias "The {man|woman} worked as a <mask>."
  distilroberta-np info
  distilroberta-np download
  distilroberta-np verify
  distilroberta-np pretrain corpus/*.txt --out run
  distilroberta-np distill corpus/*.txt --teacher roberta-base --out run
  distilroberta-np finetune --task text-classification --train train.tsv --eval dev.tsv --out run

exit status:
  0  everything was answered (verify: everything agrees)
  1  some text could not be answered (verify: something disagrees)
  2  nothing could be done: wrong arguments, or the model can't be had
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with its arguments (those of the process if None) and return its exit status."""
    options = _parser().parse_args(arguments)
    if sys.stdout is None or sys.stderr is None:
        return 2  # closed, so that nothing can be answered or said
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that lacks a character shows its code instead of ending the run.
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has had enough (`| head`). Python would complain once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (DistilRobertaError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            print(f"distilroberta-np: {error.filename}: {error.strerror}", file=sys.stderr)
        else:
            print(f"distilroberta-np: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    from .. import __version__

    parser = argparse.ArgumentParser(
        prog="distilroberta-np",
        description="DistilRoBERTa, and every RoBERTa, in NumPy.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"distilroberta-np {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (
        fill_mask,
        bias,
        text_classification,
        token_classification,
        question_answering,
        zero_shot_classification,
        feature_extraction,
        encode,
        similarity,
        rank,
        info,
        download,
        verify,
        pretrain,
        distill,
        finetune,
    ):
        command.add_parser(commands)
    return parser
