"""ModelInfer messages and the core's requests and responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from tritium.core.model_config import ModelConfig
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import DATATYPES, Buffer, DataType, Tensor, encode_bytes
from tritium.errors import InvalidArgumentError, TritiumError, UnsupportedError
from tritium.protobuf_messages import service_messages
from tritium.protocol.classification import classify
from tritium.protocol.grpc_options import read_options, typed

MAX_RANK = 64  # dimensions of a tensor; numpy's own limit
_MESSAGES = service_messages()
_LARGE_BYTES = 65536  # from here on raw tensors are cut out of the message instead of being copied twice
_RAW_INPUT = 7  # the number of ModelInferRequest.raw_input_contents
RAW_OUTPUT_TAG = b"\x32"  # ModelInferResponse.raw_output_contents: field 6, length-delimited
_INFER_RESPONSE_TAG = b"\x12"  # ModelStreamInferResponse.infer_response: field 2, length-delimited
_LENGTH_DELIMITED = 2
_CONTENTS = {
    DataType.BOOL: "bool_contents",
    DataType.INT8: "int_contents",
    DataType.INT16: "int_contents",
    DataType.INT32: "int_contents",
    DataType.INT64: "int64_contents",
    DataType.UINT8: "uint_contents",
    DataType.UINT16: "uint_contents",
    DataType.UINT32: "uint_contents",
    DataType.UINT64: "uint64_contents",
    DataType.FP32: "fp32_contents",
    DataType.FP64: "fp64_contents",
    DataType.BYTES: "bytes_contents",
}
# What Triton calls the datatype of data that came in the wrong field.
_GIVEN = {
    "bool_contents": "BOOL",
    "int_contents": "INT32",
    "int64_contents": "INT64",
    "uint_contents": "UINT32",
    "uint64_contents": "UINT64",
    "fp32_contents": "FP32",
    "fp64_contents": "FP64",
    "bytes_contents": "BYTES",
}


class InferCall:
    """One ModelInferRequest as it came: the message, and its raw tensors apart from it."""

    __slots__ = ("classes", "message", "raw", "readable", "wants_empty_final")

    def __init__(self, message: Any, raw: Sequence[Buffer]) -> None:
        self.message = message
        self.raw = raw
        self.classes: dict[str, int] = {}  # of outputs that are to be classified
        self.wants_empty_final = False
        self.readable = True  # its parameters are

    @property
    def version(self) -> int | None:
        """The version that is asked for, None for the highest.

        Raises:
            InvalidArgumentError: it is no number.
        """
        return version_number(self.message.model_version)

    def request(self, config: ModelConfig, stream: ResponseStream) -> InferenceRequest:
        """The request for the core; raw tensors are views of what was received.

        Raises:
            InvalidArgumentError: the message breaks the protocol.
        """
        message = self.message
        request = InferenceRequest(message.model_name, [], stream, self.version, message.id)
        if message.parameters:
            self.readable = False
            options = read_options(message.parameters)
            self.readable = True
            options.apply(request)
            self.wants_empty_final = options.wants_empty_final
        request.inputs = self._inputs(config.name)
        if message.outputs:
            request.requested_outputs = self._outputs()
        return request

    def _inputs(self, model: str) -> list[Tensor]:
        inputs = []
        for index, entry in enumerate(self.message.inputs):
            datatype = DATATYPES.get(entry.datatype)
            if datatype is None:
                raise InvalidArgumentError(
                    f"invalid datatype for input tensor '{entry.name}' for model '{model}', got "
                    f"'{entry.datatype[:64]}'"
                )
            shape = tuple(entry.shape)
            if len(shape) > MAX_RANK:
                raise InvalidArgumentError(
                    f"input '{entry.name}' has {len(shape)} dimensions, expected at most {MAX_RANK}"
                )
            if shape and min(shape) < 0:
                shown = ",".join(map(str, shape))
                raise InvalidArgumentError(
                    f"All input dimensions should be specified for input '{entry.name}' for model '{model}', "
                    f"got [{shown}]"
                )
            inputs.append(Tensor(entry.name, datatype, shape, self._data(index, entry, datatype, model)))
        return inputs

    def _data(self, index: int, entry: Any, datatype: DataType, model: str) -> Buffer:
        """The bytes of one input, from where they are."""
        if entry.parameters and "shared_memory_region" in entry.parameters:
            raise UnsupportedError(
                f"input '{entry.name}' is in shared memory, which this server does not offer yet; send "
                "'raw_input_contents'"
            )
        if self.raw:
            if entry.HasField("contents"):
                raise InvalidArgumentError(
                    "contents field must not be specified when using raw_input_contents for "
                    f"'{entry.name}' for model '{model}'"
                )
            if index < len(self.raw):
                return self.raw[index]
        elif entry.HasField("contents"):
            return _typed_data(entry, datatype, model)
        raise InvalidArgumentError(
            f"unable to find data for input tensor '{entry.name}' for model '{model}' in request."
        )

    def _outputs(self) -> tuple[str, ...]:
        names = tuple(entry.name for entry in self.message.outputs)
        if len(set(names)) != len(names):
            twice = next(name for i, name in enumerate(names) if name in names[:i])
            raise InvalidArgumentError(f"output '{twice}' already exists in request")
        for entry in self.message.outputs:
            if not entry.parameters:
                continue
            if "shared_memory_region" in entry.parameters:
                raise UnsupportedError(
                    f"output '{entry.name}' is to go to shared memory, which this server does not offer yet"
                )
            if "classification" in entry.parameters:
                parameter = entry.parameters["classification"]
                kind = parameter.WhichOneof("parameter_choice")
                if count := typed("classification", parameter, kind, "int64_param"):
                    self.classes[entry.name] = count
        return names


def read_infer_call(buffer: Buffer) -> InferCall:
    """A serialized ModelInferRequest. Large raw tensors are not copied.

    Raises:
        InvalidArgumentError: it is no such message.
    """
    try:
        if len(buffer) < _LARGE_BYTES:
            message = _MESSAGES.ModelInferRequest.FromString(bytes(buffer))
            return InferCall(message, message.raw_input_contents)
        rest, raw = _cut_raw(memoryview(buffer).toreadonly())
        return InferCall(_MESSAGES.ModelInferRequest.FromString(rest), raw)
    except (DecodeError, ValueError, IndexError) as error:
        raise unreadable("ModelInferRequest") from error


def unreadable(name: str) -> InvalidArgumentError:
    """The error for bytes that are no message of this type."""
    return InvalidArgumentError(f"the request is not a serialized {name} message")


def version_number(text: str) -> int | None:
    """A model version as gRPC carries it; empty is None, the highest.

    Raises:
        InvalidArgumentError: it is no number of 64 bits.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < 2**63):
        raise InvalidArgumentError(
            f"failed to get model version from specified version string '{text[:64]}' (details: stol), "
            "version should be an integral value > 0"
        )
    return int(text)


def _cut_raw(view: memoryview) -> tuple[bytes, list[memoryview]]:
    """The fields of a message without its raw tensors, and those as views."""
    rest: list[memoryview] = []
    raw: list[memoryview] = []
    position, end = 0, len(view)
    while position < end:
        start = position
        tag, position = decode_varint(view, position)
        if tag & 7 != _LENGTH_DELIMITED:
            raise ValueError("every field of the message is length-delimited")
        size, position = decode_varint(view, position)
        stop = position + size
        if stop > end:
            raise ValueError("the message ends inside a field")
        if tag >> 3 == _RAW_INPUT:
            raw.append(view[position:stop])
        else:
            rest.append(view[start:stop])
        position = stop
    return b"".join(rest), raw


def decode_varint(view: memoryview, position: int) -> tuple[int, int]:
    """A number of protobuf's wire format, and where it ends.

    Raises:
        IndexError: it is cut short.
        ValueError: it is too long.
    """
    value = shift = 0
    while True:
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number of the message is too long")


def _typed_data(entry: Any, datatype: DataType, model: str) -> Buffer:
    """The bytes of ``contents``; narrow integers wrap, as in Triton."""
    given = [field.name for field, _ in entry.contents.ListFields()]
    wanted = _CONTENTS.get(datatype)
    wrong = [name for name in given if name != wanted]
    if wrong:
        raise InvalidArgumentError(
            f"unexpected explicit tensor data for input tensor '{entry.name}' for model '{model}' of type "
            f"'{_GIVEN.get(wrong[0], 'unknown')}', expected datatype '{datatype.value}'"
        )
    if not given or wanted is None:
        return b""
    values = getattr(entry.contents, wanted)
    if datatype is DataType.BYTES:
        array = np.empty(len(values), dtype=object)
        array[:] = list(values)
        return encode_bytes(array)
    wide = np.uint64 if wanted.startswith("uint") else np.int64 if wanted.startswith("int") else None
    return np.array(values, dtype=wide).astype(datatype.numpy).tobytes()


def encode_infer_response(
    response: InferenceResponse,
    *,
    request_id: str,
    config: ModelConfig,
    version: int,
    classes: Mapping[str, int],
    labels: Mapping[str, Sequence[str]],
    final: bool | None = None,
) -> list[Buffer]:
    """A serialized ModelInferResponse in pieces; tensors are not copied.

    Args:
        final: the value of ``triton_final_response``, which stream responses carry.

    Raises:
        TritiumError: the response's own error, or an output that cannot be classified.
    """
    if response.error is not None:
        raise response.error
    message = _MESSAGES.ModelInferResponse(model_name=config.name, id=request_id)
    if not response.empty:
        message.model_version = str(version)
    if final is not None:
        message.parameters["triton_final_response"].bool_param = final
    for name, value in (response.parameters or {}).items():
        _set_parameter(message.parameters[name], value)
    pieces: list[Buffer] = [b""]
    for tensor in response.outputs:
        if (count := classes.get(tensor.name)) is not None:
            tensor = classify(tensor, count, labels.get(tensor.name, ()), batching=config.max_batch_size > 0)
        message.outputs.add(name=tensor.name, datatype=tensor.datatype.value, shape=tensor.shape)
        pieces += (RAW_OUTPUT_TAG + encode_varint(len(tensor.buffer)), tensor.buffer)
    pieces[0] = message.SerializeToString()
    return pieces


def encode_stream_reply(pieces: Sequence[Buffer]) -> list[Buffer]:
    """A ModelStreamInferResponse around a serialized ModelInferResponse."""
    return [_INFER_RESPONSE_TAG + encode_varint(sum(map(len, pieces))), *pieces]


def encode_stream_error(
    error: TritiumError, *, request_id: str, model_name: str = "", final: bool | None = None
) -> list[Buffer]:
    """A ModelStreamInferResponse that carries an error.

    Args:
        model_name: empty, like ``final``, for a request that did not run.
    """
    text = str(error).encode("utf-8", "replace").decode()
    message = _MESSAGES.ModelStreamInferResponse(error_message=text)
    message.infer_response.SetInParent()
    message.infer_response.id = request_id
    message.infer_response.model_name = model_name
    if final is not None:
        message.infer_response.parameters["triton_final_response"].bool_param = final
    return [message.SerializeToString()]


def _set_parameter(parameter: Any, value: str | int | float | bool) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = max(-(2**63), min(value, 2**63 - 1))
    elif isinstance(value, float):
        parameter.double_param = value
    else:
        parameter.string_param = value


def final_parameter(final: bool) -> bytes:
    """The parameter ``triton_final_response`` of a ModelInferResponse, as a field of its own."""
    message = _MESSAGES.ModelInferResponse()
    message.parameters["triton_final_response"].bool_param = final
    return bytes(message.SerializeToString())


def output_head(
    name: str, version: int, outputs: Sequence[tuple[str, DataType, tuple[int, ...]]]
) -> tuple[bytes, bytes]:
    """What a ModelInferResponse says before its id, and what it says of its outputs behind it."""
    head = _MESSAGES.ModelInferResponse(model_name=name, model_version=str(version))
    described = _MESSAGES.ModelInferResponse()
    for output, datatype, shape in outputs:
        described.outputs.add(name=output, datatype=datatype.value, shape=shape)
    return head.SerializeToString(), described.SerializeToString()


def encode_varint(value: int) -> bytes:
    """A number in protobuf's wire format."""
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
