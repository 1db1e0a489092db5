"""The scheduler of an ensemble: every step is a request of its own to the model that does it.

So steps are queued, batched with steps of other requests, counted and cancelled as any request. An ensemble
request makes no task and no future: a step's answer starts the steps that waited for it. What can start, and
which response is next, ``step_progress.py`` says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tritium.core.interfaces import Batch, ModelInstance, Outcome
from tritium.core.model import Model
from tritium.core.request import SEQUENCE_END, SEQUENCE_START, InferenceRequest
from tritium.core.reshape import Reshape
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.statistics import FailureReason, ModelStatistics
from tritium.core.tensor import Tensor
from tritium.errors import TritiumError, UnavailableError, error_of
from tritium.scheduling.ensemble_member import EnsembleMember, with_rank
from tritium.scheduling.step_graph import StepGraph, StepPlan
from tritium.scheduling.step_progress import StepCall, StepProgress


@dataclass(frozen=True, slots=True)
class EnsembleShape:
    """What responses look like: the ranks of outputs, and from what steps give to what clients see."""

    ranks: Mapping[str, int]
    reshape: Reshape | None = None


class Ensemble:
    """A Scheduler whose requests other models run. It holds these models until it has stopped.

    Args:
        limit: requests that one step of one ensemble request has at the same time.
    """

    def __init__(
        self,
        graph: StepGraph,
        members: Sequence[EnsembleMember],
        statistics: ModelStatistics,
        shape: EnsembleShape,
        *,
        limit: int,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name = graph.name
        self.members = tuple(members)
        self.statistics = statistics
        self.shape = shape
        self.limit = limit
        self.now_ns = now_ns
        self.decoupled = any(step.decoupled for step in graph.steps)
        self._graph = graph
        self._runs: dict[int, EnsembleRun] = {}
        self._drained = asyncio.Event()
        self._stopping = False
        for member in self.members:
            member.model.hold()

    def enqueue(self, request: InferenceRequest) -> None:
        """Start the steps that need nothing but the request.

        Raises:
            UnavailableError: the ensemble stops.
        """
        if self._stopping:
            raise UnavailableError(f"{request.label} model '{request.model_name}' is being unloaded")
        run = EnsembleRun(self, self._graph.plan(request.requested_outputs), request)
        key = id(request)
        self._runs[key] = run
        request.stream.attach(key, self._on_cancel, self._on_pause)
        if request.stream.cancelled:
            run.cancel()
        else:
            run.begin()

    @property
    def instances(self) -> Sequence[ModelInstance]:
        """None: other models' instances do the work."""
        return ()

    @property
    def pending(self) -> int:
        """None: what waits, waits for a step's model."""
        return 0

    @property
    def busy(self) -> bool:
        """Whether any request is not answered."""
        return bool(self._runs)

    def is_ready(self) -> bool:
        """Whether every step can run."""
        return all(member.model.is_ready() for member in self.members)

    def asked(self) -> None:
        """A model is about to ask the ensemble, and by that those that do its steps."""
        for member in self.members:
            member.model.asked()

    def asks(self, request: InferenceRequest) -> Sequence[tuple[Model, InferenceRequest]]:
        """The models, and the steps' requests to them, that ``request`` waits for now."""
        run = self._runs.get(id(request))
        return () if run is None else run.asks()

    def ended(self, request: InferenceRequest) -> None:
        """``request`` is answered, or nobody wants the answer."""
        self._runs.pop(id(request), None)
        if self._stopping and not self._runs:
            self._drained.set()

    async def stop(self) -> None:
        """Let every request end, then let go of the steps' models."""
        self._stopping = True
        if self._runs:
            await self._drained.wait()
        for member in self.members:
            member.model.release()

    def _on_cancel(self, key: int) -> None:
        run = self._runs.get(key)
        if run is not None:
            run.cancel()

    def _on_pause(self, key: int, paused: bool) -> None:
        run = self._runs.get(key)
        if run is not None:
            run.pause()


class EnsembleRun:
    """One request of an ensemble, and the observer of its steps' requests."""

    __slots__ = (
        "_calls",
        "_ensemble",
        "_last",
        "_over",
        "_paused",
        "_plan",
        "_progress",
        "_request",
        "_times",
        "_uncounted",
    )

    def __init__(self, ensemble: Ensemble, plan: StepPlan, request: InferenceRequest) -> None:
        self._ensemble = ensemble
        self._plan = plan
        self._request = request
        self._progress: StepProgress[Tensor] = StepProgress(plan, ensemble.limit)
        self._calls: dict[StepCall[Tensor], InferenceRequest] = {}  # that have no final answer
        self._over = False
        self._paused = False
        self._times = [0, 0, 0, 0]  # queue, compute input, infer, output; sums over the steps, in ns
        self._uncounted = 0  # steps whose times are not known yet
        self._last: InferenceResponse | None = None  # the final one, until the request is counted

    def begin(self) -> None:
        """Start the first steps."""
        tensors = {tensor.name: tensor for tensor in self._request.inputs}
        self._start(self._progress.begin(tensors))

    def asks(self) -> Sequence[tuple[Model, InferenceRequest]]:
        """The steps that run or wait."""
        members = self._ensemble.members
        return [(members[call.step].model, request) for call, request in self._calls.items()]

    def cancel(self) -> None:
        """Nobody wants the answer."""
        self._close()
        elapsed_ns = self._ensemble.now_ns() - self._request.arrival_ns
        self._ensemble.statistics.record_failure(FailureReason.CANCELED, elapsed_ns)

    def pause(self) -> None:
        """Let decoupled steps wait while the client is slow or calls are held back, or go on again."""
        paused = self._request.stream.paused or self._progress.congested
        if paused == self._paused:
            return
        self._paused = paused
        for call, request in self._calls.items():
            if self._waits(call):
                request.stream.pause(paused)

    def executed(
        self, queue_ns: int, compute_input_ns: int, compute_infer_ns: int, compute_output_ns: int
    ) -> None:
        """A step's request has succeeded; the last one counts for the whole."""
        times = self._times
        times[0] += queue_ns
        times[1] += compute_input_ns
        times[2] += compute_infer_ns
        times[3] += compute_output_ns
        self._uncounted -= 1
        if self._last is not None and not self._uncounted:
            self._count(self._last)

    def _start(self, calls: Sequence[StepCall[Tensor]]) -> None:
        for call in calls:
            if self._over:
                return
            self._ask(call)

    def _ask(self, call: StepCall[Tensor]) -> None:
        member = self._ensemble.members[call.step]
        stream = ResponseStream(partial(self._answered, call))
        try:
            request = member.request(call.inputs(self._plan), self._request, stream, self)
            self._calls[call] = request
            self._uncounted += 1
            member.model.enqueue(request, self._ensemble.now_ns())
        except TritiumError as error:
            self._fail(error)

    def _answered(self, call: StepCall[Tensor], response: InferenceResponse, final: bool) -> None:
        if self._over:
            return
        if response.error is not None:
            self._fail(response.error)
            return
        progress = self._progress
        started: list[StepCall[Tensor]] = []
        if not response.empty:
            given = {tensor.name: tensor for tensor in response.outputs}
            outputs = self._ensemble.members[call.step].outputs
            started = progress.respond(
                call, {tensor: given[output] for tensor, output in outputs if output in given}
            )
        if final:
            del self._calls[call]
            started += progress.end(call)
        elif self._paused and self._waits(call):
            self._calls[call].stream.pause(True)  # it may have had nobody to tell before
        self._start(started)
        self._deliver()

    @property
    def _given_up(self) -> bool:
        return self._over

    def _waits(self, call: StepCall[Tensor]) -> bool:
        return self._plan.steps[call.step].decoupled and self._ensemble.members[call.step].waits

    def _deliver(self) -> None:
        if self._over:
            return
        over = self._progress.over
        if not self._ensemble.decoupled:
            if over:  # steps for whose outputs nobody waits are waited for, as Triton does
                self._finish(self._response(self._progress.take()[0]))
            return
        ready = [self._response(outputs) for outputs in self._progress.take()]
        if over and not ready:
            ready.append(InferenceResponse(empty=True))
        for response in ready[: -1 if over else None]:
            self._request.stream.send(response, final=False)
            if self._given_up:  # by whoever got it
                return
        if over:
            self._finish(ready[-1])
        else:
            self.pause()

    def _response(self, outputs: Sequence[tuple[str, Tensor]]) -> InferenceResponse:
        request, shape = self._request, self._ensemble.shape
        made = []
        for name, tensor in outputs:
            rank = shape.ranks[name]
            made.append(Tensor(name, tensor.datatype, with_rank(tensor.shape, rank), tensor.buffer))
        if shape.reshape is not None:
            shape.reshape.apply(made)
        return InferenceResponse(
            made,
            parameters={
                "sequence_id": request.correlation_id,
                "sequence_start": bool(request.flags & SEQUENCE_START),
                "sequence_end": bool(request.flags & SEQUENCE_END),
            },
        )

    def _finish(self, response: InferenceResponse) -> None:
        self._over = True
        self._ensemble.ended(self._request)
        self._request.stream.send(response, final=True)
        if self._uncounted:
            self._last = response
        else:
            self._count(response)

    def _count(self, response: InferenceResponse) -> None:
        self._last = None
        request, statistics = self._request, self._ensemble.statistics
        queue_ns, input_ns, infer_ns, output_ns = self._times
        batch = Batch([request], request.batch_size, request.arrival_ns + queue_ns, lambda *_: None)
        statistics.record_batch(
            batch,
            Outcome([response], input_ns, infer_ns, output_ns),
            now_ns=self._ensemble.now_ns(),
            wall_ms=time.time_ns() // 1_000_000,
        )

    def _fail(self, error: TritiumError) -> None:
        if self._over:
            return
        self._close()
        elapsed_ns = self._ensemble.now_ns() - self._request.arrival_ns
        self._ensemble.statistics.record_failure(FailureReason.OTHER, elapsed_ns)
        self._request.stream.fail(error_of(error.code, f"in ensemble '{self._ensemble.name}', {error}"))

    def _close(self) -> None:
        """No more steps start, and those that run or wait are cancelled."""
        self._over = True
        calls, self._calls = self._calls, {}
        self._ensemble.ended(self._request)
        for request in calls.values():
            request.stream.cancel()
