"""`distilroberta-np rank`: sort texts by their relevance to a query, with a cross-encoder."""

from __future__ import annotations

import argparse

from ..runtime.progress import PlainBar
from ..sentence.cross_encoder import CrossEncoder
from .command import Command
from .similarity import add_matching_arguments, print_matches, read_matching
from .terminal import add_model_arguments, where_from

_EXAMPLES = """\
  distilroberta-np rank "who wrote it?" "Harper Lee did." "It rains." --model tuned
  distilroberta-np rank "who wrote it?" --input lines.txt --top-k 5 --model tuned

A small model to try it with, offline:
  printf 'text,text_pair,score\\nwho wrote it?,Harper Lee did.,0.9\\nwho wrote it?,It rains.,0.1\\n' > train.csv
  distilroberta-np finetune --task text-classification --train train.csv --eval train.csv --out tuned

The output is that of `similarity`, which compares embeddings: many times faster, but
less accurate."""

_SUGGESTED = "cross-encoder/stsb-distilroberta-base"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_matching_arguments(parser)
    add_model_arguments(parser, suggested=_SUGGESTED)


def run(options: argparse.Namespace) -> int:
    if options.model is None:
        options.parser.error(
            f"rank needs a cross-encoder; name one on the hub, such as {_SUGGESTED}, or make one with finetune, as "
            "--help shows"
        )
    queries, documents = read_matching(options)
    encoder = CrossEncoder(options.model, **where_from(options))
    for number, query in enumerate(queries, start=1):
        with PlainBar(len(documents), stays=False) as bar:
            ranked = encoder.rank(query, documents, top_k=options.top_k, return_documents=True, progress=bar)
        print_matches(options, number, query, ranked)
    return 0


COMMAND = Command(
    "rank", "sentences", "sort texts by their relevance to a query, with a cross-encoder", _EXAMPLES, add_arguments, run
)
