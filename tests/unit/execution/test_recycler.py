"""Tests for ``tritium.execution.recycler``."""

from __future__ import annotations

from tritium.execution.recycler import RecycleLimits, Recycler


def test_a_worker_is_due_when_it_has_answered_its_requests() -> None:
    recycler = Recycler(RecycleLimits(requests=5))
    assert recycler.answered(4) is None
    assert recycler.answered(2) == "has answered 6 requests"
    assert recycler.grown(1 << 40) is None


def test_a_worker_is_due_when_it_has_grown() -> None:
    recycler = Recycler(RecycleLimits(resident_bytes=100 << 20))
    assert recycler.answered(1_000_000) is None
    assert recycler.grown(100 << 20) is None
    assert recycler.grown(101 << 20) == "uses 101 MB, more than 100"
