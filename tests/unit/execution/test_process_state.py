"""Tests for ``tritium.execution.process_state``."""

from __future__ import annotations

import os
import sys

import pytest

from tritium.execution.process_state import process_state

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def test_this_process_runs_uses_time_and_has_memory() -> None:
    state = process_state(os.getpid())
    assert state is not None
    assert not state.stopped
    assert state.cpu_s > 0
    assert state.resident_bytes > 1 << 20


def test_nothing_is_known_of_a_process_that_is_not_there() -> None:
    assert process_state(2**30) is None
