"""The exceptions of this package. Each message says what is wrong, where, and what to do."""

from __future__ import annotations

from .messages import printable


class DistilRobertaError(Exception):
    """Base of every error that this package raises on purpose. Its message is safe to print on a terminal."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ConfigError(DistilRobertaError, ValueError):
    """A config.json or `RobertaConfig` argument that is unreadable, incomplete or not supported."""


class CheckpointError(DistilRobertaError, ValueError):
    """Weights that are missing, malformed, not finite, or of another shape or dtype than the config says."""


class TokenizerError(DistilRobertaError, ValueError):
    """Tokenizer files that are missing or malformed, or text that cannot be tokenized."""


class HubError(DistilRobertaError, OSError):
    """A model that is not available from a folder, the cache or the hub."""


class PipelineException(DistilRobertaError, ValueError):  # noqa: N818 (the name that users of transformers know)
    """An input that a pipeline cannot answer.

    Attributes:
        reason: what is wrong with it.
        index: its index in the list or stream, from 0; None for a single input.
    """

    def __init__(self, reason: str, index: int | None = None) -> None:
        super().__init__(reason if index is None else f"{reason} (input {index})")
        self.reason = printable(reason)
        self.index = index


class MissingKeyError(PipelineException, KeyError):
    """An input that lacks a key; a KeyError, as in transformers."""

    def __str__(self) -> str:
        return printable(self.args[0])  # rather than KeyError's repr


class InputTypeError(DistilRobertaError, TypeError, ValueError):
    """An input of the wrong type; a ValueError too, as in transformers."""


class TrainingError(DistilRobertaError, ValueError):
    """A training run that cannot start or continue."""


class ServeError(DistilRobertaError, ValueError):
    """A model that cannot be served."""


class CorpusError(DistilRobertaError, ValueError):
    """A corpus job that cannot start or go on."""


class OutputError(DistilRobertaError, OSError):
    """A file or folder that cannot be written, because something is there or missing."""
