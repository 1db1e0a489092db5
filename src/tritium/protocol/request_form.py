"""The form of a request: everything about it but the bytes of its tensors.

A client that sends one inference after another sends the same JSON before different binary tensors. What was
decoded and checked for the first of them holds for all: only the views are made anew.
"""

from __future__ import annotations

from dataclasses import replace

from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import DataType, Tensor

MAX_FORM_BYTES = 4096  # JSON longer than this is read each time


class RequestForm:
    """A decoded and checked request to take as a pattern.

    Args:
        pattern: checked by its model; all its tensors are binary, and none is BYTES, whose elements need a
            look. The form takes it over.
        header_length: bytes of JSON before the tensors.
    """

    __slots__ = ("_pattern", "_tensors", "size")

    def __init__(self, pattern: InferenceRequest, header_length: int) -> None:
        self._pattern = pattern
        self._tensors: list[tuple[str, DataType, tuple[int, ...], int, int]] = []
        end = header_length
        for tensor in pattern.inputs:
            start, end = end, end + len(tensor.buffer)
            self._tensors.append((tensor.name, tensor.datatype, tensor.shape, start, end))
        self.size = end
        pattern.inputs = []  # it must not keep the first body alive

    def request(self, body: memoryview, stream: ResponseStream) -> InferenceRequest:
        """A request of this form over ``body``, which is ``size`` bytes long."""
        p = self._pattern
        return InferenceRequest(
            p.model_name,
            [Tensor(n, d, shape, body[start:end]) for n, d, shape, start, end in self._tensors],
            stream,
            p.model_version,
            p.id,
            p.requested_outputs,
            p.parameters,
            p.correlation_id,
            p.flags,
            p.priority,
            p.timeout_us,
            p.batch_size,
            0,
            self,
        )


_NOBODY = ResponseStream(lambda response, final: None)


def form_of(request: InferenceRequest, header_length: int, body_size: int) -> RequestForm | None:
    """A form for requests with the same JSON as ``request``, which is checked; None if there can be none."""
    if header_length > MAX_FORM_BYTES or not request.inputs:
        return None
    binary_bytes = sum(len(tensor.buffer) for tensor in request.inputs)
    if header_length + binary_bytes != body_size:
        return None  # some came as JSON
    if any(tensor.datatype is DataType.BYTES for tensor in request.inputs):
        return None
    return RequestForm(replace(request, inputs=[*request.inputs], stream=_NOBODY), header_length)
