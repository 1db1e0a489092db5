"""Dynamic batching: requests that arrive close together run together.

The rules are Triton's. When an instance is free, requests are looked at in the order of the queue (priority,
then arrival), and are never split. They make up a batch until one comes that does not fit
``max_batch_size`` or cannot run with them. Then, with preferred sizes and no delay that is over:

    the batch passed some preferred sizes    the largest of them leaves, without those behind it
    it jumped over the largest one           what was there before it leaves

else all of it leaves, if nothing more can join, if it is as large as the largest preferred size, if there is
no ``max_queue_delay_microseconds``, or if one of the batch has waited that long. Else the batch waits.

What was seen of a batch that waits is remembered, so that a request is looked at once however long that is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from tritium.core.request import InferenceRequest
from tritium.core.statistics import BatchReleases, ReleaseReason
from tritium.errors import TritiumError, UnavailableError
from tritium.scheduling.queue import QueueSettings, RequestQueue, Waiting


@dataclass(slots=True)
class _Candidate:
    """The batch at the head of the queue, as far as it was looked at."""

    removals: int  # of the queue, when it was begun: once somebody left it may be another batch
    last: Waiting | None = None
    count: int = 0
    rows: int = 0
    oldest_us: int = 0  # arrival of whoever waits longest
    signature: Hashable = None
    best_count: int = 0  # how many leave if the delay is not over; 0: not decided
    best_rows: int = 0
    closed: ReleaseReason | None = None  # why nothing more can join


class DynamicBatcher:
    """The policy of ``dynamic_batching``.

    Args:
        signature: of a request; those with the same one may run together. None: all may.
        releases: where is counted why batches left.
    """

    collects = True

    def __init__(
        self,
        max_batch_size: int,
        *,
        queue: QueueSettings,
        preferred_batch_sizes: Sequence[int] = (),
        max_queue_delay_us: int = 0,
        signature: Callable[[InferenceRequest], Hashable] | None = None,
        releases: BatchReleases | None = None,
    ) -> None:
        self._max_rows = max(1, max_batch_size)
        self._preferred = frozenset(preferred_batch_sizes)
        self._aim_rows = max(self._preferred, default=self._max_rows)
        self._delay_us = max_queue_delay_us
        self._signature = signature
        self._releases = releases if releases is not None else BatchReleases()
        self._queue = RequestQueue(queue)
        self._candidate = _Candidate(0)

    def add(self, request: InferenceRequest, now_us: int) -> None:
        """Queue ``request``; raises UnavailableError when the queue is full."""
        entry = self._queue.add(request, now_us)
        if self._signature is not None:
            entry.signature = self._signature(request)
        last = self._candidate.last
        if last is not None and entry.place < last.place:
            self._candidate = _Candidate(self._queue.removals)

    def next_batch(self, now_us: int) -> list[InferenceRequest] | None:
        """The batch that should leave now, oldest request first, or None while waiting pays."""
        queue = self._queue
        queue.delay_late(now_us)
        if queue.head is None:
            return None
        found = self._look()
        overdue = self._delay_us > 0 and now_us - found.oldest_us >= self._delay_us
        if found.best_count and not overdue:
            aimed = found.best_rows in self._preferred and found.best_rows < self._max_rows
            return self._release(found.best_count, ReleaseReason.PREFERRED if aimed else ReleaseReason.FULL)
        if found.closed is ReleaseReason.FULL:
            return self._release(found.count, ReleaseReason.FULL)
        if overdue:
            return self._release(found.count, ReleaseReason.DELAY)
        if found.closed is not None:
            return self._release(found.count, found.closed)
        if found.rows >= self._aim_rows:
            return self._release(found.count, ReleaseReason.FULL)
        if self._delay_us == 0:
            return self._release(found.count, ReleaseReason.NO_MORE)
        return None

    def _look(self) -> _Candidate:
        """The batch at the head of a queue that is not empty, with who joined since the last look."""
        found = self._candidate
        if found.removals != self._queue.removals:
            found = self._candidate = _Candidate(self._queue.removals)
        entry = self._queue.head if found.last is None else found.last.next
        while entry is not None and found.closed is None:
            rows = found.rows + entry.rows
            if found.last is None:
                found.signature, found.oldest_us = entry.signature, entry.arrival_us
            else:
                if rows > self._aim_rows and not found.best_count:
                    found.best_count, found.best_rows = found.count, found.rows
                if rows > self._max_rows:
                    found.closed = ReleaseReason.FULL
                    break
                if entry.signature != found.signature:
                    found.closed = ReleaseReason.NO_MORE
                    break
                found.oldest_us = min(found.oldest_us, entry.arrival_us)
            found.last, found.rows = entry, rows
            found.count += 1
            if rows in self._preferred:
                found.best_count, found.best_rows = found.count, rows
            if rows >= self._max_rows:
                found.closed = ReleaseReason.FULL
            entry = entry.next
        return found

    def _release(self, count: int, reason: ReleaseReason) -> list[InferenceRequest]:
        """Take the first ``count`` requests out of the queue."""
        self._releases.counts[reason] += 1
        batch = []
        for _ in range(count):
            entry = self._queue.head
            assert entry is not None
            self._queue.remove(entry)
            batch.append(entry.request)
        return batch

    def next_wakeup_us(self) -> int | None:
        """When one of the batch that waits will have waited long enough."""
        return self._look().oldest_us + self._delay_us if self._queue.head is not None else None

    def take_expired(self, now_us: int) -> list[tuple[InferenceRequest, TritiumError]]:
        """Requests whose time in the queue is over."""
        error = UnavailableError("Request timeout expired")
        return [(request, error) for request in self._queue.take_late(now_us)]

    def next_expiry_us(self) -> int | None:
        """When ``take_expired`` has something next."""
        return self._queue.next_deadline_us()

    def take_cancelled(self) -> list[InferenceRequest]:
        """Requests that left the queue because their client had gone."""
        return self._queue.take_cancelled()

    def take_all(self) -> list[InferenceRequest]:
        """Everything that waits."""
        taken = list(self._queue)
        for entry in taken:
            self._queue.remove(entry)
        return [entry.request for entry in taken]

    def __len__(self) -> int:
        return len(self._queue)
