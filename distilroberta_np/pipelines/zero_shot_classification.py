"""`ZeroShotClassificationPipeline`: not written yet."""

from __future__ import annotations

from typing import Any

from .base import Pipeline


class ZeroShotClassificationPipeline(Pipeline):
    """Not written yet."""

    task = "zero-shot-classification"

    def _options(self, **parameters: Any) -> Any:
        raise NotImplementedError

    def _read(self, item: Any, index: int | None, options: Any) -> Any:
        raise NotImplementedError

    def _answer(self, items: list[Any], options: Any) -> list[Any]:
        raise NotImplementedError

    def __call__(self, inputs: Any) -> Any:
        raise NotImplementedError
