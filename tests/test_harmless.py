import numpy as np
import pytest

from distilroberta_np.harmless import CALLING, LOADING, OnTheCPU, check_harmless


def test_values_that_change_nothing_are_taken():
    check_harmless(LOADING, {"torch_dtype": np.float32, "dtype": "auto", "token": None, "trust_remote_code": False})
    check_harmless(CALLING, {"return_dict": True, "position_ids": None})


@pytest.mark.parametrize("name", [*LOADING, *CALLING])
def test_other_values_are_refused_with_a_reason(name):
    with pytest.raises(ValueError, match=rf"^model_kwargs: {name}.* is not supported: .+"):
        check_harmless(LOADING | CALLING, {name: "other"}, "model_kwargs: ")


def test_a_token_is_not_shown():
    with pytest.raises(ValueError, match=r"^token is not supported: log in"):
        check_harmless(LOADING, {"token": "hf_secret"})


def test_an_unknown_argument_is_named():
    with pytest.raises(TypeError, match=r"^unknown argument 'dtyp'; those without effect are dtype, "):
        check_harmless(LOADING, {"dtyp": "auto"})


def test_moving_a_model_to_where_it_is():
    model = OnTheCPU()
    assert model.to("cpu", non_blocking=True) is model.to(dtype=None) is model.to(np.float32, copy=False) is model
    with pytest.raises(ValueError, match="device 'cuda' is not supported"):
        model.to("cuda", non_blocking=True)
