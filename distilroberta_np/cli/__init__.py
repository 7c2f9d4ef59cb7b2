"""The command `distilroberta-np`: one file per subcommand, which declares itself as a `COMMAND` (see `command.py`)."""

from .main import main

__all__ = ["main"]
