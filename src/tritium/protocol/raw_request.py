"""The raw binary request: a body that is nothing but the bytes of the model's only input."""

from __future__ import annotations

import math

from tritium.core.model_config import ModelConfig
from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import CONFIG_DATATYPES, Buffer, DataType, Tensor
from tritium.errors import InvalidArgumentError


def decode_raw_request(
    body: Buffer, config: ModelConfig, version: int | None, stream: ResponseStream
) -> InferenceRequest:
    """The request; its shape is deduced: batch 1, and at most one variable dimension from ``body``'s size.

    Raises:
        InvalidArgumentError: the model has more inputs, or the shape cannot be deduced.
    """
    request = InferenceRequest(config.name, [], stream, version)
    if len(config.input) != 1:
        raise InvalidArgumentError(
            f"{request.label} Raw request must only have 1 input (found 1) to be deduced but got "
            f"{len(config.input)} inputs in '{config.name}' model configuration"
        )
    only = config.input[0]
    datatype = CONFIG_DATATYPES[only.data_type]
    batch = (1,) if config.max_batch_size else ()
    if datatype is DataType.BYTES:
        if tuple(only.dims) != (1,):
            raise InvalidArgumentError(
                f"{request.label} For BYTE datatype raw input '{only.name}', the model must have input shape "
                "[1]"
            )
        element = len(body).to_bytes(4, "little") + bytes(body)
        request.inputs = [Tensor(only.name, datatype, (*batch, 1), element)]
        return request
    shape = _deduce(only.name, tuple(only.dims), datatype, len(body), request.label)
    expected = math.prod(shape) * datatype.itemsize
    if expected != len(body):
        raise InvalidArgumentError(
            f"{request.label} input byte size mismatch for input 'raw_input' for model '{config.name}'. "
            f"Expected {expected}, got {len(body)}"
        )
    request.inputs = [Tensor(only.name, datatype, (*batch, *shape), body)]
    return request


def _deduce(name: str, dims: tuple[int, ...], datatype: DataType, size: int, label: str) -> tuple[int, ...]:
    variable = dims.count(-1)
    if variable > 1:
        raise InvalidArgumentError(
            f"{label} The shape of the raw input '{name}' can not be deduced because there are more than one "
            "variable-sized dimension"
        )
    row_bytes = math.prod(dim for dim in dims if dim != -1) * datatype.itemsize
    return tuple(size // row_bytes if dim == -1 else dim for dim in dims)
