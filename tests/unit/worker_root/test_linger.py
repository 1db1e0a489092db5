from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator

import pytest

from tritium_worker.linger import LIMIT_NS, Linger


class Clock:
    """Time that goes on by a microsecond each time that somebody looks."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        self.now_ns += 1000
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter_ns", clock)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    return clock


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def alone(waits: Linger) -> Linger:
    """After many wake-ups that brought one request each, the last of them at once."""
    for _ in range(100):
        waits.note(1)
    return waits


def test_with_several_clients_it_never_waits_awake(
    clock: Clock, pair: tuple[socket.socket, socket.socket]
) -> None:
    waits = Linger(pair[0])
    for _ in range(100):
        waits.note(3)
    waits.wait()
    assert clock.now_ns == 0


def test_after_a_long_wait_it_sleeps_until_there_is_something(
    clock: Clock, pair: tuple[socket.socket, socket.socket]
) -> None:
    waits = alone(Linger(pair[0]))
    pair[1].send(b"x")
    waits.wait()
    assert select.select([pair[0]], [], [], 0)[0]


def test_one_client_that_asks_again_at_once_is_waited_for_awake_and_not_for_ever(
    clock: Clock, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    yields: list[int] = []
    monkeypatch.setattr(os, "sched_yield", lambda: yields.append(clock.now_ns))
    waits = alone(Linger(pair[0]))
    pair[1].send(b"x")
    waits.wait()  # short: the next wait is spent awake
    pair[0].recv(1)
    began_ns = clock.now_ns
    waits.wait()
    assert len(yields) > 10
    assert LIMIT_NS <= clock.now_ns - began_ns < 2 * LIMIT_NS


def test_whoever_waits_for_one_answer_at_a_time_is_awake_from_the_second_on(
    clock: Clock, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    yields: list[int] = []
    monkeypatch.setattr(os, "sched_yield", lambda: yields.append(clock.now_ns))
    waits = Linger(pair[0], mean_requests=1.0)
    pair[1].send(b"x")
    waits.wait()
    assert not yields
    pair[0].recv(1)
    waits.wait()
    assert len(yields) > 10


def test_on_one_core_there_is_no_use_in_it(
    clock: Clock, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    alone(Linger(pair[0])).wait()
    assert clock.now_ns == 0
