"""`distilroberta-np encode`: compute an embedding for each sentence of the command line, a file or standard input."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..hub import default_model
from ..layers.params import Array
from ..sentence.sentence_encoder import SentenceEncoder
from .answering import add_input_arguments, answer_all, open_texts, warnings_on_stderr
from .command import Command
from .embedding_file import EmbeddingFile
from .terminal import add_model_arguments, where_from

_EXAMPLES = """\
  distilroberta-np encode "A man is eating."
  distilroberta-np encode "A man is eating." --model all-distilroberta-v1
  distilroberta-np encode --input sentences.txt --model a/folder --output embeddings.npy
  some-program | distilroberta-np encode - --json > embeddings.jsonl

The output is one JSON list per sentence; with --json, {"text": ..., "embedding": ...},
or "error" instead of "embedding". --output writes a float32 array for numpy.load
with one row per sentence; the row of a sentence that cannot be encoded is NaN. If it
is interrupted, the same command continues where it stopped."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_input_arguments(parser, "a sentence")
    add_model_arguments(parser)
    parser.add_argument("--output", type=Path, metavar="FILE.npy", help="write the embeddings to this file")
    add_encoding_arguments(parser)
    parser.add_argument("--prompt", metavar="TEXT", help="prepend this to each sentence")
    parser.add_argument("--prompt-name", metavar="NAME", help="prepend the model's prompt of this name")
    parser.add_argument(
        "--normalize", dest="normalize_embeddings", action="store_true", help="scale each embedding to unit length"
    )


def add_encoding_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--truncate-dim", type=int, metavar="D", help="keep only the first D numbers of each embedding")


def run(options: argparse.Namespace) -> int:
    if options.output is not None and options.json:
        options.parser.error("give --output or --json, not both")
    if options.output is not None and options.output.suffix != ".npy":
        options.parser.error("the name of --output must end in .npy")
    with open_texts(options) as source:
        encoder = load_encoder(options)
        arguments = {name: getattr(options, name) for name in ("prompt", "prompt_name", "normalize_embeddings")}
        if options.output is None:
            return answer_all(options, source, encoder, _print_embedding, outcome="embedding", **arguments)
        with EmbeddingFile(options.output, encoder, **arguments) as file:
            if file.found:
                print(f"distilroberta-np: continuing {options.output} after {file.found} rows", file=sys.stderr)
            return answer_all(options, source, file, None, outcome="embedding")


def load_encoder(options: argparse.Namespace) -> SentenceEncoder:
    """Load the encoder of the command line, with warnings on stderr."""
    with warnings_on_stderr():
        model = options.model or default_model()
        return SentenceEncoder(model, truncate_dim=options.truncate_dim, **where_from(options))


def _print_embedding(number: int, text: str, embedding: Array) -> None:
    print(json.dumps(embedding.tolist()))


COMMAND = Command("encode", "sentences", "compute an embedding for each sentence", _EXAMPLES, add_arguments, run)
