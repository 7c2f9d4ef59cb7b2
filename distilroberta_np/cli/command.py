"""`Command`: one subcommand of `distilroberta-np`, declared in a file of its own; and the parser of all."""

from __future__ import annotations

import argparse
import itertools
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

# The topics, in the order in which --help lists their commands.
TOPICS = ("texts", "sentences", "models", "training")


class Parser(argparse.ArgumentParser):
    """A parser that asks "did you mean" of misspelled commands, options and choices."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._subparsers is None:  # the main parser does not know the options of its commands
            for argument in itertools.takewhile(lambda argument: argument != "--", args or ()):
                name = argument.partition("=")[0]
                if name.startswith("--") and not any(known.startswith(name) for known in self._option_string_actions):
                    self.error(f"unrecognized arguments: {argument}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        known = [name for action in self._actions for name in (*action.option_strings, *(action.choices or ()))]
        typed = re.search(r"invalid choice: '(.*?)'|unrecognized arguments: (\S+)", message)
        if typed is not None:
            close = get_close_matches((typed[1] or typed[2]).partition("=")[0], map(str, known), 1)
            if close:
                message = f"{message.partition(' (choose from')[0]}; did you mean {close[0]}?"
        super().error(message)


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

    def add_to(self, commands: argparse._SubParsersAction[Parser]) -> None:
        """Add the command's parser to those of the main command."""
        parser = commands.add_parser(
            self.name,
            help=self.summary,
            description=textwrap.fill(" ".join((self.description or self.summary).split()), 80),
            epilog=f"examples:\n{self.examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_arguments(parser)
        parser.set_defaults(run=self.run, parser=parser)
