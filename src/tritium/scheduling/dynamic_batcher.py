"""Dynamic batching: requests that arrive close together run together.

The rules are Triton's. A batch is formed in arrival order, requests are never split, and requests with
different input sets, shapes or datatypes are never mixed. A batch leaves when an instance is free and one
of these holds:

    full       the next request does not fit, or the rows reach the largest size allowed
    preferred  the oldest requests make up a preferred batch size; they leave without those behind them
    mismatch   the next request cannot join (other shapes)
    delay      the oldest request has waited max_queue_delay_us (at once, if that is 0)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tritium.core.request import InferenceRequest
from tritium.core.tensor import DataType
from tritium.errors import UnavailableError

Signature = tuple[tuple[str, DataType, tuple[int, ...]], ...]


class DynamicBatcher:
    """The policy of ``dynamic_batching``."""

    def __init__(
        self,
        max_batch_size: int,
        *,
        preferred_batch_sizes: Sequence[int] = (),
        max_queue_delay_us: int = 0,
        max_queue_size: int,
    ) -> None:
        self._max_rows = max(1, max_batch_size)
        self._preferred = frozenset(preferred_batch_sizes)
        self._delay_us = max_queue_delay_us
        self._max_queue_size = max_queue_size
        self._queue: deque[tuple[InferenceRequest, Signature, int]] = deque()  # with arrival in us
        self._cancelled: list[InferenceRequest] = []

    def add(self, request: InferenceRequest, now_us: int) -> None:
        """Queue ``request``; raises UnavailableError when the queue is full."""
        if len(self._queue) >= self._max_queue_size:
            raise UnavailableError(f"{request.label} Exceeds maximum queue size")
        self._queue.append((request, _signature(request), now_us))

    def next_batch(self, now_us: int) -> list[InferenceRequest] | None:
        """The batch that should leave now, oldest request first, or None while waiting pays."""
        self._drop_cancelled_head()
        if not self._queue:
            return None
        count, preferred, closed = self._candidate()
        overdue = now_us - self._queue[0][2] >= self._delay_us
        if not (closed or overdue):
            if not preferred:
                return None
            count = preferred
        batch: list[InferenceRequest] = []
        for _ in range(count):
            request = self._queue.popleft()[0]
            (self._cancelled if request.stream.cancelled else batch).append(request)
        return batch

    def _candidate(self) -> tuple[int, int, bool]:
        """Entries of the batch at the head, how many of them have a preferred size, and whether it is closed.

        The preferred size is the largest; 0 entries if there is none. Nothing more can join a closed batch.
        """
        signature = self._queue[0][1]
        count = rows = preferred = 0
        for request, its_signature, _ in self._queue:
            size = 0 if request.stream.cancelled else request.batch_size
            if its_signature != signature or rows + size > self._max_rows:
                return count, preferred, True
            rows += size
            count += 1
            if rows in self._preferred:
                preferred = count
            if rows == self._max_rows:
                return count, preferred, True
        return count, preferred, False

    def next_wakeup_us(self) -> int | None:
        """When the oldest request will have waited long enough."""
        return self._queue[0][2] + self._delay_us if self._queue else None

    def take_cancelled(self) -> list[InferenceRequest]:
        """Requests that left the queue because their client had gone."""
        taken, self._cancelled = self._cancelled, []
        return taken

    def take_all(self) -> list[InferenceRequest]:
        """Everything that waits."""
        taken = [entry[0] for entry in self._queue]
        self._queue.clear()
        return taken

    def _drop_cancelled_head(self) -> None:
        while self._queue and self._queue[0][0].stream.cancelled:
            self._cancelled.append(self._queue.popleft()[0])

    def __len__(self) -> int:
        return len(self._queue)


def _signature(request: InferenceRequest) -> Signature:
    """What requests that run together share: names, datatypes and shapes without the batch dimension."""
    inputs = request.inputs
    if len(inputs) == 1:
        only = inputs[0]
        return ((only.name, only.datatype, only.shape[1:]),)
    return tuple(sorted(((t.name, t.datatype, t.shape[1:]) for t in inputs), key=lambda entry: entry[0]))
