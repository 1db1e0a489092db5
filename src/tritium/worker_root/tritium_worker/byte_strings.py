"""BYTES elements: a little-endian uint32 length and the bytes, one after the other, row-major."""

from __future__ import annotations

import struct
from typing import Any, List, Union

import numpy as np

from tritium_worker.errors import TritonModelException

Buffer = Union[bytes, bytearray, memoryview]

_LENGTH = struct.Struct("<I")


def serialize_byte_tensor(input_tensor: np.ndarray[Any, Any]) -> bytes:
    """The wire form of an array of strings.

    Args:
        input_tensor: object elements are ``bytes``; anything else travels as UTF-8 of its ``str()``.

    Raises:
        TritonModelException: the array is neither of objects nor of ``S``.
    """
    if input_tensor.dtype.kind not in "OS":
        raise TritonModelException(
            f"Strings must be in an array of dtype object or S, got {input_tensor.dtype}: "
            "convert it with array.astype(object)."
        )
    parts: List[bytes] = []
    for element in input_tensor.reshape(-1).tolist():
        raw = element if isinstance(element, bytes) else str(element).encode("utf-8")
        parts += (_LENGTH.pack(len(raw)), raw)
    return b"".join(parts)


def deserialize_bytes_tensor(encoded_tensor: Buffer) -> np.ndarray[Any, Any]:
    """A flat object array of ``bytes`` from the wire form.

    Raises:
        TritonModelException: the buffer ends inside a length or an element.
    """
    elements: List[bytes] = []
    raw, position, end = bytes(encoded_tensor), 0, len(encoded_tensor)
    while position < end:
        start = position + _LENGTH.size
        if start > end:
            raise TritonModelException(
                f"incomplete string length indicator at byte {position}: expecting 4 bytes but only "
                f"{end - position} bytes available"
            )
        position = start + int(_LENGTH.unpack_from(raw, position)[0])
        if position > end:
            raise TritonModelException(
                f"incomplete string data at byte {start}: expecting string of length {position - start} but "
                f"only {end - start} bytes available"
            )
        elements.append(raw[start:position])
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array
