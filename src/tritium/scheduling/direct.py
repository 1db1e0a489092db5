"""The default policy: first in, first out, one request per execution, as Triton without dynamic_batching."""

from __future__ import annotations

from collections import deque

from tritium.core.request import InferenceRequest
from tritium.errors import UnavailableError


class DirectPolicy:
    """A bounded first-in-first-out queue; who gave up makes room when it is full.

    Requests that find others waiting are told of when they are cancelled. The first one is not: it mostly
    runs at once, so it is looked at instead.
    """

    collects = False

    def __init__(self, max_queue_size: int) -> None:
        self._max_queue_size = max_queue_size
        self._queue: deque[InferenceRequest] = deque()
        self._cancelled: list[InferenceRequest] = []
        self._given_up = False  # perhaps somebody who waits

    def add(self, request: InferenceRequest, now_us: int) -> None:
        """Queue ``request``; raises UnavailableError when the queue is full."""
        if self._queue:
            if len(self._queue) >= self._max_queue_size:
                self._make_room(request)
            request.stream.wait(0, self._on_cancel)
            self._given_up = self._given_up or request.stream.cancelled
        self._queue.append(request)

    def _make_room(self, request: InferenceRequest) -> None:
        if self._given_up or self._queue[0].stream.cancelled:
            self._given_up = False
            self._cancelled += (one for one in self._queue if one.stream.cancelled)
            self._queue = deque(one for one in self._queue if not one.stream.cancelled)
        if len(self._queue) >= self._max_queue_size:
            raise UnavailableError(f"{request.label} Exceeds maximum queue size")

    def _on_cancel(self, number: int) -> None:
        self._given_up = True

    def next_batch(self, now_us: int) -> list[InferenceRequest] | None:
        """The oldest request that is still wanted."""
        while self._queue:
            request = self._queue.popleft()
            if not request.stream.cancelled:
                return [request]
            self._cancelled.append(request)
        return None

    def next_wakeup_us(self) -> int | None:
        """Never: only an arrival or a free instance changes anything."""
        return None

    def take_expired(self, now_us: int) -> tuple[()]:
        """Nothing: Triton ignores time-outs without dynamic_batching."""
        return ()

    def next_expiry_us(self) -> int | None:
        """Never."""
        return None

    def take_cancelled(self) -> list[InferenceRequest]:
        """Requests that were skipped because their client had gone."""
        taken, self._cancelled = self._cancelled, []
        return taken

    def take_all(self) -> list[InferenceRequest]:
        """Everything that waits."""
        taken = [*self._queue]
        self._queue.clear()
        return taken

    def __len__(self) -> int:
        return len(self._queue)
