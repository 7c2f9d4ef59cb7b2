"""Adapters for programs that take embedders of their own class only. Without one, they silently load another model.

from distilroberta_np.sentence.adapters import keybert_embedder

KeyBERT(keybert_embedder(encoder)).extract_keywords(text)
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from ..layers.params import Array
from .sentence_encoder import SentenceEncoder


def keybert_embedder(encoder: SentenceEncoder) -> object:
    """An encoder as KeyBERT's `BaseEmbedder`. Raises ImportError if KeyBERT is not installed."""
    return _embedder("keybert", encoder)


def bertopic_embedder(encoder: SentenceEncoder) -> object:
    """An encoder as BERTopic's `BaseEmbedder`. Raises ImportError if BERTopic is not installed."""
    return _embedder("bertopic", encoder)


def _embedder(package: str, encoder: SentenceEncoder) -> object:
    try:
        base: Any = import_module(f"{package}.backend").BaseEmbedder
    except ImportError:
        raise ImportError(f"{package} is not installed: pip install {package}") from None

    class Embedder(base):  # type: ignore[misc]
        def embed(self, documents: Sequence[str], verbose: bool = False) -> Array:
            return encoder.encode(list(documents), show_progress_bar=verbose)

    return Embedder()
