"""An array that is not NumPy's: what CuPy is to the code, where there is no GPU.

It is as strict as CuPy where code written for NumPy goes wrong there. It never becomes a NumPy array by itself, it is
never mixed with one, functions that CuPy lacks are refused, and so are those that NumPy doesn't pass on. Results are
always arrays again, those of no dimensions too.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

# Of NumPy 2's ufuncs, those in no CuPy up to 14.
_LACKING = {"vecdot", "matvec", "vecmat"}
# The functions that the code calls, with the keywords that CuPy takes there.
_FUNCTIONS = {
    np.concatenate: {"axis"},
    np.empty_like: {"dtype", "order", "shape"},
    np.full_like: {"dtype", "order", "shape"},
    np.ones_like: {"dtype", "order", "shape"},
    np.zeros_like: {"dtype", "order", "shape"},
    np.split: set(),
    # Told by `like` alone which library is meant.
    np.arange: {"dtype"},
    np.asarray: {"dtype"},
    np.ascontiguousarray: {"dtype"},
}


class DeviceArray(NDArrayOperatorsMixin):
    """A NumPy array behind a wall; `put` takes one there, `get` brings it back."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    def get(self) -> np.ndarray:
        return self._values.copy()

    def __array__(self, *arguments: Any, **named: Any) -> np.ndarray:
        raise TypeError("an array of the device would become one of the host")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        if ufunc.__name__ in _LACKING or method not in ("__call__", "at"):
            return NotImplemented
        out = named.pop("out", None)
        if out is not None:
            if not isinstance(out[0], DeviceArray):
                raise TypeError("an array of the host is to hold a result of the device")
            named["out"] = out[0]._values
        result = getattr(ufunc, method)(*map(_open, inputs), **named)
        if result is None or out is not None:  # `at` gives nothing
            return out and out[0]
        return DeviceArray(result)

    def __array_function__(self, function: Any, types: Any, arguments: Any, named: Any) -> Any:
        if function not in _FUNCTIONS or set(named) - _FUNCTIONS[function]:
            return NotImplemented
        if function is np.asarray:  # the one way for an array of the host to come here
            return put(*arguments)
        if function is np.split:
            return [DeviceArray(part) for part in np.split(_open(arguments[0]), *arguments[1:])]
        return DeviceArray(function(*map(_open, arguments), **named))

    def __getitem__(self, index: Any) -> DeviceArray:
        return DeviceArray(self._values[_open(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._values[_open(index)] = _open(value)

    def __len__(self) -> int:
        return len(self._values)

    def __float__(self) -> float:
        return float(self._values)

    def __int__(self) -> int:
        return int(self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "ndim", "size", "dtype"):
            return getattr(self._values, name)
        if name == "T":
            return DeviceArray(self._values.T)
        if name in ("all", "astype", "sum", "max", "min", "reshape", "swapaxes"):
            return lambda *arguments, **named: DeviceArray(getattr(self._values, name)(*arguments, **named))
        raise AttributeError(name)


def _open(value: Any) -> Any:
    """What is behind the wall, in tuples and lists too. What is a NumPy array with dimensions already is refused."""
    if isinstance(value, DeviceArray):
        return value._values
    if isinstance(value, tuple | list):
        return type(value)(map(_open, value))
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("an array of the host meets one of the device")
    return value


class _Generator:
    def __init__(self, seed: Any) -> None:
        self._rng = np.random.default_rng(seed)

    def random(self, size: Any = None, dtype: Any = np.float64) -> DeviceArray:
        return DeviceArray(self._rng.random(size, dtype))


def put(values: Any) -> DeviceArray:
    return values if isinstance(values, DeviceArray) else DeviceArray(np.array(values))


# In the place of the module `cupy`.
standin_cupy = SimpleNamespace(
    asarray=put,
    ones=lambda shape, dtype: put(np.ones(shape, dtype)),
    random=SimpleNamespace(default_rng=_Generator),
)
