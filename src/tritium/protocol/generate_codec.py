"""The generate extension: a flat JSON object to an inference request, and responses to flat JSON objects.

Triton answers mistakes of type with its own internal error (500); here they are INVALID_ARG with the same
texts (docs/compatibility.md, 'client errors').
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tritium.core.model_config import ModelConfig, ModelInput
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import CONFIG_DATATYPES, Buffer, Tensor
from tritium.errors import InvalidArgumentError, TritiumError
from tritium.protocol.json_codec import encode_error
from tritium.protocol.json_document import accessor_text, parse
from tritium.protocol.json_elements import decode_elements, encode_elements

NOT_ONE_RESPONSE = (
    "generate expects model to produce exactly 1 response, use generate stream for model that generates "
    "various number of responses"
)
_NESTED = "parameters"  # the one key whose members are read as if they stood beside it
_INT64 = range(-(2**63), 2**63)
_encode = msgspec.json.Encoder().encode


def decode_generate_request(
    body: Buffer, config: ModelConfig, version: int | None, stream: ResponseStream
) -> InferenceRequest:
    """The request: keys that name an input are tensors, all others parameters.

    Raises:
        InvalidArgumentError: the body breaks the protocol.
    """
    document = parse(body)
    if not isinstance(document, dict):
        raise InvalidArgumentError("attempt to get members for non-object")
    request_id = document.get("id", "")
    if not isinstance(request_id, str):
        raise InvalidArgumentError(f"Unable to parse 'id': {accessor_text('string')}")
    request = InferenceRequest(config.name, [], stream, version, request_id)
    inputs = {each.name: each for each in config.input}
    batching = config.max_batch_size > 0
    for name, value in document.items():
        if name == _NESTED:
            _read_nested(request, value, inputs, batching)
        else:
            _read_member(request, name, value, inputs.get(name), batching)
    return request


def _read_nested(
    request: InferenceRequest, members: Any, inputs: Mapping[str, ModelInput], batching: bool
) -> None:
    if _NESTED in inputs:
        raise InvalidArgumentError(f"Keyword '{_NESTED}' for nested schema also given as input tensor name")
    if not isinstance(members, dict):
        raise InvalidArgumentError(
            f"Expected JSON object for keyword: '{_NESTED}': {accessor_text('object')}"
        )
    try:
        for name, value in members.items():
            if any(tensor.name == name for tensor in request.inputs):
                raise InvalidArgumentError(f"{request.label} input '{name}' already exists in request")
            _read_member(request, name, value, inputs.get(name), batching)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"Converting keyword: '{_NESTED}': {error}") from error


def _read_member(
    request: InferenceRequest, name: str, value: Any, wanted: ModelInput | None, batching: bool
) -> None:
    if wanted is not None:
        request.inputs.append(_decode_tensor(wanted, value, batching))
    elif isinstance(value, bool | int | float | str):
        # As Triton's JSON library, which has no integers of more than 64 bits.
        wide = isinstance(value, int) and value not in _INT64
        request.parameters[name] = float(value) if wide else value
    else:
        raise InvalidArgumentError(
            f"parameter '{name}' has invalid type. It should be either 'int', 'bool', or 'string'."
        )


def _decode_tensor(wanted: ModelInput, value: Any, batching: bool) -> Tensor:
    elements = value if isinstance(value, list) else [value]
    dims = (-1, *wanted.dims) if batching else tuple(wanted.dims)
    shape = _shape_of(dims, len(elements))
    if shape is None:
        raise InvalidArgumentError(
            f"The schema can not convert input '{wanted.name}' to tensor with proper shape"
        )
    return decode_elements(wanted.name, CONFIG_DATATYPES[wanted.data_type], shape, elements)


def _shape_of(dims: Sequence[int], count: int) -> tuple[int, ...] | None:
    """The shape of ``count`` elements: the last variable dimension takes them all, others become 1."""
    fixed = math.prod(dim for dim in dims if dim != -1)
    variable = [index for index, dim in enumerate(dims) if dim == -1]
    if count % fixed or (not variable and count != fixed):
        return None
    shape = [1 if dim == -1 else dim for dim in dims]
    if variable:
        shape[variable[-1]] = count // fixed
    return tuple(shape)


def encode_generate_response(
    response: InferenceResponse, *, request_id: str, model_name: str, version: int
) -> bytes:
    """The JSON of a response: outputs and parameters, in the order of names. One element stands alone.

    Raises:
        TritiumError: the response's own error, or an output that JSON cannot carry.
    """
    if response.error is not None:
        raise response.error
    members = {name: _encode(value) for name, value in (response.parameters or {}).items()}
    for tensor in response.outputs:
        elements = encode_elements(tensor)
        members[tensor.name] = elements[1:-1] if math.prod(tensor.shape) == 1 else elements
    if request_id:
        members["id"] = _encode(request_id)
    members["model_name"] = _encode(model_name)
    members["model_version"] = _encode(str(version))
    return b"{%b}" % b",".join(b"%b:%b" % (_encode(name), members[name]) for name in sorted(members))


def encode_event(document: bytes) -> bytes:
    """A JSON document, which has no line breaks, as a server-sent event."""
    return b"data: %b\n\n" % document


def encode_error_event(error: TritiumError) -> bytes:
    """An error as a server-sent event."""
    return encode_event(encode_error(error))
