"""`distilroberta-np similarity`: sort texts by the similarity of their embeddings to that of a query."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from ..messages import printable
from ..runtime.progress import PlainBar
from ..sentence.cross_encoder import RankedDocument
from ..sentence.similarity import SIMILARITY_FUNCTIONS
from .command import Command
from .encode import add_encoding_arguments, load_encoder
from .terminal import add_model_arguments, print_table

_EXAMPLES = """\
  distilroberta-np similarity "A man eats." "Someone is eating." "It rains."
  distilroberta-np similarity "how to eat" --input lines.txt --top-k 5 --model a/folder
  distilroberta-np similarity --queries some.txt --input others.txt --json

On a terminal, the output is a table for each query. Piped, it is one line for each
match: the number of the query, the number of the text, score and text, separated by
tabs. With --json, it is one line for each query: {"text": ..., "matches":
[{"corpus_id": ..., "score": ..., "text": ...}]}, where corpus_id counts from 0."""

# Queries whose similarities to all texts are held at a time.
_QUERIES = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_matching_arguments(parser)
    add_model_arguments(parser)
    add_encoding_arguments(parser)
    parser.add_argument(
        "--function", choices=SIMILARITY_FUNCTIONS, help="the similarity function (default: the model's)"
    )


def run(options: argparse.Namespace) -> int:
    queries, documents = read_matching(options)
    encoder = load_encoder(options)
    encoder.similarity_fn_name = options.function or encoder.similarity_fn_name
    with PlainBar(len(documents), stays=False) as bar:
        embeddings = encoder.encode_document(documents, progress=bar)
    for start in range(0, len(queries), _QUERIES):
        some = queries[start : start + _QUERIES]
        scores = encoder.similarity(encoder.encode_query(some), embeddings)  # [Q, N]
        for number, (query, row) in enumerate(zip(some, scores, strict=True), start=start + 1):
            order = np.argsort(-row, kind="stable").tolist()[: options.top_k]
            ranked = [RankedDocument(corpus_id=i, score=float(row[i]), text=documents[i]) for i in order]
            print_matches(options, number, query, ranked)
    return 0


def add_matching_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for queries and for the texts to compare them with."""
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="a query, then the texts to compare it with")
    parser.add_argument("--queries", metavar="FILE", help="read queries from a UTF-8 file, one per line")
    parser.add_argument("--input", metavar="FILE", help="read the texts from a file; - is standard input")
    parser.add_argument("--top-k", type=_top_k, metavar="K", help="number of texts per query (default: all)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON per query")


def read_matching(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Read the queries and the texts. Raises ValueError if a line is not UTF-8."""
    queries, documents = options.texts, options.texts
    if options.queries is not None:
        queries = _read_lines(options.queries)
    elif not queries:
        options.parser.error("give a query, or --queries FILE")
    else:
        queries, documents = queries[:1], documents[1:]
    if options.input is not None:
        if documents:
            options.parser.error("give texts or --input, not both")
        documents = _read_lines(options.input)
    if not documents:
        options.parser.error("give texts after the query, or --input FILE with at least one line")
    return queries, documents


def print_matches(options: argparse.Namespace, number: int, query: str, matches: list[RankedDocument]) -> None:
    """Print the matches of a query, whose number counts from 1."""
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
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, not {value!r}")
    return int(value)


def _read_lines(name: str) -> list[str]:
    if name == "-" and sys.stdin is None:
        raise ValueError("standard input is closed, so - cannot be read")
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
    "sentences",
    "sort texts by the similarity of their embeddings to a query",
    _EXAMPLES,
    add_arguments,
    run,
)
