from __future__ import annotations

import asyncio
import select
import selectors
import socket
from typing import Any

import pytest

from tritium_worker.exact_timers import ExactSelector, new_event_loop


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time-outs that ``select.select`` is called with; it does not wait."""
    seen: list[float] = []

    def record(readers: list[int], _writers: Any, _errors: Any, timeout: float) -> Any:
        assert len(readers) == 1
        seen.append(timeout)
        return [], [], []

    monkeypatch.setattr(select, "select", record)
    return seen


def test_short_waits_are_not_rounded_to_milliseconds(waits: list[float]) -> None:
    with ExactSelector() as selector:
        assert selector.select(0.0123) == []
    assert waits == [0.0123]


@pytest.mark.parametrize("timeout", [0, -1, None, 3600.0])
def test_other_waits_are_those_of_epoll(waits: list[float], timeout: float | None) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ExactSelector() as selector:
        selector.register(ours, selectors.EVENT_READ)
        theirs.send(b"x")
        assert [key.fd for key, _ in selector.select(timeout)] == [ours.fileno()]
    assert waits == []


def test_what_can_be_read_is_found_during_a_short_wait() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ExactSelector() as selector:
        selector.register(ours, selectors.EVENT_READ)
        theirs.send(b"x")
        assert [key.fd for key, _ in selector.select(0.04)] == [ours.fileno()]


def test_the_loop_runs_timers_and_sockets() -> None:
    loop = new_event_loop()
    ours, theirs = socket.socketpair()

    async def work() -> bytes:
        reader, writer = await asyncio.open_connection(sock=ours)
        loop.call_later(0.002, theirs.send, b"x")
        data = await reader.read(1)
        writer.close()
        await writer.wait_closed()
        return data

    try:
        assert loop.run_until_complete(work()) == b"x"
    finally:
        loop.close()
        theirs.close()
