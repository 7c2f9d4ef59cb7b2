import numpy as np
import pytest

from distilroberta_np import CheckpointError, ConfigError
from distilroberta_np.sentence.dense import Dense
from tests.support.seeded import draw, safetensors_bytes, write_json
from tests.support.sentence_folders import HIDDEN, dense_config, dense_tensors


def write(folder, **changes):
    config = dense_config(**changes)
    write_json(folder / "config.json", config)
    tensors = dense_tensors(dense_config(bias=config["bias"]))
    (folder / "model.safetensors").write_bytes(safetensors_bytes(tensors))
    return folder


@pytest.mark.parametrize("bias", [True, False])
def test_the_equation_and_a_round_trip(tmp_path, bias):
    tensors = dense_tensors(dense_config(bias=bias))
    x = draw(0, 3, HIDDEN)
    dense = Dense.load(write(tmp_path, bias=bias), HIDDEN)
    expected = np.tanh(x @ tensors["linear.weight"].T + tensors.get("linear.bias", 0))
    np.testing.assert_allclose(dense(x), expected, rtol=1e-4, atol=1e-5)
    assert dense.out_features == 5
    (tmp_path / "saved").mkdir()
    dense.save(tmp_path / "saved")
    np.testing.assert_array_equal(Dense.load(tmp_path / "saved", HIDDEN)(x), dense(x))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_features": 7}, "in_features is 7, but the input has 16"),
        ({"use_residual": True}, "use_residual is not supported"),
        ({"activation_function": "torch.nn.RReLU"}, r"config\.json: the activation 'torch\.nn\.RReLU'"),
        ({"module_output_name": "scores"}, "module_output_name 'scores' is not supported"),
    ],
)
def test_unsupported_settings_are_refused_by_name(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        Dense.load(write(tmp_path, **changes), HIDDEN)


def test_weights_of_another_shape_or_in_a_pickle(tmp_path):
    write(tmp_path, out_features=6)
    with pytest.raises(CheckpointError, match=r"the weights are .* but must be"):
        Dense.load(tmp_path, HIDDEN)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="a pickle"):
        Dense.load(tmp_path, HIDDEN)


def test_an_activation_of_another_package_is_tanh_with_a_warning(tmp_path):
    x = draw(0, 3, HIDDEN)
    with pytest.warns(UserWarning, match=r"'own\.Swish' is not a class of torch; using the default"):
        dense = Dense.load(write(tmp_path, activation_function="own.Swish"), HIDDEN)
    np.testing.assert_array_equal(dense(x), Dense(dense.weights, np.tanh)(x))
