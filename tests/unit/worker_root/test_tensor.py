from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tritium_worker.errors import TritonModelException
from tritium_worker.tensor import Tensor, input_tensor, wire_buffer

DTYPES: list[tuple[str, Any, list[Any]]] = [
    ("BOOL", np.bool_, [True, False, True, True]),
    ("UINT8", np.uint8, [0, 1, 200, 255]),
    ("UINT16", np.uint16, [0, 1, 2, 65535]),
    ("UINT32", np.uint32, [0, 1, 2, 4294967295]),
    ("UINT64", np.uint64, [0, 1, 2, 18446744073709551615]),
    ("INT8", np.int8, [-128, 0, 1, 127]),
    ("INT16", np.int16, [-32768, 0, 1, 32767]),
    ("INT32", np.int32, [-2147483648, 0, 1, 2147483647]),
    ("INT64", np.int64, [-9223372036854775808, 0, 1, 9223372036854775807]),
    ("FP16", np.float16, [-1.5, 0.0, 1.0, 65504.0]),
    ("FP32", np.float32, [-1.5, 0.0, 1.0, 3e38]),
    ("FP64", np.float64, [-1.5, 0.0, 1.0, 1e308]),
    ("BYTES", np.object_, [b"", b"a", b"\x00\xff", "schön".encode()]),
]


def received(datatype: str, shape: tuple[int, ...], raw: bytes) -> Tensor:
    return input_tensor("IN", datatype, shape, memoryview(bytearray(raw)))


@pytest.mark.parametrize(("datatype", "kind", "values"), DTYPES)
def test_every_dtype_survives_the_wire(datatype: str, kind: Any, values: list[Any]) -> None:
    array = np.array(values, dtype=kind).reshape(2, 2)
    sent_type, sent_shape, buffer = wire_buffer(Tensor("OUT", array))
    assert (sent_type, sent_shape) == (datatype, (2, 2))
    arrived = received(sent_type, sent_shape, bytes(buffer)).as_numpy()
    assert arrived.dtype == array.dtype
    assert arrived.tolist() == array.tolist()


@pytest.mark.parametrize(("datatype", "kind", "values"), DTYPES)
@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0)])
def test_every_dtype_may_be_empty(
    datatype: str, kind: Any, values: list[Any], shape: tuple[int, ...]
) -> None:
    sent_type, sent_shape, buffer = wire_buffer(Tensor("OUT", np.zeros(shape, dtype=kind)))
    assert (sent_type, sent_shape, len(buffer)) == (datatype, shape, 0)
    assert received(sent_type, sent_shape, b"").as_numpy().shape == shape


@pytest.mark.parametrize(("datatype", "kind", "values"), DTYPES)
def test_every_dtype_may_be_a_scalar(datatype: str, kind: Any, values: list[Any]) -> None:
    array = np.array(values[3], dtype=kind)
    sent_type, sent_shape, buffer = wire_buffer(Tensor("OUT", array))
    assert (sent_type, sent_shape) == (datatype, ())
    assert received(sent_type, (), bytes(buffer)).as_numpy()[()] == array[()]


def test_the_wire_form_is_little_endian_whatever_the_array_is() -> None:
    tensor = Tensor("OUT", np.array([1, 258], dtype=">u2"))
    assert wire_buffer(tensor) == ("UINT16", (2,), memoryview(b"\x01\x00\x02\x01"))
    assert tensor.as_numpy().tolist() == [1, 258]


def test_arrays_of_s_travel_as_bytes() -> None:
    assert wire_buffer(Tensor("OUT", np.array([b"ab", b"c"]))) == (
        "BYTES",
        (2,),
        memoryview(b"\x02\x00\x00\x00ab\x01\x00\x00\x00c"),
    )


def test_objects_that_are_not_bytes_travel_as_their_text() -> None:
    array = np.array(["ö", 3], dtype=object)
    assert bytes(wire_buffer(Tensor("OUT", array))[2]) == b"\x02\x00\x00\x00\xc3\xb6\x01\x00\x00\x003"


def test_answers_what_triton_answers_about_a_tensor() -> None:
    tensor = Tensor("OUT", np.zeros((2, 3), dtype=np.float32))
    assert (tensor.name(), tensor.shape(), tensor.triton_dtype(), tensor.is_cpu()) == (
        "OUT",
        [2, 3],
        11,
        True,
    )


def test_a_contiguous_array_is_not_copied_on_its_way_out() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = Tensor("OUT", array)
    assert tensor.as_numpy() is array
    assert np.shares_memory(np.frombuffer(wire_buffer(tensor)[2], np.uint8), array)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int32).reshape(2, 3).T,
        np.arange(12, dtype=np.int32)[::2],
        np.broadcast_to(np.int32(7), (2, 2)),
        np.broadcast_to(np.int32(7), (1,)),
    ],
)
def test_an_array_in_another_order_is_sent_row_major(array: np.ndarray[Any, Any]) -> None:
    tensor = Tensor("OUT", array)
    assert tensor.as_numpy().flags.c_contiguous
    assert bytes(wire_buffer(tensor)[2]) == array.tobytes()


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.zeros(2, dtype=np.complex64), np.zeros(1, "datetime64[s]")]
)
def test_dtypes_that_triton_does_not_have_are_refused(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(TritonModelException, match=r"^NumPy dtype is not supported\.$"):
        Tensor("OUT", array)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(TritonModelException, match=r"^Tensor name cannot be an empty string\.$"):
        Tensor("", np.zeros(1, dtype=np.float32))


def test_a_list_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"Tensor\('OUT'\): expected a numpy\.ndarray, got list; wrap the values"
    ):
        Tensor("OUT", [1.0])  # type: ignore[arg-type]


def test_an_input_is_decoded_once_and_is_writable() -> None:
    buffer = bytearray(8)
    tensor = input_tensor("IN", "FP32", (1, 2), memoryview(buffer))
    array = tensor.as_numpy()
    assert tensor.as_numpy() is array
    array[0, 1] = 1.0
    assert bytes(buffer) == b"\x00\x00\x00\x00\x00\x00\x80\x3f"


def test_an_input_passed_on_as_an_array_is_not_copied() -> None:
    buffer = memoryview(bytearray(64))
    passed_on = Tensor("OUT", input_tensor("IN", "FP32", (1, 16), buffer).as_numpy())
    assert np.shares_memory(
        np.frombuffer(wire_buffer(passed_on)[2], np.uint8), np.frombuffer(buffer, np.uint8)
    )


@pytest.mark.parametrize("looked_at", [False, True])
def test_an_input_passed_on_as_a_tensor_keeps_its_buffer(looked_at: bool) -> None:
    buffer = memoryview(bytearray(8))
    tensor = input_tensor("IN", "INT64", (1,), buffer)
    if looked_at:
        tensor.as_numpy()
    assert wire_buffer(tensor) == ("INT64", (1,), buffer)
    assert wire_buffer(tensor)[2] is buffer


def test_strings_that_nobody_looked_at_are_passed_on_as_they_came() -> None:
    buffer = memoryview(bytearray(b"\x01\x00\x00\x00a"))
    assert wire_buffer(input_tensor("IN", "BYTES", (1,), buffer))[2] is buffer


def test_strings_that_the_model_changed_in_place_are_sent_changed() -> None:
    tensor = received("BYTES", (1,), b"\x01\x00\x00\x00a")
    tensor.as_numpy()[0] = b"bc"
    assert bytes(wire_buffer(tensor)[2]) == b"\x02\x00\x00\x00bc"


def test_bf16_is_not_for_numpy_but_can_be_passed_on() -> None:
    tensor = received("BF16", (2,), b"\x80\x3f\x00\x40")
    with pytest.raises(TritonModelException) as raised:
        tensor.as_numpy()
    assert str(raised.value) == (
        "Tensor dtype is BF16 and cannot be converted to NumPy. Use to_dlpack() and from_dlpack() instead."
    )
    assert (tensor.triton_dtype(), tensor.shape()) == (14, [2])
    assert wire_buffer(tensor) == ("BF16", (2,), memoryview(b"\x80\x3f\x00\x40"))
