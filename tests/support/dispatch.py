"""An array that is not NumPy's: a stand-in for CuPy without a GPU.

It is as strict as CuPy. It never becomes a NumPy array implicitly and is never mixed with one. Functions that CuPy
lacks, and those that NumPy does not dispatch, are refused. Results are always arrays, also those without dimensions.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

# The ufuncs of NumPy 2 that CuPy up to 14 lacks.
_LACKING = {"vecdot", "matvec", "vecmat"}
# The functions that the package calls, with the keywords that CuPy takes.
_FUNCTIONS = {
    np.concatenate: {"axis"},
    np.empty_like: {"dtype", "order", "shape"},
    np.full_like: {"dtype", "order", "shape"},
    np.ones_like: {"dtype", "order", "shape"},
    np.zeros_like: {"dtype", "order", "shape"},
    np.split: set(),
    # These dispatch on `like` only.
    np.arange: {"dtype"},
    np.asarray: {"dtype"},
    np.ascontiguousarray: {"dtype"},
}


class DeviceArray(NDArrayOperatorsMixin):
    """A NumPy array that only this class can open; `put` makes one, `get` copies it back."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    def get(self) -> np.ndarray:
        return self._values.copy()

    def __array__(self, *arguments: Any, **named: Any) -> np.ndarray:
        raise TypeError("a device array would become a host array")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        if ufunc.__name__ in _LACKING or method not in ("__call__", "at"):
            return NotImplemented
        out = named.pop("out", None)
        if out is not None:
            if not isinstance(out[0], DeviceArray):
                raise TypeError("a host array cannot hold a device result")
            named["out"] = out[0]._values
        result = getattr(ufunc, method)(*map(_open, inputs), **named)
        if result is None or out is not None:  # `at` gives nothing
            return out and out[0]
        return DeviceArray(result)

    def __array_function__(self, function: Any, types: Any, arguments: Any, named: Any) -> Any:
        if function not in _FUNCTIONS or set(named) - _FUNCTIONS[function]:
            return NotImplemented
        if function is np.asarray:  # the only way to copy a host array here
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
    """The NumPy array inside, also in tuples and lists. A NumPy array with dimensions is refused."""
    if isinstance(value, DeviceArray):
        return value._values
    if isinstance(value, tuple | list):
        return type(value)(map(_open, value))
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("a host array is mixed with a device array")
    return value


class _Generator:
    def __init__(self, seed: Any) -> None:
        self._rng = np.random.default_rng(seed)

    def random(self, size: Any = None, dtype: Any = np.float64) -> DeviceArray:
        return DeviceArray(self._rng.random(size, dtype))


def put(values: Any) -> DeviceArray:
    return values if isinstance(values, DeviceArray) else DeviceArray(np.array(values))


# Replaces the module `cupy`.
standin_cupy = SimpleNamespace(
    asarray=put,
    ones=lambda shape, dtype: put(np.ones(shape, dtype)),
    random=SimpleNamespace(default_rng=_Generator),
)
