"""`from_pretrained`, for everything that is read from a model's folder: configs, tokenizers, models.

Names are resolved by `hub`, which sets the resolver when it is imported. So a config, low in the layers, needs no hub.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

# The parts of a model that a folder can hold.
CONFIG, WEIGHTS, TOKENIZER, MODULES = "config", "weights", "tokenizer", "modules"


class Resolver(Protocol):
    """A function from a model's name or path to its folder."""

    def __call__(
        self,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None,
        cache_dir: str | os.PathLike[str] | None,
        local_files_only: bool,
        parts: Iterable[str],
    ) -> Path: ...


_resolver: Resolver


def set_resolver(resolver: Resolver) -> None:
    """Set the function that `from_pretrained` finds folders with."""
    global _resolver
    _resolver = resolver


class Pretrained:
    """An object that is read from a model's folder."""

    # The parts of a model that it needs, and the class method that reads them from a folder.
    PARTS: ClassVar[tuple[str, ...]]
    from_folder: ClassVar[Callable[..., Any]]

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        **options: Any,
    ) -> Self:
        """Load from a folder, or from a model of the hub by its name. A name is looked up in the cache first.

        Args:
            name_or_path: a folder, or a name such as "distilroberta-base".
            revision: branch, tag or commit of the hub's repository; distilroberta-base has its own pinned one.
            cache_dir: the hub's cache, if not the usual one.
            local_files_only: never connect; use what is on this machine.
            options: as `from_folder`.

        Raises:
            HubError: the model cannot be found or fetched.
            ConfigError, CheckpointError, TokenizerError: its config, weights or tokenizer cannot be used.
        """
        folder = _resolver(
            name_or_path,
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            parts=cls.PARTS,
        )
        result: Self = cls.from_folder(folder, **options)
        return result
