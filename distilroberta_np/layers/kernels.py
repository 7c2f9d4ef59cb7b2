"""Kernels: everything that is done for speed, for rounding or for GPUs. The other files of this folder are maths.

Speed
    Elementwise functions work in `blocks` of rows that stay in the processor's cache, in threads (`in_blocks`). Sums
    over rows are products with `row_of` ones, which BLAS computes five times as fast as `sum`. Few rows are multiplied
    in small products (`affine`). `normal_cdf` is a polynomial inside a tanh, as NumPy has no erf.
Rounding
    A float32 sum loses digits with its length, so `affine` cuts long sums into chunks. Row means lose precision in
    Fortran order, so `affine` returns arrays in C order.
GPUs
    The functions work on CuPy's arrays too. They call only what NumPy and CuPy share and make new arrays with `like`.
    Blocks and chunks of the CPU are left out there.

The tests hold each kernel to a plain version of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..runtime.threads import available_threads, has_small_products, map_in_threads
from .params import Array

# Elements of a block: 256 KB in float32, so that a block and its temporaries fit the second-level cache of a core. A
# chain of ufuncs over 4096 x 3072 elements takes less than half the time; smaller blocks pay for the calls instead.
BLOCK = 65_536

# Terms of a sum before it is rounded (`affine`), and the number for products whose rounding weighs most.
CHUNK = 512
FINE_CHUNK = 128
# Up to this many multiplications, OpenBLAS for AVX-512 has a routine that reads the matrices where they are, while the
# usual one copies each of them into another order first. With few rows, copying the weights is most of the work: with
# weights of 3072 x 768, small products take 1.0 ms instead of 2.0 over 8 rows, 3.3 instead of 4.8 over 64, and
# 6.7 instead of 7.7 over 128. The routine adds up one term after another. Over 8 rows, products of more outputs take a
# tenth longer.
SMALL_PRODUCT = 10**6
SMALL_ROWS = 128
SMALL_CHUNK = 256
SMALL_OUTPUTS = 192

# Shares of a product or of attention, per thread: a thread that another process holds up leaves its shares to the
# others. More than 2 gain nothing, and each copies all the rows into another order.
_SHARES = 2
# Multiplications that make a share worth it: 0.3 ms, against 0.05 ms to wake a thread, and more on a busy machine.
_SHARE = 16 * 10**6
# With few rows, reading the weights from memory takes as long as multiplying them with 12 rows. It counts as half of
# that, because the threads compete for the memory.
_ROWS_PER_READ = 6
# Up to 1200 outputs OpenBLAS adds up in another order, and a share must give the same bits as the whole.
_SHARE_OUTPUTS = 1280

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


def in_blocks(function: Callable[..., None], *arrays: Array) -> None:
    """Call a function with the same rows of several arrays (`blocks`), in the threads that are available."""
    map_in_threads(lambda block: function(*block), list(blocks(*arrays)))


def affine(inputs: Array, weight: Array, bias: Array, chunk: int = CHUNK) -> Array:
    """inputs @ weight.T + bias, in C order. Shapes: inputs (..., in), weight (out, in), bias (out,) -> (..., out).

    The product is a sum of products over chunks of the inputs. NumPy 2.4's OpenBLAS on AVX-512 adds up to 384 terms one
    after another, torch's MKL half as many, and whole products were 1.4 times as far from float64 as torch's
    (scripts/parity_report.py). Chunks of 512, which OpenBLAS halves by itself, take a twentieth more time and reduce
    that to 1.1; smaller chunks where rounding weighs most, to 1.05.
    """
    (outputs,) = affines([(inputs, weight, bias)], chunk)
    return outputs


def affines(maps: Sequence[tuple[Array, Array, Array]], chunk: int = CHUNK) -> list[Array]:
    """`affine` of several inputs, weights and biases, for which the threads are woken once."""
    outputs, work = [], 0
    shares: list[tuple[Callable[[slice], None], slice]] = []
    for inputs, weight, bias in maps:
        # One product over all rows: NumPy would otherwise make one per sequence.
        rows = inputs.reshape(-1, inputs.shape[-1])  # [..., in] -> [N, in]
        out = np.empty_like(rows, shape=(len(rows), len(weight)), order="C")  # [N, out]
        few = len(rows) == 1 or (1 < len(rows) <= SMALL_ROWS and is_host(rows) and has_small_products())
        fill = (_small_products if few else _products)(out, rows, weight, bias, chunk)
        shares += [(fill, part) for part in _shares(len(weight), len(rows), weight)]  # no sum runs along this axis
        work += _work(len(rows), weight)
        outputs.append(out.reshape(*inputs.shape[:-1], len(weight)))

    def compute(group: list[tuple[Callable[[slice], None], slice]]) -> None:
        for fill, part in group:
            fill(part)

    map_in_threads(compute, [shares] if work < _SHARE else [[share] for share in shares])
    return outputs


def _products(out: Array, rows: Array, weight: Array, bias: Array, chunk: int) -> Callable[[slice], None]:
    """The function that fills some columns of `out` with those of rows @ weight.T + bias."""
    first, *others = (slice(start, start + chunk) for start in range(0, rows.shape[1], chunk))

    def fill(part: slice) -> None:
        total, part_weight = out[:, part], weight[part]
        matmul_into(total, rows[:, first], part_weight[:, first].T)  # [N, in] @ [in, out] -> [N, out]
        products = [rows[:, cut] @ part_weight[:, cut].T for cut in others]
        for span in spans(total):
            block = total[span]
            for product in products:
                block += product[span]
            block += bias[part]

    return fill


def _small_products(out: Array, rows: Array, weight: Array, bias: Array, chunk: int) -> Callable[[slice], None]:
    """The same, by products that are small enough for OpenBLAS's routine. It needs the rows one next to the other."""
    count, terms = rows.shape
    if count == 1:  # the weights are not copied then, and OpenBLAS adds up in another way, as accurate without chunks
        chunk, most = terms, len(weight)
    else:
        chunk = _largest_divisor(terms, min(chunk, SMALL_CHUNK))
        most = max(16, min(SMALL_OUTPUTS, SMALL_PRODUCT // (count * chunk)) & ~15)
    columns = _transposed(rows).reshape(-1, 1, chunk, count)  # [in / chunk, 1, chunk, N]

    def fill(part: slice) -> None:
        start = part.start
        while start < part.stop:
            size = min(most, part.stop - start)  # of a product; the last may be smaller
            stop = part.stop - (part.stop - start) % size
            # [out, in] -> [in / chunk, out / size, size, chunk], for a single call: between calls the threads wait for
            # each other, as only one at a time runs Python.
            blocks = weight[start:stop].reshape(-1, size, len(columns), chunk).transpose(2, 0, 1, 3)
            total = (blocks @ columns).sum(axis=0).reshape(-1, count)  # [out, N]
            np.add(total.T, bias[start:stop], out=out[:, start:stop])
            start = stop

    return fill


def _largest_divisor(length: int, most: int) -> int:
    """Of a length, up to `most`; the length itself if all of those are tiny."""
    divisor = next(number for number in range(min(most, length), 0, -1) if length % number == 0)
    return divisor if divisor >= most // 4 else length


def _transposed(rows: Array) -> Array:
    """A copy of the transpose, (N, in) -> (in, N), made of 8 rows at a time.

    The starts of long rows are multiples of 4 KB apart, so that a core's first-level cache holds 8 of them at once.
    """
    columns = np.empty_like(rows, shape=rows.shape[::-1], order="C")
    for start in range(0, len(rows), 8):
        columns[:, start : start + 8] = rows[start : start + 8].T
    return columns


def _shares(length: int, rows: int, weight: Array) -> list[slice]:
    """Slices of an axis of a product, one for each share; a single one if the product is small.

    Args:
        length: of the axis.
        rows: that are multiplied with the weight.
        weight: (out, in).
    """
    if not is_host(weight):
        return [slice(0, length)]
    worth = _work(rows, weight) // _SHARE
    if rows > 1:
        worth = min(worth, rows * len(weight) // _SHARE_OUTPUTS)
    # Cut at multiples of 64, where OpenBLAS's kernels begin.
    return even_slices(length, _share_count(worth // available_threads()), 64)


def _work(rows: int, weight: Array) -> int:
    """The time that a product takes, as a number of multiplications."""
    return int(weight.size) * (rows + _ROWS_PER_READ)


def _share_count(per_thread: int) -> int:
    """The number of shares for work that is worth this many per thread."""
    threads = available_threads()
    return max(1, threads * min(_SHARES, per_thread)) if threads > 1 else 1


def even_slices(length: int, count: int, multiple: int = 1) -> list[slice]:
    """Cut an axis into slices of about the same length, at multiples of a number: `count` of them, or fewer if the axis
    is short."""
    borders = [*(length * number // count // multiple * multiple for number in range(count)), length]
    return [slice(*pair) for pair in pairwise(borders) if pair[0] < pair[1]]


def shares_of_heads(probabilities: Array) -> list[slice]:
    """Slices of the heads of attention, one for each share. Shapes: (B, A, Q, S)."""
    worth = 2 * probabilities.size // BLOCK if is_host(probabilities) else 0
    return even_slices(probabilities.shape[1], _share_count(worth))


def product(a: Array, b: Array) -> Array:
    """a @ b of two matrices, in shares. Shapes: (M, K), (K, N) -> (M, N)."""
    out = np.empty_like(a, shape=(len(a), b.shape[1]), order="C")
    map_in_threads(lambda part: matmul_into(out[part], a[part], b), _shares(len(a), len(a), b.T))
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
