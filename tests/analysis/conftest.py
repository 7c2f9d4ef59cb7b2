import pytest

from tests.support.brute_force import BruteForce

SHAPES = {
    "as it is": {},
    "3 heads of 5": {"hidden_size": 15, "num_attention_heads": 3, "intermediate_size": 7, "num_hidden_layers": 3},
    "1 layer, eps 0.001": {"layer_norm_eps": 1e-3, "num_hidden_layers": 1},
}


@pytest.fixture(scope="session", params=SHAPES.values(), ids=SHAPES)
def model(request, tmp_path_factory):
    return BruteForce(tmp_path_factory.mktemp("model"), **request.param)
