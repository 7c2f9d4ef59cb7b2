"""The adapters, with the base class that KeyBERT 0.9 and BERTopic 0.17 have. Neither package is needed."""

import sys
from types import ModuleType

import numpy as np
import pytest

from distilroberta_np import SentenceEncoder
from distilroberta_np.sentence.adapters import bertopic_embedder, keybert_embedder
from tests.support.sentence_folders import write_sentence_encoder

ADAPTERS = pytest.mark.parametrize(
    ("package", "adapter"), [("keybert", keybert_embedder), ("bertopic", bertopic_embedder)]
)


@pytest.fixture
def encoder(tmp_path):
    return SentenceEncoder(write_sentence_encoder(tmp_path))


class BaseEmbedder:
    def __init__(self, embedding_model=None, word_embedding_model=None):
        self.embedding_model = embedding_model


@ADAPTERS
def test_an_embedder_of_the_packages_own_class(encoder, monkeypatch, package, adapter):
    backend = ModuleType(f"{package}.backend")
    backend.BaseEmbedder = BaseEmbedder
    monkeypatch.setitem(sys.modules, package, ModuleType(package))
    monkeypatch.setitem(sys.modules, f"{package}.backend", backend)
    embedder = adapter(encoder)
    assert isinstance(embedder, BaseEmbedder)
    texts = np.array(["the cat", "sat"])
    np.testing.assert_array_equal(embedder.embed(texts, verbose=False), encoder.encode(texts))


@ADAPTERS
def test_without_the_package_the_error_says_what_to_install(encoder, monkeypatch, package, adapter):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"pip install {package}"):
        adapter(encoder)
