"""The asyncio shell of sequence batching: a ``BatchRunner`` whose policy knows which instance it fills."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tritium.core.interfaces import Batch, ModelInstance, Outcome
from tritium.core.request import InferenceRequest
from tritium.core.reshape import Reshape
from tritium.core.response import InferenceResponse
from tritium.core.statistics import FailureReason, ModelStatistics
from tritium.errors import CancelledError
from tritium.scheduling.ordering import ResponseOrder
from tritium.scheduling.rate_limiter import LimitedInstances
from tritium.scheduling.runner import BatchRunner
from tritium.scheduling.sequence_batcher import SequenceBatcher
from tritium.scheduling.sequence_controls import is_empty_row


class SequenceRunner(BatchRunner):
    """A Scheduler for a model with sequences. Arguments as for ``BatchRunner``."""

    def __init__(
        self,
        policy: SequenceBatcher,
        instances: Sequence[ModelInstance],
        statistics: ModelStatistics,
        *,
        output_reshape: Reshape | None = None,
        order: ResponseOrder | None = None,
        limited: LimitedInstances | None = None,
        unavailable: Callable[[], str | None] = lambda: None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        super().__init__(
            policy,
            instances,
            statistics,
            output_reshape=output_reshape,
            order=order,
            limited=limited,
            unavailable=unavailable,
            now_ns=now_ns,
        )
        self._sequences = policy

    def lost(self, instance: ModelInstance) -> None:
        """The worker of ``instance`` ended, and will be another one when it runs again."""
        self._sequences.lost(self.instances.index(instance), self._now_ns() // 1000)
        self.wake()

    async def stop(self) -> None:
        """Run what waits, then stop the instances together."""
        self._sequences.close(self._now_ns() // 1000)
        await super().stop()

    def _dispatch(self) -> None:
        self._dispatch_scheduled = False
        self._report_cancelled()
        unfilled: list[int] = []
        for index, instance in enumerate(self.instances):
            if self._give(index, instance):
                unfilled.append(index)
        self._report_cancelled()
        self._wake_later(unfilled)

    def _give(self, index: int, instance: ModelInstance) -> bool:
        """Batches for one instance: whether it could take another."""
        given = False
        found = False
        order = self._order
        while instance.in_flight < instance.capacity and (order is None or not order.full):
            now_ns = self._now_ns()
            if self._limited is not None and not self._has_turn(index, now_ns):
                break
            requests = self._sequences.next_batch(now_ns // 1000, index)
            if requests is None:
                found = True
                break
            self._running += 1
            given = True
            if order is not None:
                order.begin(request for request in requests if not is_empty_row(request))
            instance.execute(Batch(requests, len(requests), now_ns, self._done, self._sent))
        if given:
            instance.flush()
        if self._limited is not None:
            self._settle_one(index, unused=True)
        return found

    def _has_turn(self, index: int, now_ns: int) -> bool:
        """Whether an instance that is limited may run what it has; one that has nothing asks for no turn."""
        assert self._limited is not None
        self._sequences.prepare(now_ns // 1000, index)
        offers = self._sequences.offers(now_ns // 1000, index)
        return offers and self._limited.may_run(self.instances[index])

    def _settle(self, *, unused: bool = False) -> None:
        for index in range(len(self.instances)):
            self._settle_one(index, unused=unused)

    def _settle_one(self, index: int, *, unused: bool) -> None:
        """Before another instance asks, so that two that wait for company do not wake each other in turns."""
        assert self._limited is not None
        more = self._sequences.offers(self._now_ns() // 1000, index)
        self._limited.settle(self.instances[index : index + 1], more, unused=unused)

    def _done(self, batch: Batch, outcome: Outcome) -> None:
        self._sequences.done(batch.requests, outcome, self._now_ns() // 1000)
        super()._done(*_without_empty_rows(batch, outcome))
        self._report_cancelled()
        self._wake_later(())

    def _sent(self, request: InferenceRequest, response: InferenceResponse, final: bool) -> None:
        self._sequences.sent(request, response)
        super()._sent(request, response, final)

    def _queue_again(self, request: InferenceRequest, now_ns: int) -> None:
        """The policy has done so."""

    def _report_cancelled(self) -> None:
        """Answer what left the queue without running (again), and count it."""
        now_ns = self._now_ns()
        left = False
        for request, error in self._sequences.take_expired(now_ns // 1000):
            left = True
            cancelled = isinstance(error, CancelledError)
            reason = FailureReason.CANCELED if cancelled else FailureReason.REJECTED
            self._statistics.record_failure(reason, now_ns - request.arrival_ns)
            request.stream.fail(error)
            self._end_turn(request)
        for request in self._sequences.take_cancelled():
            left = True
            self._statistics.record_failure(FailureReason.CANCELED, now_ns - request.arrival_ns)
            self._end_turn(request)
        if left:
            if len(self._sequences):
                self.wake()  # slots may have become free for instances that were looked at before
            self._note_drained()

    def _wake_later(self, unfilled: Sequence[int]) -> None:
        """Set the timer for what is due next, unless it rings before that anyway."""
        times = (self._sequences.next_wakeup_us(unfilled), self._sequences.next_expiry_us())
        wakeup_us = min((time for time in times if time is not None), default=None)
        if wakeup_us is not None and (self._timer is None or wakeup_us < self._timer_us):
            self._arm_timer(wakeup_us)


def _without_empty_rows(batch: Batch, outcome: Outcome) -> tuple[Batch, Outcome]:
    """What clients and statistics are told of a batch: its requests, but all its rows."""
    places = [place for place, request in enumerate(batch.requests) if not is_empty_row(request)]
    if len(places) == len(batch.requests):
        return batch, outcome
    requests = [batch.requests[place] for place in places]
    told = Outcome(
        [outcome.responses[place] for place in places],
        outcome.compute_input_ns,
        outcome.compute_infer_ns,
        outcome.compute_output_ns,
        frozenset(new for new, old in enumerate(places) if old in outcome.delivered),
        frozenset(new for new, old in enumerate(places) if old in outcome.again),
    )
    return Batch(requests, batch.rows, batch.dispatched_ns, batch.done, batch.sent), told
