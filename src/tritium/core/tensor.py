"""Tensors as clients send them: a name, a datatype, a shape and a buffer in wire form."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from tritium.errors import InternalError, InvalidArgumentError

Array = npt.NDArray[Any]
Buffer = bytes | bytearray | memoryview

_LENGTH = struct.Struct("<I")


class DataType(Enum):
    """The datatypes of the v2 protocol. The value is the name on the wire (``FP32``)."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"
    BF16 = "BF16"

    itemsize: int  # bytes of one element; 0 for BYTES, whose elements vary
    numpy: np.dtype[Any]  # little-endian; BF16 travels as uint16, BYTES as object

    @property
    def config_name(self) -> str:
        """The name in config.pbtxt (``TYPE_FP32``; BYTES is ``TYPE_STRING``)."""
        return "TYPE_STRING" if self is DataType.BYTES else f"TYPE_{self.value}"


_NUMPY = {
    DataType.BOOL: "bool",
    DataType.FP16: "<f2",
    DataType.FP32: "<f4",
    DataType.FP64: "<f8",
    DataType.BYTES: "object",
    DataType.BF16: "<u2",
    **{t: f"<{t.value[0].lower()}{int(t.value.lstrip('UINT')) // 8}" for t in DataType if "INT" in t.value},
}
for _type in DataType:
    _type.numpy = np.dtype(_NUMPY[_type])
    _type.itemsize = 0 if _type is DataType.BYTES else _type.numpy.itemsize

DATATYPES = {t.value: t for t in DataType}
CONFIG_DATATYPES = {t.config_name: t for t in DataType}
_FROM_NUMPY = {t.numpy: t for t in DataType if t is not DataType.BF16}


@dataclass(slots=True)
class Tensor:
    """One named tensor.

    ``buffer`` is little-endian, row-major and contiguous; for BYTES each element is a uint32 length and its
    bytes. It is a view of what was received, or of what a model returned: nobody may write to it.
    """

    name: str
    datatype: DataType
    shape: tuple[int, ...]
    buffer: Buffer

    @classmethod
    def from_array(cls, name: str, array: Array, datatype: DataType | None = None) -> Tensor:
        """A tensor over ``array``; no copy where it is contiguous and little-endian.

        Raises:
            InternalError: the array's dtype has no counterpart in the protocol.
        """
        if datatype is None:
            datatype = datatype_of(array.dtype)
        if datatype is DataType.BYTES:
            return cls(name, datatype, array.shape, encode_bytes(array))
        contiguous = np.ascontiguousarray(array, dtype=datatype.numpy)
        return cls(name, datatype, array.shape, contiguous.reshape(-1).view(np.uint8).data)

    def array(self) -> Array:
        """The elements with this tensor's shape; a read-only view, except for BYTES, which is decoded."""
        if self.datatype is DataType.BYTES:
            return decode_bytes(self.buffer, self.name).reshape(self.shape)
        return np.frombuffer(self.buffer, dtype=self.datatype.numpy).reshape(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in wire form."""
        return len(self.buffer)


def datatype_of(dtype: np.dtype[Any]) -> DataType:
    """The protocol's datatype of a numpy dtype (any kind of string is BYTES).

    Raises:
        InternalError: there is none (complex, datetime, structured).
    """
    if dtype.kind in "OSU":
        return DataType.BYTES
    found = _FROM_NUMPY.get(dtype.newbyteorder("<"))
    if found is None:
        raise InternalError(f"numpy dtype '{dtype}' has no counterpart in the v2 protocol")
    return found


def encode_bytes(array: Array) -> bytes:
    """BYTES elements in wire form: per element a little-endian uint32 length and the bytes, row-major."""
    parts: list[bytes] = []
    for element in array.reshape(-1).tolist():
        raw = element if isinstance(element, bytes) else str(element).encode()
        parts += (_LENGTH.pack(len(raw)), raw)
    return b"".join(parts)


def decode_bytes(buffer: Buffer, name: str) -> Array:
    """BYTES elements of a wire buffer as a flat object array of ``bytes``.

    Raises:
        InvalidArgumentError: the buffer ends inside a length or an element.
    """
    elements: list[bytes] = []
    raw, position, end = bytes(buffer), 0, len(buffer)
    while position < end:
        if end - position < 4:
            raise InvalidArgumentError(
                f"incomplete string length indicator for tensor '{name}', expecting 4 bytes but only "
                f"{end - position} bytes available"
            )
        (length,) = _LENGTH.unpack_from(raw, position)
        position += 4
        if length > end - position:
            raise InvalidArgumentError(
                f"incomplete string data for tensor '{name}', expecting string of length {length} but only "
                f"{end - position} bytes available"
            )
        elements.append(raw[position : position + length])
        position += length
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array
