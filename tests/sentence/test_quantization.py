import numpy as np
import pytest

from distilroberta_np.sentence.quantization import quantize
from tests.support.seeded import draw


def test_signs_are_packed_into_bytes():
    embeddings = np.array([[1, -1, 0, 2, -3, 4, 5, 6, 7], [-1] * 9], np.float32)
    packed = np.array([[0b10010111, 0b10000000], [0, 0]], np.uint8)
    np.testing.assert_array_equal(quantize(embeddings, "ubinary"), packed)
    binary = quantize(embeddings, "binary")
    assert binary.dtype == np.int8
    np.testing.assert_array_equal(binary, packed.astype(int) - 128)
    np.testing.assert_array_equal(quantize(embeddings[0], "ubinary"), packed[0])


def test_ranges_are_divided_into_256_steps():
    embeddings = np.array([[0, 5], [255, 5], [100.5, 5]], np.float32)
    np.testing.assert_array_equal(quantize(embeddings, "uint8"), [[0, 0], [255, 0], [100, 0]])
    np.testing.assert_array_equal(quantize(embeddings, "int8"), [[-128, -128], [127, -128], [-28, -128]])
    assert quantize(embeddings, "uint8").dtype == np.uint8 and quantize(embeddings, "int8").dtype == np.int8


def test_float32_and_nothing():
    embeddings = draw(0, 2, 9)
    assert quantize(embeddings, "float32") is embeddings
    assert quantize(embeddings[:0], "int8").shape == (0, 9)
    assert quantize(embeddings[:0], "binary").shape == (0, 2)


def test_one_embedding_has_no_range():
    for embedding in (draw(0, 9), draw(0, 1, 9)):
        with pytest.raises(ValueError, match="int8 needs the range of several embeddings"):
            quantize(embedding, "int8")
