"""That the stand-in for a GPU's arrays is as strict as they are."""

import numpy as np
import pytest

from tests.support.dispatch import DeviceArray, put

HOST = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda there: there + HOST,
        lambda there: HOST + there,
        lambda there: HOST.T @ there,
        lambda there: there[np.array([0, 1])],
        lambda there: there.__setitem__(..., HOST),
        lambda there: np.add(there, there, out=HOST),
        lambda there: np.concatenate([there, HOST]),
        lambda there: np.array(there),
        lambda there: np.ascontiguousarray(there),
        lambda there: np.vecdot(there, there),
        lambda there: np.add.reduce(there),
        lambda there: np.sort(there),
    ],
)
def test_nothing_of_the_host_gets_in_and_nothing_gets_out(mixed):
    with pytest.raises(TypeError):
        mixed(put(HOST))


def test_what_cupy_does_it_does():
    there = put(HOST)
    same = there
    there += 1
    there[0] *= 2
    np.add.at(there, put(np.array([1, 1])), there[:1])
    assert same is there
    np.testing.assert_array_equal(there.get(), [[4, 4, 4], [10, 10, 10]])
    np.testing.assert_array_equal(HOST, 1)
    assert isinstance(there.sum(), DeviceArray)
    assert float(there.sum()) == 42
    assert np.asarray(HOST, like=there).dtype == np.float32
