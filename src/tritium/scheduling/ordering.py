"""``preserve_ordering``: answers leave in the order in which their requests did. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse


@dataclass(slots=True)
class _Turn:
    request: InferenceRequest
    held: list[tuple[InferenceResponse, bool]] = field(default_factory=list)


class ResponseOrder:
    """Holds answers back until every request that left the queue earlier has its last one.

    Args:
        limit: requests that may be on their way before ``full``; what is held back is bounded by it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._turns: deque[_Turn] = deque()
        self._by_request: dict[int, _Turn] = {}

    @property
    def full(self) -> bool:
        """Whether no more batches should run before the oldest one is answered."""
        return len(self._turns) >= self._limit

    def begin(self, requests: Iterable[InferenceRequest]) -> None:
        """``requests`` leave the queue; one that runs once more keeps its turn."""
        for request in requests:
            if id(request) not in self._by_request:
                turn = self._by_request[id(request)] = _Turn(request)
                self._turns.append(turn)

    def send(self, request: InferenceRequest, response: InferenceResponse, final: bool) -> None:
        """Deliver ``response`` when it is its request's turn."""
        turn = self._by_request[id(request)]
        if turn is not self._turns[0]:
            turn.held.append((response, final))
            return
        request.stream.send(response, final=final)
        if final:
            self._next()

    def end(self, request: InferenceRequest) -> None:
        """``request``, if it has a turn, runs no more, and whoever waits for it has been told."""
        if id(request) in self._by_request:
            self.send(request, InferenceResponse(empty=True), True)

    def _next(self) -> None:
        """The oldest request has its answer: let go what the next ones have."""
        while True:
            done = self._turns.popleft()
            del self._by_request[id(done.request)]
            if not self._turns:
                return
            turn = self._turns[0]
            for response, final in turn.held:
                turn.request.stream.send(response, final=final)
            if not turn.held or not turn.held[-1][1]:
                turn.held.clear()
                return
