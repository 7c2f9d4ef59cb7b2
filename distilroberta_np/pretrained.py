"""`from_pretrained`, for everything that is read from a model's folder: configs, tokenizers, models.

Names are resolved by `hub`, which sets `Pretrained.resolve` when it is imported. So a config, low in the layers, needs
no hub.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

# The parts of a model that a folder can hold.
CONFIG, WEIGHTS, TOKENIZER, MODULES = "config", "weights", "tokenizer", "modules"


class Pretrained:
    """An object that is read from a model's folder."""

    # The parts of a model that it needs, and the class method that reads them from a folder.
    PARTS: ClassVar[tuple[str, ...]]
    from_folder: ClassVar[Callable[..., Any]]
    resolve: ClassVar[Callable[..., Path]]  # `hub.resolve_model`

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
        """Load from a folder, or a model on the hub by its name. A name is looked up in the cache first.

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
        where = {"revision": revision, "cache_dir": cache_dir, "local_files_only": local_files_only}
        result: Self = cls.from_folder(cls.resolve(name_or_path, **where, parts=cls.PARTS), **options)
        return result
