from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tritium.core.tensor import (
    CONFIG_DATATYPES,
    DATATYPES,
    DataType,
    Tensor,
    datatype_of,
    decode_bytes,
    encode_bytes,
)
from tritium.errors import InternalError, InvalidArgumentError

NUMBERS = [t for t in DataType if t is not DataType.BYTES]


@pytest.mark.parametrize(
    ("datatype", "config_name", "itemsize"),
    [
        ("BOOL", "TYPE_BOOL", 1),
        ("UINT8", "TYPE_UINT8", 1),
        ("UINT16", "TYPE_UINT16", 2),
        ("UINT32", "TYPE_UINT32", 4),
        ("UINT64", "TYPE_UINT64", 8),
        ("INT8", "TYPE_INT8", 1),
        ("INT16", "TYPE_INT16", 2),
        ("INT32", "TYPE_INT32", 4),
        ("INT64", "TYPE_INT64", 8),
        ("FP16", "TYPE_FP16", 2),
        ("FP32", "TYPE_FP32", 4),
        ("FP64", "TYPE_FP64", 8),
        ("BYTES", "TYPE_STRING", 0),
        ("BF16", "TYPE_BF16", 2),
    ],
)
def test_datatypes_have_names_on_the_wire_and_in_configurations(
    datatype: str, config_name: str, itemsize: int
) -> None:
    found = DATATYPES[datatype]
    assert found.config_name == config_name
    assert CONFIG_DATATYPES[config_name] is found
    assert found.itemsize == itemsize


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers_are_little_endian_in_wire_form(datatype: DataType) -> None:
    array = np.array([[1, 0], [1, 1]], dtype=datatype.numpy)
    tensor = Tensor.from_array("T", array, datatype)
    assert bytes(tensor.buffer) == array.astype(datatype.numpy.newbyteorder("<")).tobytes()
    assert tensor.nbytes == 4 * datatype.itemsize
    assert tensor.shape == (2, 2)
    assert np.array_equal(tensor.array(), array)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(NUMBERS), st.data())
def test_any_array_comes_back_from_its_wire_form(datatype: DataType, data: st.DataObject) -> None:
    array = data.draw(hnp.arrays(datatype.numpy, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)))
    back = Tensor.from_array("T", array, datatype).array()
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=20)))
def test_any_byte_strings_come_back_from_their_wire_form(elements: list[bytes]) -> None:
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    tensor = Tensor.from_array("T", array)
    assert tensor.datatype is DataType.BYTES
    assert tensor.array().tolist() == elements


def test_a_contiguous_array_is_not_copied() -> None:
    array = np.arange(4, dtype=np.float32)
    tensor = Tensor.from_array("T", array)
    array[0] = 9
    assert struct.unpack_from("<f", tensor.buffer) == (9.0,)


@pytest.mark.parametrize(
    "array", [np.arange(6, dtype=">i4").reshape(2, 3), np.arange(6, dtype="<i4").reshape(3, 2).T]
)
def test_other_memory_orders_become_row_major_and_little_endian(array: np.ndarray[Any, Any]) -> None:
    tensor = Tensor.from_array("T", array)
    assert tensor.datatype is DataType.INT32
    assert bytes(tensor.buffer) == struct.pack("<6i", *array.reshape(-1).tolist())


def test_a_scalar_has_an_empty_shape() -> None:
    tensor = Tensor.from_array("T", np.array(2.5))
    assert (tensor.datatype, tensor.shape, tensor.array().shape) == (DataType.FP64, (), ())


@pytest.mark.parametrize(
    ("array", "elements"),
    [
        (np.array([b"a", b"bc"]), [b"a", b"bc"]),
        (np.array(["grün", ""]), ["grün".encode(), b""]),
        (np.array(["x", 7, b"\xff"], dtype=object), [b"x", b"7", b"\xff"]),
    ],
)
def test_strings_of_every_kind_are_bytes(array: np.ndarray[Any, Any], elements: list[bytes]) -> None:
    assert decode_bytes(encode_bytes(array), "T").tolist() == elements


def test_byte_strings_keep_their_shape() -> None:
    array = np.array([[b"a", b"b"], [b"c", b""]], dtype=object)
    assert Tensor.from_array("T", array).array().tolist() == array.tolist()


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]", "V4"])
def test_dtypes_that_no_client_knows_are_refused(dtype: str) -> None:
    with pytest.raises(InternalError, match="has no counterpart in the v2 protocol"):
        datatype_of(np.dtype(dtype))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (
            b"\x01\x00",
            "incomplete string length indicator for tensor 'T', expecting 4 bytes but only 2 bytes available",
        ),
        (
            b"\x09\x00\x00\x00ab",
            "incomplete string data for tensor 'T', expecting string of length 9 but only 2 bytes available",
        ),
    ],
)
def test_byte_strings_that_are_cut_short_are_refused(raw: bytes, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        decode_bytes(raw, "T")
    assert str(caught.value) == text
