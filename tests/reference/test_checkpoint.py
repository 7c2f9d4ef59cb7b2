import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from distilroberta_np.reference.checkpoint import load, nested, read_safetensors
from tests.support.seeded import CONFIG, safetensors_bytes, seeded_tensors, stored, write_model


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_files_of_the_safetensors_library(tmp_path, dtype):
    path = tmp_path / "model.safetensors"
    shapes = {"a": (3, 4), "b.c": (5,), "one": (1, 1, 2), "scalar": ()}
    rng = np.random.default_rng(0)
    save_file({name: rng.normal(size=s).astype(dtype) for name, s in shapes.items()}, path, metadata={"format": "pt"})
    tensors, expected = read_safetensors(path.read_bytes()), load_file(path)
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == np.float32
        np.testing.assert_array_equal(tensor, expected[name].astype(np.float32))


def test_bfloat16_is_the_upper_half_of_float32():
    values = np.array([0, -0.0, 1, -1.5, 3.140625, 1e38, -1e-38, np.inf, 2.0**-126], np.float32)
    tensor = read_safetensors(safetensors_bytes({"x": values}, "BF16"))["x"]
    assert tensor.dtype == np.float32
    assert stored(tensor, "BF16") == stored(values, "BF16")
    np.testing.assert_allclose(tensor, values, rtol=2**-8)
    np.testing.assert_array_equal(tensor.view(np.uint32) & 0xFFFF, 0)


def test_names_become_nested_dictionaries():
    x, y, z = np.arange(3)
    assert nested({"a.b": x, "a.c.0": y, "d": z}) == {"a": {"b": x, "c": {"0": y}}, "d": z}


def test_a_folder(tmp_path):
    tensors = seeded_tensors(1)
    params, config = load(write_model(tmp_path, tensors))
    assert config == CONFIG
    for name, tensor in tensors.items():
        node = params
        for part in name.split("."):
            node = node[part]
        np.testing.assert_array_equal(node, tensor)
