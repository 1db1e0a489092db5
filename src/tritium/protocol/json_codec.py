"""HTTP inference bodies: JSON with binary tensors behind it, and the core's requests and responses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tritium.core.model_config import ModelConfig
from tritium.core.request import SEQUENCE_END, SEQUENCE_START, InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import DATATYPES, Buffer, DataType, Tensor
from tritium.errors import InvalidArgumentError, TritiumError, UnsupportedError
from tritium.protocol.classification import classify
from tritium.protocol.json_document import (
    NO_DATA,
    InferDocument,
    InputDocument,
    OutputDocument,
    accessor_text,
    read_infer_document,
)
from tritium.protocol.json_elements import decode_elements, encode_elements
from tritium.protocol.raw_request import decode_raw_request
from tritium.protocol.request_options import RequestOptions

MAX_RANK = 64  # dimensions of a tensor; numpy's own limit
MAX_OUTPUTS = 65536  # outputs that one request may name
_encode = msgspec.json.Encoder().encode
_UINT64 = 2**64
_RESERVED = (
    "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified."
)


@dataclass(slots=True)
class ResponseFormat:
    """How the client wants the outputs: binary or JSON, whole or classified."""

    binary_default: bool = False
    binary: dict[str, bool] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)


def decode_infer_request(
    body: Buffer, header_length: int | None, config: ModelConfig, version: int | None, stream: ResponseStream
) -> tuple[InferenceRequest, ResponseFormat]:
    """An inference request from an HTTP body. Binary tensors are views of ``body``.

    Args:
        header_length: Inference-Header-Content-Length; None when the header is absent.

    Raises:
        InvalidArgumentError: the body breaks the protocol.
    """
    size = len(body)
    if header_length == 0 or (header_length is None and size == 0):
        request = decode_raw_request(body, config, version, stream)
        return request, ResponseFormat(binary_default=True)
    if header_length is None:
        header_length = size
    elif not 0 < header_length <= size:
        raise InvalidArgumentError(
            f"inference header size should be in range (0, {size}), got: {header_length}"
        )
    view = memoryview(body).toreadonly()
    document = read_infer_document(view[:header_length])
    request = InferenceRequest(config.name, [], stream, version, document.id)
    response_format = ResponseFormat()
    if document.parameters:
        options = read_options(document.parameters)
        options.apply(request)
        response_format.binary_default = options.binary_data_output
    request.inputs = _decode_inputs(document, view, header_length, config.name)
    if document.outputs:
        request.requested_outputs = _decode_outputs(document.outputs, response_format)
    return request, response_format


def read_options(parameters: Mapping[str, Any]) -> RequestOptions:
    """What ``parameters`` of a request mean.

    Raises:
        InvalidArgumentError: one has a wrong type, or a reserved name.
    """
    options = RequestOptions()
    for name, value in parameters.items():
        if name == "sequence_id":
            options.correlation_id = _sequence_id(value)
        elif name in ("sequence_start", "sequence_end"):
            if _boolean(name, value):
                options.flags |= SEQUENCE_START if name == "sequence_start" else SEQUENCE_END
        elif name == "priority":
            options.priority = _unsigned(name, value)
        elif name == "timeout":
            options.timeout_us = _unsigned(name, value)
        elif name == "binary_data_output":
            options.binary_data_output = _boolean(name, value)
        elif name.startswith("triton_"):
            raise InvalidArgumentError(_RESERVED)
        else:
            options.parameters[name] = value
    return options


def _sequence_id(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _UINT64:
        return value
    if not isinstance(value, str):
        raise InvalidArgumentError(f"Unable to parse 'sequence_id': {accessor_text('string')}")
    if len(value) > 128:
        raise UnsupportedError("string correlation ID cannot be longer than 128 characters")
    return value


def _unsigned(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _UINT64:
        raise InvalidArgumentError(f"Unable to parse '{name}': {accessor_text('unsigned-integer')}")
    return value


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"Unable to parse '{name}': {accessor_text('boolean')}")
    return value


def _decode_inputs(document: InferDocument, body: memoryview, position: int, model: str) -> list[Tensor]:
    inputs = []
    for entry in document.inputs:
        shape = tuple(entry.shape)
        if len(shape) > MAX_RANK:
            raise InvalidArgumentError(
                f"input '{entry.name}' has {len(shape)} dimensions, expected at most {MAX_RANK}"
            )
        if shape and (min(shape) < 0 or max(shape) >= _UINT64):
            raise InvalidArgumentError(f"Unable to parse 'shape': {accessor_text('unsigned-integer')}")
        size = _binary_size(entry)
        if size is None:
            inputs.append(decode_elements(entry.name, _datatype(entry), shape, entry.data))
            continue
        end = position + size
        if end > len(body):
            raise InvalidArgumentError(
                f"unexpected size for input '{entry.name}', expecting {end - len(body)} additional bytes for "
                f"model '{model}'"
            )
        inputs.append(Tensor(entry.name, _datatype(entry), shape, body[position:end]))
        position = end
    if position != len(body):
        raise InvalidArgumentError(f"unexpected additional input data for model '{model}'")
    return inputs


def _binary_size(entry: InputDocument) -> int | None:
    """Bytes of the binary data of an input, or None when it comes as JSON.

    Raises:
        InvalidArgumentError: not exactly one source of data.
    """
    parameters = entry.parameters
    if not parameters and entry.data is not NO_DATA:
        return None
    if parameters.get("shared_memory_region") is not None:
        raise UnsupportedError(
            f"input '{entry.name}' is in shared memory, which this server does not offer yet; send 'data' or "
            "'binary_data_size'"
        )
    size = parameters.get("binary_data_size")
    given = [
        f"'{key}'"
        for key, there in (("data", entry.data is not NO_DATA), ("binary_data_size", size is not None))
        if there
    ]
    if len(given) != 1:
        raise InvalidArgumentError(
            "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
            "'shared_memory_region' in 'parameters'. But "
            + (f"set {' '.join(given)}" if given else "no field is set")
        )
    return None if size is None else _unsigned("binary_data_size", size)


def _datatype(entry: InputDocument) -> DataType:
    found = DATATYPES.get(entry.datatype)
    if found is None:
        raise InvalidArgumentError(f"invalid datatype for input {entry.name}")
    return found


def _decode_outputs(entries: Sequence[OutputDocument], response_format: ResponseFormat) -> tuple[str, ...]:
    if len(entries) > MAX_OUTPUTS:
        raise InvalidArgumentError(f"request names {len(entries)} outputs, expected at most {MAX_OUTPUTS}")
    names = tuple(entry.name for entry in entries)
    if len(set(names)) != len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise InvalidArgumentError(f"output '{twice}' already exists in request")  # as Triton 2.73
    for entry in entries:
        parameters = entry.parameters
        if "shared_memory_region" in parameters:
            raise UnsupportedError(
                f"output '{entry.name}' is to go to shared memory, which this server does not offer yet"
            )
        # An output that is named comes back as JSON unless it says binary_data itself.
        response_format.binary[entry.name] = _boolean("binary_data", parameters.get("binary_data", False))
        if count := _unsigned("classification", parameters.get("classification", 0)):
            response_format.classes[entry.name] = count
    return names


class _OutputHeader(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, int] | None = None
    data: msgspec.Raw | None = None


class _ResponseHeader(msgspec.Struct, omit_defaults=True):
    id: str = ""
    model_name: str = ""
    model_version: str = ""
    parameters: dict[str, Any] | None = None
    outputs: list[_OutputHeader] | None = None


def encode_infer_response(
    response: InferenceResponse,
    response_format: ResponseFormat,
    *,
    request_id: str,
    config: ModelConfig,
    version: int,
    labels: Mapping[str, Sequence[str]],
) -> tuple[bytes, list[Buffer]]:
    """The JSON of a response, and the binary outputs that follow it, in order.

    Raises:
        TritiumError: the response's own error, or an output that cannot travel as asked.
    """
    if response.error is not None:
        raise response.error
    headers: list[_OutputHeader] = []
    binary: list[Buffer] = []
    for tensor in response.outputs:
        if (count := response_format.classes.get(tensor.name)) is not None:
            batching = config.max_batch_size > 0
            tensor = classify(tensor, count, labels.get(tensor.name, ()), batching=batching)
        header = _OutputHeader(tensor.name, tensor.datatype.value, tensor.shape)
        if response_format.binary.get(tensor.name, response_format.binary_default):
            header.parameters = {"binary_data_size": len(tensor.buffer)}
            if len(tensor.buffer):
                binary.append(tensor.buffer)
        else:
            header.data = msgspec.Raw(encode_elements(tensor))
        headers.append(header)
    document = _ResponseHeader(request_id, config.name, str(version), response.parameters, headers)
    return _encode(document), binary


def encode_error(error: TritiumError | str) -> bytes:
    """``{"error":"<text>"}``, as on every endpoint."""
    text = str(error).encode("utf-8", "replace").decode()  # the text of a model may hold lone surrogates
    return _encode({"error": text})
