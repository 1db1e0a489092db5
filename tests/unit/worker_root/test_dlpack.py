from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tritium_worker import dlpack
from tritium_worker.errors import TritonModelException
from tritium_worker.tensor import Tensor, input_tensor, wire_buffer


class Exporter:
    """Somebody else's tensor: only the two methods of the protocol."""

    def __init__(self, capsule: Any, device: tuple[int, int] = (1, 0)) -> None:
        self._capsule = capsule
        self._device = device

    def __dlpack__(self) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device


def bf16(raw: bytes) -> Tensor:
    return input_tensor("IN", "BF16", (len(raw) // 2,), memoryview(bytearray(raw)))


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_numbers_go_both_ways_without_a_copy(kind: str) -> None:
    array = np.arange(6).astype(kind).reshape(2, 3)
    back = Tensor.from_dlpack("OUT", Tensor("IN", array).to_dlpack())
    assert (back.name(), back.shape(), back.as_numpy().dtype) == ("OUT", [2, 3], array.dtype)
    assert np.shares_memory(back.as_numpy(), array)


def test_numpy_reads_a_tensor_by_the_protocol() -> None:
    array = np.arange(3, dtype=np.float32)
    assert np.shares_memory(np.from_dlpack(Tensor("IN", array)), array)


def test_an_object_with_the_protocol_becomes_a_tensor() -> None:
    exporter = Exporter(np.arange(3, dtype=np.int16).__dlpack__())
    assert Tensor.from_dlpack("OUT", exporter).as_numpy().tolist() == [0, 1, 2]


def test_a_plain_array_becomes_a_tensor() -> None:
    array = np.arange(3, dtype=np.int16)
    assert Tensor.from_dlpack("OUT", array).as_numpy() is array


def test_bf16_goes_both_ways() -> None:
    tensor = bf16(b"\x80\x3f\x00\x40")
    back = Tensor.from_dlpack("OUT", tensor.to_dlpack())
    assert wire_buffer(back) == ("BF16", (2,), memoryview(b"\x80\x3f\x00\x40"))
    assert wire_buffer(Tensor.from_dlpack("OUT", back))[0] == "BF16"


def test_strings_cannot_be_exported() -> None:
    tensor = Tensor("IN", np.array([b"a"], dtype=object))
    with pytest.raises(TritonModelException, match=r"^DLPack does not have support for string tensors\.$"):
        tensor.to_dlpack()


def test_other_objects_cannot_be_imported() -> None:
    with pytest.raises(
        TritonModelException, match=r"^Provided tensor is not supported\. Tensor must be a DLPack"
    ):
        Tensor.from_dlpack("OUT", [1, 2])


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(TritonModelException, match=r"^Tensor name cannot be an empty string\.$"):
        Tensor.from_dlpack("", np.arange(3).__dlpack__())


def test_only_row_major_memory_can_be_imported() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3).T
    with pytest.raises(TritonModelException, match=r"^DLPack tensor is not contiguous\. Only contiguous"):
        Tensor.from_dlpack("OUT", array.__dlpack__())


def test_other_devices_are_refused() -> None:
    with pytest.raises(TritonModelException, match=r"DLPack on a device other than the CPU is not available"):
        Tensor.from_dlpack("OUT", Exporter(None, device=(2, 0)))


def test_what_the_protocol_asks_for_and_cpu_memory_cannot_do_is_a_buffer_error() -> None:
    tensor = Tensor("IN", np.arange(3))
    assert tensor.__dlpack_device__() == (1, 0)
    for request in ({"stream": 1}, {"dl_device": (2, 0)}, {"copy": True}):
        with pytest.raises(BufferError, match="tensor 'IN'"):
            tensor.__dlpack__(**request)


def test_a_capsule_can_be_consumed_once() -> None:
    capsule = Tensor("IN", np.arange(3)).to_dlpack()
    Tensor.from_dlpack("OUT", capsule)
    with pytest.raises(TritonModelException, match="unused DLPack capsule"):
        Tensor.from_dlpack("OUT", capsule)


def test_elements_that_numpy_cannot_hold_are_refused() -> None:
    capsule = np.arange(3, dtype=np.uint32).__dlpack__()
    dlpack._head(capsule).code = 99
    with pytest.raises(TritonModelException, match="cannot read this DLPack tensor"):
        Tensor.from_dlpack("OUT", capsule)


def test_a_read_only_array_is_exported_as_a_copy() -> None:
    array = np.arange(3)
    array.flags.writeable = False
    back = Tensor.from_dlpack("OUT", Tensor("IN", array))
    assert back.as_numpy().tolist() == [0, 1, 2]
    assert not np.shares_memory(back.as_numpy(), array)


def test_a_capsule_of_another_device_is_refused() -> None:
    capsule = np.arange(3).__dlpack__()
    dlpack._head(capsule).device_type = 2
    with pytest.raises(TritonModelException, match=r"DLPack on a device other than the CPU is not available"):
        Tensor.from_dlpack("OUT", capsule)


def test_an_old_numpy_says_that_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    capsule = np.arange(3).__dlpack__()
    monkeypatch.delattr(np, "from_dlpack")
    with pytest.raises(TritonModelException, match=r"needs numpy 1\.23 or later\) is not available"):
        Tensor.from_dlpack("OUT", capsule)
