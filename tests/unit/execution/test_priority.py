"""The loop's thread goes before others where the system allows it, and only it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.harness.priority import may_be_raised
from tritium.execution.priority import LOOP_NICENESS

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.getpriority(os.PRIO_PROCESS, 0) != 0,
    reason="threads have a niceness on Linux, and only one that nobody chose is changed",
)

_FORBIDDEN = "os.setpriority = lambda *_: (_ for _ in ()).throw(PermissionError())"
_REPORT = """
import logging, os, subprocess, sys, threading
from tritium.execution import priority
logging.basicConfig(level="INFO")
priority.available_cores = lambda: 2
{before}
priority.put_loop_first()
seen = [os.getpriority(os.PRIO_PROCESS, 0)]
thread = threading.Thread(target=lambda: seen.append(os.getpriority(os.PRIO_PROCESS, 0)))
thread.start(); thread.join()
child = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"
seen.append(int(subprocess.run([sys.executable, "-c", child], capture_output=True, check=True).stdout))
print(*seen)
"""


def _nicenesses(before: str = "") -> tuple[list[int], str]:
    """Of the thread that was put first, of a thread and of a process that it started; and what was logged."""
    command = [sys.executable, "-c", _REPORT.format(before=before)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [int(word) for word in ended.stdout.split()], ended.stderr


def test_the_loop_goes_first_and_what_it_starts_does_not() -> None:
    if not may_be_raised():
        pytest.skip("this user may not raise a priority")
    assert _nicenesses() == ([LOOP_NICENESS, 0, 0], "")


def test_where_the_system_forbids_it_the_log_says_how_to_allow_it() -> None:
    nicenesses, log = _nicenesses(_FORBIDDEN)
    assert nicenesses == [0, 0, 0]
    assert "CAP_SYS_NICE" in log
    assert f"LimitNICE={LOOP_NICENESS}" in log


def test_a_niceness_that_someone_chose_is_left_alone() -> None:
    assert _nicenesses("os.nice(7)") == ([7, 7, 7], "")


def test_a_scheduling_policy_that_someone_chose_is_left_alone() -> None:
    chosen = "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))"
    forbidden = "os.sched_setscheduler = lambda *_: print('changed')"
    assert _nicenesses(f"{chosen}; {forbidden}") == ([0, 0, 0], "")


def test_on_one_core_the_loop_stays_an_equal_of_its_workers() -> None:
    assert _nicenesses("priority.available_cores = lambda: 1") == ([0, 0, 0], "")
