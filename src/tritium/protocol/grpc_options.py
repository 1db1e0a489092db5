"""The parameters of ModelInferRequest messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError

from tritium.core.request import SEQUENCE_END, SEQUENCE_START
from tritium.errors import InvalidArgumentError, UnsupportedError
from tritium.protobuf_messages import service_messages
from tritium.protocol.request_options import RequestOptions

MAX_CORRELATION_CHARS = 128
_MESSAGES = service_messages()
_UINT64 = 2**64
_EMPTY_FINAL = "triton_enable_empty_final_response"
_RESERVED = (
    "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting "
    f"with 'triton_' are allowed: {_EMPTY_FINAL}"
)


def read_options(parameters: Mapping[str, Any]) -> RequestOptions:
    """What the ``parameters`` of a message mean.

    Raises:
        InvalidArgumentError: one has a wrong type, or a reserved name.
    """
    options = RequestOptions()
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if name == "sequence_id":
            options.correlation_id = _sequence_id(parameter, kind)
        elif name in ("sequence_start", "sequence_end"):
            if typed(name, parameter, kind, "bool_param"):
                options.flags |= SEQUENCE_START if name == "sequence_start" else SEQUENCE_END
        elif name == "priority":
            options.priority = _priority(parameter, kind)
        elif name == "timeout":
            options.timeout_us = max(0, typed(name, parameter, kind, "int64_param"))
        elif name == _EMPTY_FINAL:
            options.wants_empty_final = typed(name, parameter, kind, "bool_param")
        elif name.startswith("triton_"):
            raise InvalidArgumentError(_RESERVED)
        elif kind in ("int64_param", "bool_param", "string_param", "double_param"):
            options.parameters[name] = getattr(parameter, kind)
        else:
            raise _wrong_type(name, "int64_param, bool_param, or string_param")
    return options


def read_parameter_fields(fields: bytes) -> RequestOptions:
    """What these fields of a serialized message mean, read without the rest of it.

    Raises:
        InvalidArgumentError: as for ``read_options``, or they are no fields.
    """
    try:
        message = _MESSAGES.ModelInferRequest.FromString(fields)
    except DecodeError as error:
        raise InvalidArgumentError("the parameters are not fields of a ModelInferRequest") from error
    return read_options(message.parameters)


def typed(name: str, parameter: Any, kind: str | None, wanted: str) -> Any:
    """The value of a parameter whose field has to be ``wanted``.

    Raises:
        InvalidArgumentError: it is another one.
    """
    if kind != wanted:
        raise _wrong_type(name, wanted)
    return getattr(parameter, wanted)


def _sequence_id(parameter: Any, kind: str | None) -> int | str:
    if kind == "int64_param":
        return int(parameter.int64_param) % _UINT64
    if kind != "string_param":
        raise _wrong_type("sequence_id", "int64_param or string_param")
    text = str(parameter.string_param)
    if len(text) > MAX_CORRELATION_CHARS:
        raise UnsupportedError("string correlation ID cannot be longer than 128 characters")
    return text


def _priority(parameter: Any, kind: str | None) -> int:
    if kind not in ("int64_param", "uint64_param"):
        raise _wrong_type("priority", "int64_param or uint64_param")
    value = int(getattr(parameter, kind))
    if value < 0:
        raise InvalidArgumentError("invalid value for 'priority', expected value >= 0.")
    return value


def _wrong_type(name: str, wanted: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"invalid value type for '{name}' parameter, expected {wanted}.")
