"""`distilroberta-np encode`: compute an embedding for each sentence of the command line, a file or standard input."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..files import atomic_write
from ..hub import default_model
from ..layers.params import Array
from ..sentence.sentence_encoder import SentenceEncoder
from .answering import add_input_arguments, answer_all, open_texts, warnings_on_stderr
from .command import Command
from .terminal import add_model_arguments

_EXAMPLES = """\
  distilroberta-np encode "A man is eating." --model all-distilroberta-v1
  distilroberta-np encode --input sentences.txt --model a/folder --output embeddings.npy
  some-program | distilroberta-np encode - --json > embeddings.jsonl

The output is one JSON list per sentence; with --json, {"text": ..., "embedding": ...},
or "error" instead of "embedding". --output writes a float32 array for numpy.load
with one row per sentence; the row of a sentence that cannot be encoded is NaN."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_input_arguments(parser, "a sentence")
    add_model_arguments(parser)
    parser.add_argument("--output", type=Path, metavar="FILE.npy", help="write the embeddings to this file")
    add_encoding_arguments(parser)
    parser.add_argument("--prompt", metavar="TEXT", help="prepend this to each sentence")
    parser.add_argument("--prompt-name", metavar="NAME", help="prepend the model's prompt of this name")
    parser.add_argument("--normalize", action="store_true", help="scale each embedding to unit length")


def add_encoding_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--truncate-dim", type=int, metavar="D", help="keep only the first D numbers of each embedding")


def run(options: argparse.Namespace) -> int:
    if options.output is not None and options.json:
        options.parser.error("give --output or --json, not both")
    if options.output is not None and options.output.suffix != ".npy":
        options.parser.error("the name of --output must end in .npy")
    arguments = {
        "prompt": options.prompt,
        "prompt_name": options.prompt_name,
        "normalize_embeddings": options.normalize,
    }
    with open_texts(options) as source:
        encoder = load_encoder(options)
        if options.output is None:
            return answer_all(options, source, encoder, _print_answer, outcome="embedding", **arguments)
        with _vector_file(options.output, encoder.get_embedding_dimension()) as rows:
            return answer_all(options, source, encoder, rows.write, outcome="embedding", parse=rows.count, **arguments)


def load_encoder(options: argparse.Namespace) -> SentenceEncoder:
    """Load the encoder of the command line, with warnings on stderr."""
    with warnings_on_stderr():
        return SentenceEncoder.from_pretrained(
            options.model or default_model(),
            revision=options.revision,
            local_files_only=options.local_files_only,
            truncate_dim=options.truncate_dim,
        )


def _print_answer(number: int, text: str, answer: Array) -> None:
    print(json.dumps(answer.tolist()))


class _Rows:
    """Writes the rows of a .npy file one by one, when their number is not known yet."""

    def __init__(self, file: BinaryIO, width: int) -> None:
        self._file, self._width = file, width
        self._lines = self._rows = 0

    def count(self, text: str) -> str:
        """Count a line that was read."""
        self._lines += 1
        return text

    def write(self, number: int, text: str, embedding: Array) -> None:
        """Write the row of a line, and NaN for the lines without an embedding before it."""
        self.fill(number - 1)
        self._file.write(embedding.astype("<f4").tobytes())
        self._rows += 1

    def fill(self, rows: int) -> None:
        """Write rows of NaN up to a number of rows."""
        self._file.write(np.full((rows - self._rows, self._width), np.nan, "<f4").tobytes())
        self._rows = rows

    def header(self) -> None:
        """Write the header: first, and again with the final number of rows, for which NumPy leaves room."""
        self._file.seek(0)
        header = {"descr": "<f4", "fortran_order": False, "shape": (self._rows, self._width)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def end(self) -> None:
        self.fill(self._lines)
        self.header()


@contextlib.contextmanager
def _vector_file(path: Path, width: int) -> Iterator[_Rows]:
    """A .npy file that is written atomically."""
    with atomic_write(path) as file:
        rows = _Rows(file, width)
        rows.header()
        yield rows
        rows.end()


COMMAND = Command(
    "encode",
    topic="sentences",
    summary="compute an embedding for each sentence",
    examples=_EXAMPLES,
    add_arguments=add_arguments,
    run=run,
)
