"""Kernels: everything that is done for speed, for rounding or for GPUs. The other files of this folder are maths.

Speed
    Elementwise functions work in `blocks` of rows that stay in the processor's cache. Sums over rows are products with
    `row_of` ones, which BLAS computes five times as fast as `sum`. Few rows are multiplied in another layout
    (`affine`). `normal_cdf` is a polynomial inside a tanh, as NumPy has no erf.
Rounding
    A float32 sum loses digits with its length, so `affine` cuts long sums into chunks. Row means lose precision in
    Fortran order, so every kernel returns arrays in C order.
GPUs
    The functions work on CuPy's arrays too. They call only what NumPy and CuPy share and make new arrays with `like`.
    Blocks and chunks of the CPU are left out there.

The tests hold each kernel to a plain version of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from ..runtime.threads import available_threads, map_in_threads
from .params import Array

# Elements of a block: 256 KB in float32, so that a block and its temporaries fit the second-level cache of a core. A
# chain of ufuncs over 4096 x 3072 elements takes less than half the time; smaller blocks pay for the calls instead.
BLOCK = 65_536

# Terms of a sum before it is rounded (`affine`), and the number for products whose rounding weighs most.
CHUNK = 512
FINE_CHUNK = 128
# Up to this many rows OpenBLAS is faster with the weights as the first matrix: 14 ms against 18 for the products of six
# layers over 8 rows, 15 against 23 over 16, 69 against 86 over 128; above some hundred the two are alike.
FEW_ROWS = 128
# Up to this many multiplications OpenBLAS uses another routine, which does not halve its sums.
_SMALL = 10**6

# Shares of a product (`share_out`), per thread: a thread that another process holds up leaves its shares to the others.
# On two quiet cores a text of 64 tokens takes 67 ms with 4 shares per thread, 58 with 2, and 60 with 1.
_SHARES = 2
# Multiplications that make a share worth it: 0.1 ms, against 0.02 ms to wake a thread.
_SHARE = 4 * 10**6
# With few rows, a product takes as long as to read the weights from memory: as to multiply them with so many rows.
_ROWS_PER_READ = 12
# Up to 1200 outputs OpenBLAS adds up in another order, and a share must give the same bits as the whole.
_SHARE_OUTPUTS = 2048

# P of tanh(x P(x^2)), which approximates erf(x / sqrt 2): fitted by scripts/fit_gelu.py, which also measures it.
_NORMAL_COEFFICIENTS = (
    0.7978851670366199,
    0.036332368612334943,
    -3.1939592349664565e-05,
    -5.5550149487504286e-05,
    4.005932590357823e-06,
    -1.353655884067214e-07,
    1.8397451476914192e-09,
)


def ignore_spurious_flags() -> np.errstate:
    """A context in which NumPy doesn't warn of invalid values and overflows. Every entry into the maths sets it once.

    Once in thousands of passes OpenBLAS sets the processor's flag for an invalid operation although every number of
    its product is right, and NumPy would report that. Damaged weights, which overflow, are found by `check_finite`.
    """
    return np.errstate(invalid="ignore", over="ignore")


def is_host(array: Array) -> bool:
    """Whether an array is NumPy's, and not a GPU's."""
    return isinstance(array, np.ndarray)


def to_device_of(like: Array, values: Any) -> Array:
    """Values as an array in the memory where `like` is."""
    return np.asarray(values, like=like)


def row_of(value: float, like: Array) -> Array:
    """A row (C,) that holds a value everywhere. Shapes: like (..., C). `block @ row_of(1, block)` sums the rows of a
    block, and with 1 / C it is their mean."""
    return np.full_like(like, value, shape=like.shape[-1])


def squared_norms(rows: Array) -> Array:
    """The sum of the squares of each row. Shapes: (..., H) -> (...).

    NumPy's vecdot makes no array of the squares; CuPy has none.
    """
    norms: Array = np.vecdot(rows, rows) if is_host(rows) else np.square(rows).sum(axis=-1)
    return norms


def spans(array: Array) -> Iterator[slice]:
    """Slices of the first axis, of about `BLOCK` elements each; one slice for a GPU's array."""
    length = len(array)
    rows = max(1, BLOCK * length // max(1, array.size) if is_host(array) else length)
    for start in range(0, length, rows):
        yield slice(start, start + rows)


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The same rows of several arrays, some at a time, as views.

    Shapes: each (..., C), with equal leading axes -> (..., C) of fewer rows. Contiguous arrays are cut anywhere,
    others along the first axis.
    """
    if arrays[0].size <= BLOCK or not is_host(arrays[0]):
        yield arrays
        return
    if all(array.flags.c_contiguous for array in arrays):
        arrays = tuple(array.reshape(-1, array.shape[-1]) for array in arrays)
    for span in spans(arrays[0]):
        yield tuple(array[span] for array in arrays)


def affine(inputs: Array, weight: Array, bias: Array, chunk: int = CHUNK) -> Array:
    """inputs @ weight.T + bias, in C order.

    The product is a sum of products over chunks of the inputs. NumPy 2.4's OpenBLAS on AVX-512 adds up to 384 terms one
    after another, torch's MKL half as many, and whole products were 1.4 times as far from float64 as torch's
    (scripts/parity_report.py). Chunks of 512, which OpenBLAS halves by itself, take a twentieth more time and reduce
    that to 1.1; smaller chunks where rounding weighs most, to 1.05.

    Shapes: inputs (..., in), weight (out, in), bias (out,) -> (..., out).
    """
    # One product over all rows: NumPy would otherwise make one per sequence.
    rows = inputs.reshape(-1, inputs.shape[-1])  # [..., in] -> [N, in]
    if len(rows) * len(weight) * chunk <= _SMALL:
        chunk = min(chunk, 256)
    if len(rows) == 1:
        chunk = rows.shape[1]  # OpenBLAS adds up a single row in another way, as accurate without chunks
    cuts = [slice(start, start + chunk) for start in range(0, rows.shape[1], chunk)]
    outputs = np.empty_like(rows, shape=(len(rows), len(weight)), order="C")  # [N, out]

    def fill_columns(part: slice) -> None:
        total, *rest = (weight[part, cut] @ rows[:, cut].T for cut in cuts)  # [out, in] @ [in, N] -> [out, N]
        part_bias, out = bias[part], outputs[:, part]
        for span in spans(total):
            np.add(_add_up(total, rest, span).T, part_bias[span], out=out[:, span])  # [out, N] -> [N, out]

    def fill_rows(part: slice) -> None:
        total, part_rows = outputs[part], rows[part]
        matmul_into(total, part_rows[:, cuts[0]], weight[:, cuts[0]].T)  # [N, in] @ [in, out] -> [N, out]
        rest = [part_rows[:, cut] @ weight[:, cut].T for cut in cuts[1:]]
        for span in spans(total):
            block = _add_up(total, rest, span)
            block += bias

    # No sum runs along the axis that is shared out.
    few = len(rows) <= FEW_ROWS
    share_out(fill_columns if few else fill_rows, len(weight) if few else len(rows), len(rows), weight)
    return outputs.reshape(*inputs.shape[:-1], len(weight))


def _add_up(total: Array, rest: list[Array], span: slice) -> Array:
    """Some rows of `total`, to which those of the others are added in place."""
    block = total[span]
    for product in rest:
        block += product[span]
    return block


def share_out(fill: Callable[[slice], None], length: int, rows: int, weight: Array) -> None:
    """Compute a product in slices, in the threads that are available, or as a whole if it is small.

    Args:
        fill: computes the outputs of a slice of an axis.
        length: of that axis.
        rows: that are multiplied with the weight.
        weight: (out, in).
    """
    threads = available_threads() if is_host(weight) else 1
    costs = weight.size * (rows + _ROWS_PER_READ)
    count = min(threads * _SHARES, costs // _SHARE, rows * len(weight) // _SHARE_OUTPUTS)
    if threads == 1 or count <= 1:
        fill(slice(0, length))
    else:  # cut at multiples of 64, where OpenBLAS's kernels begin
        borders = [*(length * number // count & ~63 for number in range(count)), length]
        map_in_threads(fill, [slice(*pair) for pair in pairwise(borders) if pair[0] < pair[1]])


def product(a: Array, b: Array) -> Array:
    """a @ b of two matrices, in shares. Shapes: (M, K), (K, N) -> (M, N)."""
    out = np.empty_like(a, shape=(len(a), b.shape[1]), order="C")
    share_out(lambda part: matmul_into(out[part], a[part], b), len(a), len(a), b.T)
    return out


def matmul_into(out: Array, a: Array, b: Array) -> None:
    """Write a @ b into a view, such as the one of `split_heads`, without an array in between where NumPy can."""
    if is_host(out):
        np.matmul(a, b, out=out)
    else:
        out[...] = a @ b


def normal_cdf(x: Array, x_squared: Array) -> Array:
    """The probability that a standard normal variable is below x, (1 + erf(x / sqrt 2)) / 2, as a new array.

    It is computed as (1 + tanh(x P(x^2))) / 2 with a polynomial P. In float32 x times it is within 5.6e-7 of the exact
    GELU and on average closer than torch's, in float64 within 9e-8. (The well-known tanh approximation of GELU, which
    some BERTs use, has the first two terms of P only, is off by 4.7e-4 and gives other predictions.) For large x
    the polynomial overflows to an infinity of the right sign, whose tanh is 1 or -1: ignore overflows.
    """
    inner = x_squared * _NORMAL_COEFFICIENTS[-1]
    for coefficient in _NORMAL_COEFFICIENTS[-2:0:-1]:  # Horner's rule
        inner += coefficient
        inner *= x_squared
    inner += _NORMAL_COEFFICIENTS[0]
    inner *= x
    np.tanh(inner, out=inner)
    inner += 1.0
    inner *= 0.5
    return inner
