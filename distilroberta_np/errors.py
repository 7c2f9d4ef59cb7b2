"""What can go wrong, each as one sentence that names what is wrong, where, and the way out."""

from __future__ import annotations


class DistilRobertaError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(DistilRobertaError, ValueError):
    """A config.json (or `RobertaConfig` argument) that is unreadable, incomplete or not computable here."""


class CheckpointError(DistilRobertaError, ValueError):
    """Weights that are missing, malformed, of another shape or dtype than the config says, or not finite."""


class TokenizerError(DistilRobertaError, ValueError):
    """Tokenizer files that are missing or malformed, or text that no tokenizer can read."""


class HubError(DistilRobertaError, OSError):
    """A model that can't be had from the hub, the cache or a folder."""


class PipelineException(DistilRobertaError, ValueError):  # noqa: N818 (the name that users of the reference know)
    """An input that a pipeline can't answer.

    Attributes:
        reason: what is wrong with it.
        index: its place in the list or stream it came in, from 0; None if it came alone.
    """

    def __init__(self, reason: str, index: int | None = None) -> None:
        super().__init__(reason if index is None else f"{reason} (input {index})")
        self.reason = reason
        self.index = index


class TrainingError(DistilRobertaError, ValueError):
    """A training that can't begin, or can't go on."""
