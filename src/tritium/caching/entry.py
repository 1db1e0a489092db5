"""What is kept of a response, and its form outside this process."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from tritium.core.response import InferenceResponse, ParameterValue
from tritium.core.tensor import DATATYPES, Tensor
from tritium.errors import InternalError

_OVERHEAD_BYTES = 512  # of an entry and its objects, about
_TENSOR_OVERHEAD_BYTES = 256

_Stored = tuple[list[tuple[str, str, tuple[int, ...], bytes]], dict[str, ParameterValue] | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """The outputs of one response, with bytes of their own."""

    outputs: tuple[Tensor, ...]
    parameters: dict[str, ParameterValue] | None

    @classmethod
    def of(cls, response: InferenceResponse) -> Entry:
        """A copy of ``response``, which is no error."""
        outputs = tuple(Tensor(t.name, t.datatype, t.shape, bytes(t.buffer)) for t in response.outputs)
        return cls(outputs, None if response.parameters is None else dict(response.parameters))

    def response(self) -> InferenceResponse:
        """The response again; its tensors are shared by all who get it."""
        return InferenceResponse(
            list(self.outputs), parameters=None if self.parameters is None else dict(self.parameters)
        )

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return _OVERHEAD_BYTES + sum(_TENSOR_OVERHEAD_BYTES + len(t.buffer) for t in self.outputs)

    def encode(self) -> bytes:
        """For a store outside this process."""
        stored: _Stored = (
            [(t.name, t.datatype.value, t.shape, bytes(t.buffer)) for t in self.outputs],
            self.parameters,
        )
        return msgspec.msgpack.encode(stored)

    @classmethod
    def decode(cls, data: bytes) -> Entry:
        """What ``encode`` made.

        Raises:
            InternalError: it is something else.
        """
        try:
            outputs, parameters = msgspec.msgpack.decode(data, type=_Stored)
            tensors = tuple(Tensor(name, DATATYPES[kind], shape, raw) for name, kind, shape, raw in outputs)
        except (msgspec.DecodeError, KeyError) as error:
            raise InternalError(f"an entry of the response cache is damaged: {error}") from error
        for tensor in tensors:
            size, expected = tensor.datatype.itemsize, math.prod(tensor.shape) * tensor.datatype.itemsize
            if min(tensor.shape, default=0) < 0 or (size and expected != len(tensor.buffer)):
                raise InternalError(
                    f"an entry of the response cache is damaged: output '{tensor.name}' has shape "
                    f"{list(tensor.shape)} and {len(tensor.buffer)} bytes"
                )
        return cls(tensors, parameters)
