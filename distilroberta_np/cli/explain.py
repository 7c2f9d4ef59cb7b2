"""`distilroberta-np explain`: a page that walks a sentence through the model."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from ..explain.document import explain
from ..explain.site import PYODIDE, PYODIDE_VERSION, write_site
from ..files import write_text
from .answering import load_pipeline
from .command import Command
from .terminal import add_model_arguments, find_model

_EXAMPLES = """\
  distilroberta-np explain "The cat sat on the <mask>." --out page.html
  distilroberta-np explain "The cat sat on the <mask>." --out page.html --open
  distilroberta-np explain "The man worked as a <mask>." --compare "The woman worked as a <mask>." --out page.html
  distilroberta-np explain "The cat sat on the <mask>." --site site
  python -m http.server --directory site

The page is one file that works without a network. A site computes in the browser: it
runs reference/ in Pyodide, so a class can type sentences and change the model's code.
Serve it from any static host."""
_DESCRIPTION = """Write a page that shows how the model gets from a sentence to the five most likely words: tokens,
embeddings, attention, residual stream, logit lens, head."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", help="a sentence with one <mask>")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, metavar="FILE.html", help="write the page to this file")
    target.add_argument("--site", type=Path, metavar="FOLDER", help="write a site that computes in the browser")
    parser.add_argument(
        "--compare", metavar="TEXT", help="a second sentence with the same number of tokens, shown next to the first"
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--pyodide",
        metavar="URL|FOLDER",
        default=PYODIDE,
        help=f"Pyodide {PYODIDE_VERSION} for the site: an address, or a folder to copy (default: its public CDN)",
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> int:
    if options.site is not None:
        if options.compare is not None or options.open:
            options.parser.error("--compare and --open go with --out")
        write_site(options.site, find_model(options), options.text, options.pyodide)
        print(options.site)
        return 0
    write_text(options.out, explain(load_pipeline(options, "fill-mask"), options.text, options.compare))
    print(options.out)
    if options.open:
        webbrowser.open(options.out.resolve().as_uri())
    return 0


COMMAND = Command(
    "explain", "texts", "walk a sentence through the model, as a page", _EXAMPLES, add_arguments, run, _DESCRIPTION
)
