"""The form of a request: everything about it but its id, its options and the bytes of its tensors.

A client that sends one inference after another describes the same tensors each time. What was decoded and
checked for the first of them holds for all: only the views are made anew. Which messages have a form, the
protocols know (``json_forms.py``, ``grpc_forms.py``).
"""

from __future__ import annotations

from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import Buffer, DataType, Tensor
from tritium.protocol.request_options import RequestOptions

MAX_FORM_BYTES = 4096  # of what describes the tensors; what is longer is read each time


class RequestForm:
    """What a request that its model has checked has in common with others.

    Args:
        checked: has tensors that follow each other in the message that it came with, and ``can_have_form``.
        gap_bytes: before each tensor, what is not of it.
    """

    __slots__ = ("_batch_size", "_name", "_outputs", "_tensors", "_version", "size")

    def __init__(self, checked: InferenceRequest, gap_bytes: list[int] | None = None) -> None:
        self._name = checked.model_name
        self._version = checked.model_version
        self._outputs = checked.requested_outputs
        self._batch_size = checked.batch_size
        self._tensors: list[tuple[str, DataType, tuple[int, ...], int, int]] = []
        end = 0
        for tensor, gap in zip(checked.inputs, gap_bytes or [0] * len(checked.inputs), strict=True):
            start, end = end + gap, end + gap + len(tensor.buffer)
            self._tensors.append((tensor.name, tensor.datatype, tensor.shape, start, end))
        self.size = end  # bytes of the tensors, with what is between them

    def buffers(self, message: memoryview, begin: int) -> list[Buffer]:
        """The bytes of the tensors, from ``begin`` on in ``message``."""
        return [message[begin + i : begin + j] for _, _, _, i, j in self._tensors]

    def request(
        self,
        message: memoryview,
        begin: int,
        stream: ResponseStream,
        *,
        identity: str,
        options: RequestOptions,
    ) -> InferenceRequest:
        """A request of this form, whose tensors are views of ``message`` from ``begin`` on."""
        return InferenceRequest(
            self._name,
            [Tensor(n, d, shape, message[begin + i : begin + j]) for n, d, shape, i, j in self._tensors],
            stream,
            self._version,
            identity,
            self._outputs,
            options.parameters,
            options.correlation_id,
            options.flags,
            options.priority,
            options.timeout_us,
            self._batch_size,
            0,
            self,
        )


def can_have_form(request: InferenceRequest) -> bool:
    """Whether nothing of the tensors needs a look each time, as the elements of BYTES do."""
    return bool(request.inputs) and all(t.datatype is not DataType.BYTES for t in request.inputs)
