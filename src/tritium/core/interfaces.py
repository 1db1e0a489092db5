"""The seams between scheduling and execution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tritium.core.custom_metrics import CustomMetrics
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse


@dataclass(slots=True)
class Outcome:
    """What became of one batch: a response per request, in order, and where the time went (ns).

    A response whose place is in ``delivered`` went through ``Batch.sent`` before; one in ``again`` means
    nothing: its request is to be queued and run once more.
    """

    responses: list[InferenceResponse]
    compute_input_ns: int = 0
    compute_infer_ns: int = 0
    compute_output_ns: int = 0
    delivered: frozenset[int] = frozenset()
    again: frozenset[int] = frozenset()


def _send(request: InferenceRequest, response: InferenceResponse, final: bool) -> None:
    request.stream.send(response, final=final)


@dataclass(slots=True)
class Batch:
    """Requests that run together. ``done`` must be called exactly once, on the loop.

    Before it, ``sent(request, response, final)`` delivers what a model sends while it runs, or afterwards.
    """

    requests: list[InferenceRequest]
    rows: int
    dispatched_ns: int
    done: Callable[[Batch, Outcome], None]
    sent: Callable[[InferenceRequest, InferenceResponse, bool], None] = field(default=_send)


class ModelInstance(Protocol):
    """One copy of a model, which runs one batch at a time and may hold some more in flight."""

    name: str

    @property
    def in_flight(self) -> int:
        """Batches handed over and not done."""
        ...

    @property
    def capacity(self) -> int:
        """Batches it takes now; 0 while it cannot run."""
        ...

    @property
    def side_by_side(self) -> bool:
        """Whether it runs what it holds at once, and not one after the other."""
        ...

    @property
    def eager(self) -> bool:
        """Whether it begins at once with each batch, and none of them can get company: none should wait."""
        ...

    def execute(self, batch: Batch) -> None:
        """Run ``batch``, at the latest after ``flush``, and then call ``batch.done`` on the loop."""
        ...

    def flush(self) -> None:
        """No more batches come for now."""
        ...

    async def stop(self) -> None:
        """Finish what is in flight, then release the model."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerUsage:
    """What the worker of one instance has used since it was started."""

    instance: str
    cpu_s: float
    resident_bytes: int


class Scheduler(Protocol):
    """Decides when requests of one model run, and with whom."""

    def enqueue(self, request: InferenceRequest) -> None:
        """Take over an accepted request; its stream gets the answer.

        Raises:
            TritiumError: it cannot be queued (queue full, no instance will come back soon).
        """
        ...

    @property
    def instances(self) -> Sequence[ModelInstance]:
        """Who runs the requests."""
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


class ModelAccess(Protocol):
    """What a running model may ask of its server."""

    metrics: CustomMetrics

    def infer(self, request: InferenceRequest, *, caller: ModelInstance, decoupled: bool) -> None:
        """Run ``request`` on the model that it names; the answer comes through its stream.

        Args:
            caller: whose model asks.
            decoupled: whether the caller takes any number of responses.

        Raises:
            TritiumError: there is no such model, or the request does not fit it.
        """
        ...

    async def load(
        self, name: str, config: str, files: Mapping[str, bytes], *, within_load_of: str | None = None
    ) -> None:
        """Load a model, or load it anew.

        Args:
            within_load_of: the model that asks, if it is still being loaded itself.

        Raises:
            TritiumError: it cannot be loaded, or models are not loaded on request.
        """
        ...

    async def unload(self, name: str, *, dependents: bool, within_load_of: str | None = None) -> None:
        """Begin to unload a model.

        Args:
            within_load_of: as for ``load``.

        Raises:
            TritiumError: there is no such model, or models are not unloaded on request.
        """
        ...

    def ready(self, name: str, version: int | None) -> bool:
        """Whether a model can run a request now."""
        ...
