from __future__ import annotations

import json
import math
import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tritium.core.tensor import DataType, Tensor, encode_bytes
from tritium.errors import InvalidArgumentError
from tritium.protocol.json_elements import decode_elements, encode_elements

IN_JSON = [t for t in DataType if t not in (DataType.FP16, DataType.BF16, DataType.BYTES)]
NUMBER = "Unable to parse 'data': attempt to access JSON non-number as double"
SIGNED = "Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer"
UNSIGNED = "Unable to parse 'data': attempt to access JSON non-unsigned-integer as unsigned-integer"
COUNT = "Unable to parse 'data': Shape does not match true shape of 'data' field"


def decode(datatype: str, raw: str, shape: tuple[int, ...]) -> list[Any]:
    """The elements, which must be the same whether the JSON was parsed before or not."""
    found = decode_elements("IN", DataType(datatype), shape, msgspec.Raw(raw.encode()))
    again = decode_elements("IN", DataType(datatype), shape, json.loads(raw))
    assert bytes(found.buffer) == bytes(again.buffer)
    elements: list[Any] = found.array().tolist()
    return elements


@pytest.mark.parametrize(
    ("datatype", "raw", "elements"),
    [
        ("FP32", "[1,2.5,-0.0]", [1.0, 2.5, -0.0]),
        ("FP64", "[1e300,3]", [1e300, 3.0]),
        ("FP32", "[Infinity,-Infinity,1e39]", [math.inf, -math.inf, math.inf]),
        ("BOOL", "[true,false]", [True, False]),
        ("INT8", "[200,-128,127]", [-56, -128, 127]),
        ("UINT8", "[256,255]", [0, 255]),
        ("INT32", "[2147483648]", [-2147483648]),
        ("UINT16", "[65537]", [1]),
        ("INT64", "[9223372036854775807]", [9223372036854775807]),
        ("UINT64", "[18446744073709551615]", [18446744073709551615]),
        ("BYTES", '["a","","grün","\\u0000"]', [b"a", b"", "grün".encode(), b"\0"]),
    ],
)
def test_elements_are_read(datatype: str, raw: str, elements: list[Any]) -> None:
    assert decode(datatype, raw, (len(elements),)) == elements


def test_not_a_number_is_read() -> None:
    assert math.isnan(decode("FP32", "[NaN]", (1,))[0])


@pytest.mark.parametrize("raw", ["[1,2,3,4]", "[[1,2],[3,4]]", "[[1,2],[3,[4]]]", "[[[[1]]],2,[],[3,4]]"])
def test_nesting_is_flattened_and_not_compared_with_the_shape(raw: str) -> None:
    assert decode("INT32", raw, (2, 2)) == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("datatype", "raw", "text"),
    [
        ("FP32", '["1"]', NUMBER),
        ("FP32", "[true]", NUMBER),
        ("FP32", "[null]", NUMBER),
        ("INT32", "[1.0]", SIGNED),
        ("INT32", "[true]", SIGNED),
        ("INT64", "[9223372036854775808]", SIGNED),
        ("INT64", "[99999999999999999999999999]", SIGNED),
        ("UINT8", "[-1]", UNSIGNED),
        ("UINT64", "[18446744073709551616]", UNSIGNED),
        ("BOOL", "[1]", "Unable to parse 'data': attempt to access JSON non-boolean as boolean"),
        ("BYTES", "[1]", "Unable to parse JSON bytes array: attempt to access JSON non-string as string"),
        ("FP32", "1", "Unable to parse 'data': attempt to access JSON non-array as array"),
        ("FP32", '{"a":1}', "Unable to parse 'data': attempt to access JSON non-array as array"),
        ("FP32", "[]", COUNT),
        ("FP32", "[1,2]", COUNT),
        ("BYTES", '["a","b"]', COUNT),
        (
            "FP16",
            "[1]",
            "receiving FP16 data via JSON is not supported. Please use the binary data format for input IN",
        ),
        (
            "BF16",
            "[1]",
            "receiving BF16 data via JSON is not supported. Please use the binary data format for input IN",
        ),
    ],
)
def test_other_elements_are_refused_in_tritons_words(datatype: str, raw: str, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        decode(datatype, raw, (1,))
    assert str(caught.value) == text


@pytest.mark.parametrize("as_raw", [True, False])
def test_nesting_is_bounded_whoever_parsed_it(as_raw: bool) -> None:
    raw = "[" * 101 + "1" + "]" * 101
    data = msgspec.Raw(raw.encode()) if as_raw else json.loads(raw)
    with pytest.raises(InvalidArgumentError, match="JSON nesting depth exceeds maximum allowed limit"):
        decode_elements("IN", DataType.FP32, (1,), data)


def test_a_number_too_big_for_a_double_is_refused_and_not_a_fault() -> None:
    with pytest.raises(InvalidArgumentError, match="Number too big to be stored in double"):
        decode_elements("IN", DataType.FP32, (1,), msgspec.Raw(b"[" + b"9" * 400 + b"]"))


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array([[1, 2], [3, 4]], np.int32), b"[1,2,3,4]"),
        (np.array([3], np.float32), b"[3.0]"),
        (np.array([0.1], np.float32), b"[0.10000000149011612]"),
        (np.array([-0.0]), b"[-0.0]"),
        (np.array([1e300]), b"[1e300]"),
        (np.array([np.nan, np.inf, -np.inf, 1.5]), b"[NaN,Infinity,-Infinity,1.5]"),
        (np.array([True, False]), b"[true,false]"),
        (np.array([2**64 - 1], np.uint64), b"[18446744073709551615]"),
        (np.array([], np.float32), b"[]"),
        (np.array(["a", 'q"', "grün"]), '["a","q\\"","grün"]'.encode()),
        (np.array([b"\xff", b"a"], object), b'["\xff","a"]'),
    ],
)
def test_outputs_are_flat_compact_json(array: np.ndarray[Any, Any], text: bytes) -> None:
    assert encode_elements(Tensor.from_array("OUT", array)) == text


@pytest.mark.parametrize("datatype", [DataType.FP16, DataType.BF16])
def test_half_floats_go_out_in_binary_only(datatype: DataType) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        encode_elements(Tensor("OUT", datatype, (1,), b"\0\0"))
    assert str(caught.value) == (
        f"sending {datatype.value} data via JSON is not supported. "
        "Please use the binary data format for output"
    )


def test_booleans_other_than_one_are_true() -> None:
    assert encode_elements(Tensor("OUT", DataType.BOOL, (2,), b"\x00\x07")) == b"[false,true]"


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(IN_JSON), st.data())
def test_what_is_written_is_read_as_the_same_bytes(datatype: DataType, data: st.DataObject) -> None:
    array = data.draw(
        hnp.arrays(datatype.numpy, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
    )
    tensor = Tensor.from_array("T", array, datatype)
    back = decode_elements("T", datatype, array.shape, msgspec.Raw(encode_elements(tensor)))
    assert back.shape == tensor.shape
    np.testing.assert_array_equal(back.array(), array)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=8), max_size=5))
def test_strings_that_are_written_are_read_as_the_same(texts: list[str]) -> None:
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    tensor = Tensor("T", DataType.BYTES, (len(texts),), encode_bytes(array))
    back = decode_elements("T", DataType.BYTES, tensor.shape, msgspec.Raw(encode_elements(tensor)))
    assert bytes(back.buffer) == tensor.buffer


def test_little_endian_is_written_whatever_the_number() -> None:
    found = decode_elements("IN", DataType.INT16, (1,), msgspec.Raw(b"[258]"))
    assert bytes(found.buffer) == struct.pack("<h", 258)
