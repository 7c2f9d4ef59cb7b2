import sys

import pytest

from distilroberta_np.training import device
from tests.support.dispatch import standin_cupy


@pytest.fixture
def standin(monkeypatch):
    """Replace CuPy by the stand-in."""
    monkeypatch.setitem(sys.modules, "cupy", standin_cupy)
    device._cupy.cache_clear()
    yield
    device._cupy.cache_clear()


@pytest.fixture(params=["cpu", "cuda"])
def device_name(request):
    """The host, and a stand-in for a GPU."""
    if request.param == "cuda":
        request.getfixturevalue("standin")
    return request.param
