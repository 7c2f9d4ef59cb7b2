import numpy as np
import pytest

from distilroberta_np import ConfigError
from distilroberta_np.layers.activation import sigmoid
from distilroberta_np.sentence.torch_functions import as_function, function_by_name, name_of_function


def test_functions_by_the_names_of_torch_classes():
    x = np.array([[-200, -1, 0, 2, 200]], np.float32)
    expected = {
        "linear.Identity": x,
        "activation.Tanh": np.tanh(x),
        "activation.ReLU": [[0, 0, 0, 2, 200]],
        "activation.Sigmoid": [[0, 0.26894142, 0.5, 0.880797, 1]],
        "activation.Softmax": [[0, 0, 0, 0, 1]],
        "activation.GELU": [[0, -0.15865526, 0, 1.9544997, 200]],
    }
    for name, values in expected.items():
        function = function_by_name(f"torch.nn.modules.{name}")
        assert name_of_function(function) == f"torch.nn.modules.{name}"
        assert function(x).dtype == np.float32
        np.testing.assert_allclose(function(x), values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["torch.nn.modules.activation.RReLU", "torch.hub.load", "Tanhh", "", 5])
def test_no_other_class_is_supported(name):
    with pytest.raises(ConfigError, match="is not supported, only Identity, Sigmoid"):
        function_by_name(name)


@pytest.mark.parametrize("name", ["builtins.exec", "os.system", "own.Swish"])
def test_a_class_of_another_package_is_the_default_with_a_warning(name):
    with pytest.warns(UserWarning, match="is not a class of torch; using the default instead"):
        assert function_by_name(name) is None


def test_other_functions_have_no_name():
    with pytest.raises(ValueError, match="cannot be saved"):
        name_of_function(np.exp)


def test_modules_of_torch_become_functions():
    torch = pytest.importorskip("torch", reason="needs the parity extra")
    assert as_function("activation_fn", torch.nn.Sigmoid()) is sigmoid
    assert as_function("activation_fn", np.exp) is np.exp
    with pytest.raises(ConfigError, match=r"'torch\.nn\.modules\.activation\.RReLU' is not supported"):
        as_function("activation_fn", torch.nn.RReLU())
    with pytest.raises(TypeError, match="activation_fn must be a function of an array, not 'sigmoid'"):
        as_function("activation_fn", "sigmoid")
