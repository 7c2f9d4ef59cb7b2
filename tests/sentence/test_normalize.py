import numpy as np
import pytest

from distilroberta_np import ConfigError
from distilroberta_np.sentence.normalize import Normalize, normalize
from tests.support.seeded import draw, write_json


def test_vectors_get_unit_length():
    vectors = draw(0, 3, 5)
    normalized = normalize(vectors)
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized, vectors / np.sqrt((vectors**2).sum(axis=1, keepdims=True)), rtol=1e-6)


def test_zeros_stay_zeros():
    assert (normalize(np.zeros((1, 3), np.float32)) == 0).all()


def test_a_folder_with_and_without_a_config(tmp_path):
    x = draw(0, 2, 4)
    Normalize().save(tmp_path)
    for folder in (tmp_path, tmp_path / "missing"):
        np.testing.assert_array_equal(Normalize.load(folder, 4)(x), normalize(x))
    write_json(tmp_path / "config.json", {"module_input_name": "token_embeddings"})
    with pytest.raises(ConfigError, match=r"config\.json: module_input_name 'token_embeddings' is not supported"):
        Normalize.load(tmp_path, 4)
