"""`Command`: one subcommand of `distilroberta-np`, declared in a file of its own."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

# The topics, in the order in which --help lists their commands.
TOPICS = ("texts", "sentences", "models", "training")


@dataclass(frozen=True)
class Command:
    """A subcommand. A module of this package that defines a `COMMAND` adds it to the command line.

    Attributes:
        name: as it is typed.
        topic: one of `TOPICS`; commands are listed by topic, then by name.
        summary: one line for the list of commands.
        examples: shown below the help, with any notes; the list of commands shows the first line.
        add_arguments: declares the arguments on a parser.
        run: executes the command and returns the exit status. `options.parser` is the command's own parser.
        description: shown above the arguments; the summary if None.
    """

    name: str
    topic: str
    summary: str
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    description: str | None = None

    def add_to(self, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add the command's parser to those of the main command."""
        parser = commands.add_parser(
            self.name,
            help=self.summary,
            description=textwrap.fill(self.description or self.summary, 80),
            epilog=f"examples:\n{self.examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_arguments(parser)
        parser.set_defaults(run=self.run, parser=parser)
