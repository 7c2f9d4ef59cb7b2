"""The main command: finds the subcommand, runs it, and turns errors into messages and exit statuses."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from ..errors import DistilRobertaError
from ..messages import printable
from .command import TOPICS, Command, Parser

_EXIT_STATUS = """\
exit status:
  0  every input was answered (verify: every value agrees)
  1  some input could not be answered (verify: some value differs)
  2  nothing was done: wrong arguments, or the model is not available"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with its arguments (those of the process if None) and return its exit status."""
    options = make_parser().parse_args(arguments)
    if sys.stdout is None or sys.stderr is None:
        return 2  # closed: there is nowhere to write an answer or an error
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A character that the terminal's encoding lacks shows as its code instead of ending the run.
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has closed it (`| head`). Without this, Python would report it again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (DistilRobertaError, ImportError, ValueError, OSError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            text = f"{error.filename}: {error.strerror}"
        print(f"distilroberta-np: {printable(text)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return status


def find_commands() -> list[Command]:
    """Every `COMMAND` of the modules of this package, by topic and name."""
    modules = [import_module(f"{__package__}.{module.name}") for module in iter_modules([str(Path(__file__).parent)])]
    commands: list[Command] = [module.COMMAND for module in modules if hasattr(module, "COMMAND")]
    return sorted(commands, key=lambda command: (TOPICS.index(command.topic), command.name))


def make_parser() -> Parser:
    """The parser of the main command, with those of all subcommands."""
    from .. import __version__

    commands = find_commands()
    examples = "\n".join(command.examples.partition("\n")[0] for command in commands)
    parser = Parser(
        prog="distilroberta-np",
        description="DistilRoBERTa, and every RoBERTa, in NumPy.",
        epilog=f"examples:\n{examples}\n\n{_EXIT_STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"distilroberta-np {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        command.add_to(subparsers)
    return parser
