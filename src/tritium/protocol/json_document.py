"""JSON request documents: the quick typed reading, and the slow one that says what is wrong as Triton does.

Triton reads with rapidjson and reports every mistake of type as its own internal error (500); the texts here
are the same, the code is INVALID_ARG (docs/compatibility.md, 'client errors').
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import numpy as np
import rapidjson

from tritium.core.tensor import Buffer
from tritium.errors import InvalidArgumentError

MAX_DEPTH = 100  # as Triton 2.73
Scalar = str | int | float | bool

# A string that never ends takes the rest: looking for its end again from each quote would be quadratic.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = np.zeros(256, np.int8)  # what each byte adds to the depth
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_BLOCK_BYTES = 1 << 20
_PARSE_ERROR = re.compile(r"Parse error at offset (\d+): (.*)", re.DOTALL)


NO_DATA = msgspec.Raw()  # not None: msgspec reads an optional Raw as None only


class InputDocument(msgspec.Struct):
    """One entry of ``inputs``. ``data`` is raw JSON, or elements already parsed, or NO_DATA."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Scalar] = {}
    data: msgspec.Raw = NO_DATA


class OutputDocument(msgspec.Struct):
    """One entry of ``outputs``."""

    name: str
    parameters: dict[str, Scalar] = {}


class InferDocument(msgspec.Struct):
    """The JSON of an inference request."""

    inputs: list[InputDocument]
    id: str = ""
    parameters: dict[str, Scalar] = {}
    outputs: list[OutputDocument] = []


_decode = msgspec.json.Decoder(InferDocument).decode


def read_infer_document(raw: Buffer) -> InferDocument:
    """Read the JSON of an inference request.

    Raises:
        InvalidArgumentError: it is not JSON, or not of the form that the protocol wants.
    """
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_slowly(raw)


def parse(raw: Buffer) -> Any:
    """Any JSON document that rapidjson accepts, with NaN and Infinity allowed.

    Raises:
        InvalidArgumentError: with rapidjson's message and the byte offset.
    """
    check_depth(raw)
    data = bytes(raw).partition(b"\0")[0]  # where a text ends for rapidjson
    try:
        rapidjson.loads(data, number_mode=rapidjson.NM_NAN | rapidjson.NM_NATIVE)
        return json.loads(data.decode())  # rapidjson's own numbers may be off in the last place
    except rapidjson.JSONDecodeError as error:
        found = _PARSE_ERROR.match(str(error))
        detail = f"{found[2]} at {found[1]}" if found else str(error)
        raise InvalidArgumentError(f"failed to parse the request JSON buffer: {detail}") from None
    except (ValueError, UnicodeDecodeError):
        raise InvalidArgumentError(
            "failed to parse the request JSON buffer: Invalid encoding in string. at 0"
        ) from None


def check_depth(raw: Buffer) -> None:
    """Refuse nesting beyond MAX_DEPTH before any parser recurses into it."""
    data = bytes(raw)
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    bare = np.frombuffer(_STRING.sub(b"", data) if b'"' in data else data, np.uint8)
    depth = 0
    for start in range(0, len(bare), _BLOCK_BYTES):
        depths = np.cumsum(_STEPS[bare[start : start + _BLOCK_BYTES]], dtype=np.int32)
        if depth + int(depths.max()) > MAX_DEPTH:
            raise InvalidArgumentError(f"JSON nesting depth exceeds maximum allowed limit ({MAX_DEPTH})")
        depth += int(depths[-1])


def _read_slowly(raw: Buffer) -> InferDocument:
    """The same by hand: accepts what rapidjson accepts, and names what it does not."""
    document = parse(raw)
    inputs = _member(document, "inputs", list, "array", "Unable to parse 'inputs': ")
    request_id = _optional(document, "id", str, "string", "Unable to parse 'id': ")
    outputs = _optional(document, "outputs", list, "array", "Unable to parse 'outputs': ") or []
    return InferDocument(
        [_input(entry) for entry in inputs],
        request_id or "",
        _parameters(document, "failed to get request params.: "),
        [_output(entry) for entry in outputs],
    )


def _input(entry: Any) -> InputDocument:
    name = _member(entry, "name", str, "string", "Unable to parse 'name': ")
    shape = _member(entry, "shape", list, "array", "Unable to parse 'shape': ")
    for dim in shape:
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 0:
            raise InvalidArgumentError(f"Unable to parse 'shape': {accessor_text('unsigned-integer')}")
    datatype = _member(entry, "datatype", str, "string", "Unable to parse 'datatype': ")
    found = InputDocument(name, shape, datatype, _parameters(entry, ""))
    if "data" in entry:
        found.data = entry["data"]
    return found


def _output(entry: Any) -> OutputDocument:
    name = _member(entry, "name", str, "string", "Unable to parse 'name': ")
    return OutputDocument(name, _parameters(entry, ""))


def _parameters(owner: Any, prefix: str) -> dict[str, Scalar]:
    parameters = owner.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidArgumentError(f"{prefix}attempt to get members for non-object")
    for name, value in parameters.items():
        if not isinstance(value, str | int | float | bool):
            raise InvalidArgumentError(
                f"parameter '{name}' has invalid type. It should be either 'int', 'bool', or 'string'."
            )
    return parameters


def _member(owner: Any, name: str, kind: type, kind_text: str, prefix: str) -> Any:
    if not isinstance(owner, dict) or name not in owner:
        raise InvalidArgumentError(f"{prefix}attempt to access non-existing object member '{name}'")
    if not isinstance(owner[name], kind):
        raise InvalidArgumentError(prefix + accessor_text(kind_text))
    return owner[name]


def _optional(owner: Any, name: str, kind: type, kind_text: str, prefix: str) -> Any:
    return _member(owner, name, kind, kind_text, prefix) if name in owner else None


def accessor_text(kind: str) -> str:
    """Triton's text for a JSON value that is not of the kind wanted."""
    names = {"signed-integer": "signed-integer", "unsigned-integer": "unsigned-integer", "number": "double",
             "boolean": "boolean", "string": "string", "array": "array", "object": "object"}  # fmt: skip
    return f"attempt to access JSON non-{kind} as {names[kind]}"
