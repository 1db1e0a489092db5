"""The seams between scheduling and execution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse


@dataclass(slots=True)
class Outcome:
    """What became of one batch: a response per request, in order, and where the time went (ns)."""

    responses: list[InferenceResponse]
    compute_input_ns: int = 0
    compute_infer_ns: int = 0
    compute_output_ns: int = 0


@dataclass(slots=True)
class Batch:
    """Requests that run together. ``done`` must be called exactly once, on the loop."""

    requests: list[InferenceRequest]
    rows: int
    dispatched_ns: int
    done: Callable[[Batch, Outcome], None]


class ModelInstance(Protocol):
    """One copy of a model, which runs one batch at a time and may hold some more in flight."""

    name: str
    in_flight: int  # batches handed over and not done
    capacity: int  # batches it takes now; 0 while it cannot run

    def execute(self, batch: Batch) -> None:
        """Run ``batch``, at the latest after ``flush``, and then call ``batch.done`` on the loop."""
        ...

    def flush(self) -> None:
        """No more batches come for now."""
        ...

    async def stop(self) -> None:
        """Finish what is in flight, then release the model."""
        ...


class Scheduler(Protocol):
    """Decides when requests of one model run, and with whom."""

    def enqueue(self, request: InferenceRequest) -> None:
        """Take over an accepted request; its stream gets the answer.

        Raises:
            TritiumError: it cannot be queued (queue full, no instance will come back soon).
        """
        ...

    @property
    def pending(self) -> int:
        """Requests that wait."""
        ...

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        ...

    async def stop(self) -> None:
        """Answer everything accepted, then stop the instances."""
        ...
