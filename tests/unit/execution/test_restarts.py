"""Tests for ``tritium.execution.restarts``."""

from __future__ import annotations

from tritium.execution.restarts import Restarts
from tritium.execution.worker_end import EndReason


def test_every_reason_is_counted_and_shown_from_the_beginning() -> None:
    restarts = Restarts()
    assert set(restarts.by_reason().values()) == {0}
    restarts.crashed("m_0", EndReason.EXIT, "exited")
    restarts.crashed("m_1", EndReason.EXIT, "exited")
    restarts.recycled()
    assert {reason: n for reason, n in restarts.by_reason().items() if n} == {"exit": 2, "recycled": 1}


def test_crashes_open_the_breaker_and_recycling_does_not() -> None:
    restarts = Restarts()
    for _ in range(20):
        restarts.recycled()
    opened = [restarts.breaker.open]
    delays = [restarts.crashed("m_1", EndReason.SIGNAL, "was killed by signal 11") for _ in range(5)]
    assert delays[0] == 0.0
    opened.append(restarts.breaker.open)
    assert opened == [False, True]
    assert restarts.broken_text == (
        "model instance 'm_1' crashed repeatedly and is paused: its worker last was killed by signal 11"
    )
