"""`distilroberta-np similarity`: the texts most similar to a text, by their vectors."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..messages import printable
from ..sentence.similarity import SIMILARITY_FUNCTIONS
from .command import Command
from .encode import add_encoding_arguments, load_encoder
from .terminal import add_model_arguments, print_table

_EXAMPLES = """\
  distilroberta-np similarity "A man eats." "Someone is eating." "It rains."
  distilroberta-np similarity "how to eat" --input lines.txt --top-k 5 --model a/folder
  distilroberta-np similarity --queries some.txt --input others.txt --json
"""
_OUTPUT = """
On a terminal the answers come as tables. Piped, they come a line each: the number
of the query, the number of the text, score and text, separated by tabs; with
--json, a line a query: {"text": ..., "matches": [{"corpus_id": ..., "score": ...,
"text": ...}]}, where corpus_id counts from 0."""

# Queries whose scores of all texts are held at a time.
_QUERIES = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_matching_arguments(parser)
    add_model_arguments(parser)
    add_encoding_arguments(parser)
    parser.add_argument("--function", choices=SIMILARITY_FUNCTIONS, help="how to compare (default: the model's own)")


def run(options: argparse.Namespace) -> int:
    queries, documents = read_matching(options)
    encoder = load_encoder(options)
    encoder.similarity_fn_name = options.function or encoder.similarity_fn_name
    vectors = encoder.encode_document(documents)
    for start in range(0, len(queries), _QUERIES):
        some = queries[start : start + _QUERIES]
        scores = encoder.similarity(encoder.encode_query(some), vectors)  # [Q, N]
        for number, (query, row) in enumerate(zip(some, scores, strict=True), start=start + 1):
            order = np.argsort(-row, kind="stable").tolist()[: options.top_k]
            matches = [{"corpus_id": n, "score": float(row[n]), "text": documents[n]} for n in order]
            print_matches(options, number, query, matches)
    return 0


def add_matching_arguments(parser: argparse.ArgumentParser) -> None:
    """Queries, and texts that they are compared with."""
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="a query, and the texts to compare it with")
    parser.add_argument("--queries", metavar="FILE", help="read queries from a file, one a line, UTF-8")
    parser.add_argument("--input", metavar="FILE", help="read the texts from a file; - is standard input")
    parser.add_argument("--top-k", type=_top_k, metavar="K", help="how many texts a query (default: all)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each query")


def read_matching(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The queries and the texts of the command line. Raises ValueError: a line that is no UTF-8."""
    queries, documents = options.texts, options.texts
    if options.queries is not None:
        queries = _read_lines(options.queries)
    else:
        queries, documents = queries[:1], documents[1:]
        if not queries:
            options.parser.error("give a query, or --queries FILE")
    if options.input is not None:
        if documents:
            options.parser.error("give texts or --input, not both")
        documents = _read_lines(options.input)
    if not documents:
        options.parser.error("give texts behind the query, or --input FILE with a line in it")
    return queries, documents


def print_matches(options: argparse.Namespace, number: int, query: str, matches: list[dict[str, Any]]) -> None:
    """A query's answer; `number` is the query's, from 1."""
    cells = [(f"{match['score']:.4f}", match["text"]) for match in matches]
    if options.json:
        print(json.dumps({"text": query, "matches": matches}))
    elif sys.stdout.isatty():
        print(printable(query))
        print_table(cells, right=(0,))
    else:
        print_table((str(number), str(match["corpus_id"] + 1), *row) for match, row in zip(matches, cells, strict=True))
    sys.stdout.flush()


def _top_k(value: str) -> int:
    if not value.isdecimal() or int(value) == 0:
        raise argparse.ArgumentTypeError(f"must be a number of at least 1, not {value!r}")
    return int(value)


def _read_lines(name: str) -> list[str]:
    if name == "-" and sys.stdin is None:
        raise ValueError("standard input is closed, so there is nothing to read from -")
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    texts = []
    for number, line in enumerate(lines, start=1):
        try:
            texts.append(line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\r"))
        except UnicodeDecodeError:
            raise ValueError(f"line {number} of {name} is not UTF-8") from None
    return texts


COMMAND = Command(
    "similarity",
    topic="sentences",
    summary="the texts most similar to a text, by their vectors",
    examples=_EXAMPLES + _OUTPUT,
    add_arguments=add_arguments,
    run=run,
)
