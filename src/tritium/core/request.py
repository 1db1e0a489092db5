"""One inference request, whatever protocol it came by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from tritium.core.response import ResponseStream
from tritium.core.tensor import Tensor

SEQUENCE_START = 1
SEQUENCE_END = 2


class ExecutionObserver(Protocol):
    """Wants to know where the time of a request went: the ensemble that the request is a step of."""

    def executed(
        self, queue_ns: int, compute_input_ns: int, compute_infer_ns: int, compute_output_ns: int
    ) -> None:
        """The request has succeeded; called once, after its last response."""
        ...


@dataclass(slots=True)
class InferenceRequest:
    """Inputs and options of one inference.

    ``stream`` is where the answer goes. ``batch_size`` and ``arrival_ns`` are set when a model accepts the
    request: rows of its inputs (1 for a model that does not batch), and monotonic time.
    """

    model_name: str
    inputs: list[Tensor]
    stream: ResponseStream
    model_version: int | None = None  # None: the highest ready version
    id: str = ""
    requested_outputs: tuple[str, ...] = ()  # empty: all
    parameters: dict[str, Any] = field(default_factory=dict)  # str, int, float or bool values, for the model
    correlation_id: int | str = 0
    flags: int = 0  # SEQUENCE_START | SEQUENCE_END
    priority: int = 0
    timeout_us: int = 0
    batch_size: int = 1
    arrival_ns: int = 0
    form: object = None  # the same object for requests whose tensors differ in their bytes only
    observer: ExecutionObserver | None = None

    @property
    def label(self) -> str:
        """How error texts name this request, as Triton does."""
        return f"[request id: {self.id or '<id_unknown>'}]"
