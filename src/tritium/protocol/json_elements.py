"""Tensor elements as JSON: flat or nested in, flat out."""

from __future__ import annotations

import json
import math
import struct
from itertools import chain
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np

from tritium.core.tensor import DataType, Tensor, decode_bytes
from tritium.errors import InvalidArgumentError
from tritium.protocol.json_document import MAX_DEPTH, accessor_text, parse

_LENGTH = struct.Struct("<I")
_QUICK_DEPTH = 4
Decoders = tuple[msgspec.json.Decoder[Any], ...]


def _decoders(element: type) -> Decoders:
    """Of lists of ``element``, and of lists of lists: data that are nested as most are take no longer way."""
    kinds = [GenericAlias(list, (element,))]
    for _ in range(_QUICK_DEPTH - 1):
        kinds.append(GenericAlias(list, (kinds[-1],)))
    return tuple(map(msgspec.json.Decoder, kinds))


_KINDS: dict[str, tuple[Decoders, type | tuple[type, ...], str]] = {
    "f": (_decoders(float), (int, float), "number"),
    "i": (_decoders(int), int, "signed-integer"),
    "u": (_decoders(int), int, "unsigned-integer"),
    "b": (_decoders(bool), bool, "boolean"),
    "O": (_decoders(str), str, "string"),
}
_WIDE = {"i": np.dtype("<i8"), "u": np.dtype("<u8")}
_BINARY_ONLY = (DataType.FP16, DataType.BF16)


def decode_elements(name: str, datatype: DataType, shape: tuple[int, ...], data: Any) -> Tensor:
    """A tensor from JSON ``data`` (raw JSON, or a list already parsed).

    Out-of-range integers wrap, as in Triton. The nesting is flattened and not compared with ``shape``.

    Raises:
        InvalidArgumentError: elements of another type, too many, too few, or a datatype that JSON cannot
            carry.
    """
    if datatype in _BINARY_ONLY:
        raise InvalidArgumentError(
            f"receiving {datatype.value} data via JSON is not supported. Please use the binary data format "
            f"for input {name}"
        )
    kind = datatype.numpy.kind
    decoders, types, kind_text = _KINDS[kind]
    if not isinstance(data, msgspec.Raw):
        elements = _typed(data, types, datatype, kind_text)
    elif (quick := _decode_uniform(data, decoders)) is not None:
        elements = quick
    else:
        elements = _typed(parse(data), types, datatype, kind_text)
    if len(elements) != math.prod(shape):
        raise InvalidArgumentError("Unable to parse 'data': Shape does not match true shape of 'data' field")
    if kind == "O":
        return Tensor(name, datatype, shape, _join_strings(elements))
    if kind in _WIDE:
        return Tensor(name, datatype, shape, _wrap(elements, datatype, kind_text).tobytes())
    with np.errstate(over="ignore"):  # what FP32 cannot hold is infinite
        return Tensor(name, datatype, shape, np.array(elements, dtype=datatype.numpy).tobytes())


def _decode_uniform(data: msgspec.Raw, decoders: Decoders) -> list[Any] | None:
    """The elements of lists that are all nested equally deep; None for anything else, right or wrong."""
    for depth, decoder in enumerate(decoders):
        try:
            elements: list[Any] = decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        for _ in range(depth):
            elements = list(chain.from_iterable(elements))
        return elements
    return None


def _wrap(elements: list[int], datatype: DataType, kind_text: str) -> np.ndarray[Any, Any]:
    wide = _WIDE[datatype.numpy.kind]
    try:
        return np.array(elements, dtype=wide).astype(datatype.numpy)
    except OverflowError:
        raise InvalidArgumentError(f"Unable to parse 'data': {accessor_text(kind_text)}") from None


def _join_strings(elements: list[str]) -> bytes:
    parts: list[bytes] = []
    for element in elements:
        raw = element.encode()
        parts += (_LENGTH.pack(len(raw)), raw)
    return b"".join(parts)


def _typed(data: Any, types: type | tuple[type, ...], datatype: DataType, kind_text: str) -> list[Any]:
    """``data`` flattened, each element checked."""
    if not isinstance(data, list):
        raise InvalidArgumentError(f"Unable to parse 'data': {accessor_text('array')}")
    elements = _flatten(data)
    for element in elements:
        if not isinstance(element, types) or (isinstance(element, bool) and datatype is not DataType.BOOL):
            if datatype is DataType.BYTES:
                raise InvalidArgumentError(f"Unable to parse JSON bytes array: {accessor_text('string')}")
            raise InvalidArgumentError(f"Unable to parse 'data': {accessor_text(kind_text)}")
    return elements


def _flatten(values: list[Any]) -> list[Any]:
    """All elements, in order. Each is touched once, however deep it lies."""
    elements: list[Any] = []
    levels = [iter(values)]
    while levels:
        for value in levels[-1]:
            if isinstance(value, list):
                if len(levels) == MAX_DEPTH:
                    raise InvalidArgumentError(
                        f"JSON nesting depth exceeds maximum allowed limit ({MAX_DEPTH})"
                    )
                levels.append(iter(value))
                break
            elements.append(value)
        else:
            levels.pop()
    return elements


def encode_elements(tensor: Tensor) -> bytes:
    """The elements of an output as a flat JSON list.

    Raises:
        InvalidArgumentError: FP16 and BF16 travel in binary only.
    """
    datatype = tensor.datatype
    if datatype in _BINARY_ONLY:
        raise InvalidArgumentError(
            f"sending {datatype.value} data via JSON is not supported. Please use the binary data format for "
            "output"
        )
    if datatype is DataType.BYTES:
        return _encode_strings(tensor)
    array = np.frombuffer(tensor.buffer, dtype=datatype.numpy)
    values = array.tolist()
    if datatype.numpy.kind == "f" and not np.isfinite(array).all():
        return json.dumps(values, separators=(",", ":")).encode()  # bare NaN, Infinity and -Infinity
    return msgspec.json.encode(values)


def _encode_strings(tensor: Tensor) -> bytes:
    elements = decode_bytes(tensor.buffer, tensor.name).tolist()
    try:
        return msgspec.json.encode([element.decode() for element in elements])
    except UnicodeDecodeError:  # passed through as the bytes they are, as Triton does
        texts = [element.decode("utf-8", "surrogateescape") for element in elements]
        text = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "surrogateescape")
