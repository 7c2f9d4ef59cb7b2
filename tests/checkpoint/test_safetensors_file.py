import io
import json
import random
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from distilroberta_np import CheckpointError
from distilroberta_np.checkpoint.safetensors_file import open_safetensors, write_safetensors
from tests.support.seeded import draw, safetensors_bytes, stored, with_header

TENSORS = {"a": draw(0, 3, 4), "b": draw(1, 5), "c": np.float32([[1.0]]), "d": draw(2, 2, 1, 3)}
VALID = safetensors_bytes(TENSORS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def opened(path, content):
    path.write_bytes(content)
    return {name: tensor.to_float32() for name, tensor in open_safetensors(path).items()}


def entry(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_float32_is_a_read_only_view_of_the_file(path):
    arrays = opened(path, VALID)
    assert list(arrays) == list(TENSORS)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, TENSORS[name])
        assert array.dtype == np.float32
        assert not array.flags.writeable
        assert not array.flags.owndata
    again = open_safetensors(path)["a"]
    assert np.shares_memory(again.to_float32(), again.to_float32())


def test_float16_is_widened(path):
    for name, array in opened(path, safetensors_bytes(TENSORS, "F16")).items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, TENSORS[name].astype(np.float16).astype(np.float32))


def test_bfloat16_is_widened_bit_for_bit(path):
    values = np.float32([0.0, -0.0, 1.0, -1.5, 3.140625, 2.0**-126, 2.0**-130, 3.3895314e38, -3.3895314e38])
    (array,) = opened(path, safetensors_bytes({"a": values}, "BF16")).values()
    np.testing.assert_array_equal(array.view(np.uint32), values.view(np.uint32))
    for name, array in opened(path, safetensors_bytes(TENSORS, "BF16")).items():
        np.testing.assert_allclose(array, TENSORS[name], rtol=2**-8)
        assert (array.view(np.uint32) & 0xFFFF == 0).all()


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_data_that_lies_unaligned_is_read_right(path, dtype):
    first, second = stored(TENSORS["a"], dtype), stored(TENSORS["b"], dtype)
    header = {
        "odd": entry([1], 0, 1, "U8"),
        "a": entry([3, 4], 1, 1 + len(first), dtype),
        "b": entry([5], 1 + len(first), 1 + len(first) + len(second), dtype),
    }
    path.write_bytes(with_header(header, b"x" + first + second))
    tensors = open_safetensors(path)
    array = tensors["a"].to_float32()
    np.testing.assert_allclose(array, TENSORS["a"], rtol=2**-8)
    assert array.flags.aligned
    assert array.dtype == np.float32
    with pytest.raises(CheckpointError, match="odd has the dtype U8"):
        tensors["odd"].to_float32()


def test_metadata_and_empty_tensors_do_no_harm(path):
    data = stored(TENSORS["b"], "F32")
    header = {"__metadata__": {"format": "pt"}, "b": entry([5], 0, 20), "none": entry([0, 7], 20, 20)}
    arrays = opened(path, with_header(header, data))
    assert list(arrays) == ["b", "none"]
    assert arrays["none"].shape == (0, 7)


@pytest.mark.parametrize("dtype", ["F64", "I64", "I8"])
def test_other_dtypes_are_refused_when_they_are_asked_for(path, dtype):
    path.write_bytes(safetensors_bytes({"a": TENSORS["a"]}, dtype))
    tensors = open_safetensors(path)
    with pytest.raises(CheckpointError, match=f"a has the dtype {dtype}; only F32, F16, BF16 are supported"):
        tensors["a"].to_float32()


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "BOOL", "U8"])
def test_dtypes_of_one_byte_are_refused(path, dtype):
    path.write_bytes(with_header({"a": entry([4], 0, 4, dtype)}, b"\0\1\0\1"))
    with pytest.raises(CheckpointError, match=dtype):
        open_safetensors(path)["a"].to_float32()


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 500, 999])
def test_nan_and_infinity_are_found_wherever_they_are(path, dtype, bad, place):
    values = np.zeros(1000, np.float32)
    values[place] = bad
    path.write_bytes(with_header({"a": entry([1000], 0, len(stored(values, dtype)), dtype)}, bits(values, dtype)))
    tensors = open_safetensors(path)
    with pytest.raises(CheckpointError, match="a contains NaN or infinity"):
        tensors["a"].to_float32()


def bits(values, dtype):
    # Rounding would carry a NaN's bits over.
    return (values.view(np.uint32) >> 16).astype("<u2").tobytes() if dtype == "BF16" else stored(values, dtype)


def test_plus_and_minus_infinity_do_not_hide_each_other(path):
    path.write_bytes(safetensors_bytes({"a": np.float32([np.inf, 1, -np.inf])}))
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        open_safetensors(path)["a"].to_float32()


def test_the_largest_finite_numbers_are_taken_though_their_sum_overflows(path):
    values = np.full(9, np.finfo(np.float32).max)
    np.testing.assert_array_equal(opened(path, safetensors_bytes({"a": values}))["a"], values)


@pytest.mark.parametrize("length", [*range(9), len(VALID) // 2, len(VALID) - 1])
def test_a_file_cut_short_is_refused_and_the_way_out_is_named(path, length):
    path.write_bytes(VALID[:length])
    with pytest.raises(CheckpointError, match=rf"model\.safetensors \({length} bytes\).*delete it"):
        open_safetensors(path)


HEADER = json.loads(VALID[8 : 8 + struct.unpack("<Q", VALID[:8])[0]])
DATA = b"".join(stored(values, "F32") for values in TENSORS.values())
HOSTILE = {
    "too much data": VALID + b"x",
    "header length 2^63": struct.pack("<Q", 2**63) + VALID[8:],
    "header length 2^64 - 1": struct.pack("<Q", 2**64 - 1) + VALID[8:],
    "header length beyond the file": struct.pack("<Q", len(VALID)) + VALID[8:],
    "header length of a gigabyte": struct.pack("<Q", 2**30) + VALID[8:],
    "header length 0": struct.pack("<Q", 0) + VALID[8:],
    "header is no JSON": with_header(b"nonsense"),
    "header is not UTF-8": with_header(b'{"\xff": 1}'),
    "header is a list": with_header([]),
    "header is a number": with_header(5),
    "header is null": with_header(None),
    "header is deep": with_header(b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "entry is deep": with_header(b'{"a": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}"),
    "entry is null": with_header({"a": None}),
    "entry lacks its offsets": with_header({"a": {"dtype": "F32", "shape": [1]}}, b"1234"),
    "entry lacks its shape": with_header({"a": {"dtype": "F32", "data_offsets": [0, 4]}}, b"1234"),
    "entry lacks its dtype": with_header({"a": {"shape": [1], "data_offsets": [0, 4]}}, b"1234"),
    "dtype unknown": with_header({"a": entry([1], 0, 4, "F33")}, b"1234"),
    "dtype no string": with_header({"a": entry([1], 0, 4, 32)}, b"1234"),
    "shape negative": with_header({"a": entry([-1], 0, 4)}, b"1234"),
    "shape a string": with_header({"a": entry("1", 0, 4)}, b"1234"),
    "shape a fraction": with_header({"a": entry([1.5], 0, 4)}, b"1234"),
    "shape overflows": with_header({"a": entry([2**40, 2**40], 0, 4)}, b"1234"),
    "shape overflows to nothing": with_header({"a": entry([2**32, 2**32], 0, 0)}),
    "shape of 2^80": with_header({"a": entry([2**80], 0, 4)}, b"1234"),
    "shape larger than its data": with_header({"a": entry([2], 0, 4)}, b"1234"),
    "shape smaller than its data": with_header({"a": entry([1], 0, 8)}, b"12345678"),
    "offsets behind the end": with_header({"a": entry([1], 4, 8)}, b"1234"),
    "offsets backwards": with_header({"a": entry([1], 4, 0)}, b"1234"),
    "offsets negative": with_header({"a": entry([1], -4, 0)}, b"1234"),
    "offsets of 2^64 - 4": with_header({"a": entry([1], 2**64 - 4, 2**64 - 1)}, b"1234"),
    "offsets one too many": with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}, b"1234"),
    "offsets overlap": with_header({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, b"123456789012"),
    "offsets twice the same": with_header({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, b"1234"),
    "offsets leave a gap": with_header({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, b"123456789012"),
    "offsets begin with a gap": with_header({"a": entry([1], 4, 8)}, b"12345678"),
    "metadata no object": with_header({"__metadata__": 5, **HEADER}, DATA),
    "metadata no strings": with_header({"__metadata__": {"a": [1]}, **HEADER}, DATA),
    "a name twice": with_header(
        json.dumps(HEADER).encode()[:-1] + b', "a": ' + json.dumps(HEADER["a"]).encode() + b"}", DATA
    ),
    "a field twice": with_header(
        b'{"a": {"dtype": "F16", "dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', b"1234"
    ),
    "a pickle": b"\x80\x02}q\x00.",
    "a zip": b"PK\x03\x04" + b"\0" * 100,
    "zeros": b"\0" * 1000,
    "a git-lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 331055963\n",
    "a page of the web": b"<!DOCTYPE html><html></html>",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_by_name(path, content):
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        open_safetensors(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_the_hostile_files_differ_from_the_valid_one_in_one_thing(path):
    assert list(opened(path, with_header(HEADER, DATA))) == list(TENSORS)


def test_no_file_and_a_folder(path):
    with pytest.raises(CheckpointError, match="no such file"):
        open_safetensors(path)
    path.mkdir()
    with pytest.raises(CheckpointError, match="not a regular file"):
        open_safetensors(path)


def test_damaged_bytes_give_our_error_or_finite_arrays_of_the_right_size(path):
    rng, refused, header_end = random.Random(0), 0, 8 + struct.unpack("<Q", VALID[:8])[0]
    for round_ in range(800):
        content = bytearray(VALID)
        for _ in range(rng.randint(1, 3)):
            # Half of them in the header, where the danger is.
            place = rng.randrange(header_end if round_ % 2 else len(content))
            kind = rng.randrange(3)
            if kind == 0:
                content[place] = rng.randrange(256)
            elif kind == 1:
                content[place] = rng.choice(b'0123456789,:"{}[]-.eFBIU')
            else:
                del content[place : place + rng.randint(1, 8)]
        path.write_bytes(content)
        try:
            tensors = open_safetensors(path)
            arrays = {name: tensor.to_float32() for name, tensor in tensors.items()}
        except CheckpointError as error:
            assert str(path) in str(error)
            refused += 1
            continue
        for name, array in arrays.items():
            assert array.dtype == np.float32
            assert array.shape == tensors[name].shape
            assert np.isfinite(array).all()
    assert 300 < refused < 800


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_is_written_is_what_the_safetensors_package_writes(dtype):
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.normal(size=shape).astype(dtype) for name, shape in {"a": (3, 5), "b é": (), "c": (0,)}.items()
    }
    tensors["d"] = np.asfortranarray(rng.normal(size=(4, 2)).astype(dtype))
    for metadata in (None, {"format": "pt"}):
        file = io.BytesIO()
        write_safetensors(file, tensors, metadata)
        assert file.getvalue() == save(
            {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in tensors.items()}, metadata
        )


def test_a_header_of_a_million_tensors_is_refused_at_once(path):
    header = json.dumps({f"tensor {index}": entry([0], 0, 0) for index in range(150_000)}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(CheckpointError, match=r"a header of .* bytes, which no RoBERTa needs"):
        open_safetensors(path)
