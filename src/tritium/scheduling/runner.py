"""The asyncio shell around a batching policy: pairs its batches with free instances, on the loop.

One inference makes no task, future or lock: ``enqueue`` puts it into the policy, one wake-up of the loop
hands batches to instances however many requests arrived, and ``_done`` answers them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from tritium.core.interfaces import Batch, ModelInstance, Outcome
from tritium.core.request import InferenceRequest
from tritium.core.reshape import Reshape
from tritium.core.response import InferenceResponse
from tritium.core.statistics import FailureReason, ModelStatistics
from tritium.errors import TritiumError, UnavailableError
from tritium.scheduling.ordering import ResponseOrder
from tritium.scheduling.policy import BatchPolicy
from tritium.scheduling.rate_limiter import LimitedInstances


class BatchRunner:
    """A Scheduler: one policy, some instances.

    Args:
        output_reshape: from what the model gives to what clients see.
        order: keeps answers in the order of the requests, if anything does.
        limited: instances that the rate limiter gives turns, if it does.
        unavailable: why no instance will come back soon, or None; asked before a request is queued.
    """

    def __init__(
        self,
        policy: BatchPolicy,
        instances: Sequence[ModelInstance],
        statistics: ModelStatistics,
        *,
        output_reshape: Reshape | None = None,
        order: ResponseOrder | None = None,
        limited: LimitedInstances | None = None,
        unavailable: Callable[[], str | None] = lambda: None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._policy = policy
        self.instances = list(instances)
        self._statistics = statistics
        self._output_reshape = output_reshape
        self._order = order
        self._limited = limited
        if limited is not None:
            limited.attach(self.wake)
        self._unavailable = unavailable
        self._now_ns = now_ns
        self._loop = asyncio.get_running_loop()
        self._dispatch_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us = 0
        self._drained = asyncio.Event()
        self._running = 0  # batches handed over and not done
        self._stopping = False

    def enqueue(self, request: InferenceRequest) -> None:
        """Queue an accepted request.

        Raises:
            UnavailableError: the queue is full, the model stops, or no instance can run it.
        """
        if self._stopping:
            raise UnavailableError(f"{request.label} model '{request.model_name}' is being unloaded")
        if (reason := self._unavailable()) is not None:
            raise UnavailableError(reason)
        now_us = request.arrival_ns // 1000
        try:
            self._policy.add(request, now_us)
        except UnavailableError:
            if not self._dispatch_scheduled:
                raise
            self._dispatch()  # what only waits for the loop to turn does not fill the queue
            self._policy.add(request, now_us)
        # At once only what comes alone. Else with those that arrive in the same turn of the loop, as steps of
        # ensembles do: a worker that is woken up once for all of them takes two thirds of the time.
        alone = self._running == 0 and not self._policy.collects and request.observer is None
        if (alone or self.instances[0].eager) and not self._dispatch_scheduled:
            self._dispatch()
        else:
            self.wake()

    def wake(self) -> None:
        """Look for work in the next turn of the loop: a request came, or an instance can take one."""
        if not self._dispatch_scheduled:
            self._dispatch_scheduled = True
            self._loop.call_soon(self._dispatch)

    def lost(self, instance: ModelInstance) -> None:
        """The worker of ``instance`` ended: nothing of its requests was kept there."""

    @property
    def pending(self) -> int:
        """Requests that wait."""
        return len(self._policy)

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self._running or len(self._policy))

    def fail_pending(self, error: TritiumError) -> None:
        """Answer everything that waits with ``error``: nothing will run it."""
        for request in self._policy.take_all():
            self._refuse(request, error)
        self._note_drained()

    async def stop(self) -> None:
        """Run what waits, then stop the instances together."""
        self._stopping = True
        self.wake()
        if self.busy:
            await self._drained.wait()
        if self._timer is not None:
            self._timer.cancel()
        async with asyncio.TaskGroup() as stops:
            for instance in self.instances:
                stops.create_task(instance.stop(), name=f"stop-{instance.name}")
        if self._limited is not None:
            self._limited.close()

    def _dispatch(self) -> None:
        self._dispatch_scheduled = False
        given: ModelInstance | None = None
        waits = False  # for company, with an instance that is free
        order = self._order
        if self._policy.next_expiry_us() is not None:
            self._refuse_late()
        while len(self._policy) and (instance := self._free_instance()) is not None:
            if order is not None and order.full:
                break
            now_ns = self._now_ns()
            requests = self._policy.next_batch(now_ns // 1000)
            if requests is None:
                waits = True
                break
            if not requests:  # all of them were cancelled
                continue
            rows = requests[0].batch_size if len(requests) == 1 else sum(r.batch_size for r in requests)
            self._running += 1
            if given is not None and given is not instance:
                given.flush()
            given = instance
            if order is not None:
                order.begin(requests)
            instance.execute(Batch(requests, rows, now_ns, self._done, self._sent))
        if given is not None:
            given.flush()
        if self._limited is not None:
            self._settle(unused=True)
        if len(self._policy):
            self._look_ahead(waits)
        self._report_cancelled()

    def _free_instance(self) -> ModelInstance | None:
        if self._limited is not None:
            return self._limited.free(self.instances)
        best: ModelInstance | None = None
        for instance in self.instances:
            if instance.in_flight < instance.capacity and (
                best is None or instance.in_flight < best.in_flight
            ):
                best = instance
        return best

    def _settle(self, *, unused: bool = False) -> None:
        """Give back the turns of instances that run nothing; called where something limits them."""
        assert self._limited is not None
        self._limited.settle(self.instances, bool(len(self._policy)), unused=unused)

    def _sent(self, request: InferenceRequest, response: InferenceResponse, final: bool) -> None:
        if self._output_reshape is not None:
            self._output_reshape.apply(response.outputs)
        if self._order is None:
            request.stream.send(response, final=final)
            return
        self._order.send(request, response, final)
        if final and len(self._policy):
            self.wake()  # the order may have been full

    def _done(self, batch: Batch, outcome: Outcome) -> None:
        self._running -= 1
        if self._limited is not None:
            self._settle()
        now_ns = self._now_ns()
        if outcome.delivered or outcome.again or self._order is not None:
            self._answer_rest(batch, outcome, now_ns)
        else:
            for request, response in zip(batch.requests, outcome.responses, strict=True):
                if self._output_reshape is not None:
                    self._output_reshape.apply(response.outputs)
                request.stream.send(response, final=True)
        # Clients first: nobody can ask for statistics before this returns.
        self._statistics.record_batch(batch, outcome, now_ns=now_ns, wall_ms=time.time_ns() // 1_000_000)
        if len(self._policy):
            self.wake()
        else:
            self._report_cancelled()
            self._note_drained()

    def _answer_rest(self, batch: Batch, outcome: Outcome, now_ns: int) -> None:
        """Answer the requests that have no answer yet, and queue again those that the model gave back."""
        for place, request in enumerate(batch.requests):
            if place in outcome.again:
                self._queue_again(request, now_ns)
            elif place not in outcome.delivered:
                self._sent(request, outcome.responses[place], True)

    def _queue_again(self, request: InferenceRequest, now_ns: int) -> None:
        try:
            self._policy.add(request, now_ns // 1000)
        except TritiumError as error:
            self._sent(request, InferenceResponse(error=error), True)

    def _refuse_late(self) -> None:
        """Answer what has waited longer than it may."""
        for request, error in self._policy.take_expired(self._now_ns() // 1000):
            self._refuse(request, error)
        self._note_drained()

    def _refuse(self, request: InferenceRequest, error: TritiumError) -> None:
        """Answer a request that left the queue without running."""
        self._statistics.record_failure(FailureReason.REJECTED, self._now_ns() - request.arrival_ns)
        request.stream.fail(error)
        self._end_turn(request)

    def _report_cancelled(self) -> None:
        cancelled = self._policy.take_cancelled()
        if not cancelled:
            return
        now_ns = self._now_ns()
        for request in cancelled:
            self._statistics.record_failure(FailureReason.CANCELED, now_ns - request.arrival_ns)
            self._end_turn(request)
        self._note_drained()

    def _end_turn(self, request: InferenceRequest) -> None:
        """``request``, which may have run before, runs no more."""
        if self._order is not None:
            self._order.end(request)

    def _note_drained(self) -> None:
        if self._stopping and not self.busy:
            self._drained.set()

    def _look_ahead(self, waits: bool) -> None:
        """Set the timer for when something happens although nothing comes.

        Args:
            waits: whether requests wait for company, and not for an instance.
        """
        wakeup_us = self._policy.next_wakeup_us() if waits else None
        expiry_us = self._policy.next_expiry_us()
        if wakeup_us is None or (expiry_us is not None and expiry_us < wakeup_us):
            wakeup_us = expiry_us
        if wakeup_us is not None:
            self._arm_timer(wakeup_us)

    def _arm_timer(self, wakeup_us: int) -> None:
        if self._timer is not None:
            if self._timer_us == wakeup_us:
                return
            self._timer.cancel()
        # While requests wait for company to a known moment, stopping waits with them: at most the queue
        # delay.
        self._timer_us = wakeup_us
        delay_us = max(0, wakeup_us - self._now_ns() // 1000)
        self._timer = self._loop.call_later(delay_us / 1e6, self._dispatch_now)

    def _dispatch_now(self) -> None:
        self._timer = None
        self._dispatch()
