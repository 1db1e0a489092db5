"""The loop's thread goes before others where the system allows it, and only it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tritium.execution.priority import LOOP_NICENESS

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.getpriority(os.PRIO_PROCESS, 0) != 0,
    reason="threads have a niceness on Linux, and only one that nobody chose is changed",
)

_FORBIDDEN = "os.setpriority = lambda *_: (_ for _ in ()).throw(PermissionError())"
_REPORT = """
import os, subprocess, sys, threading
from tritium.execution.priority import put_loop_first
{before}
put_loop_first()
seen = [os.getpriority(os.PRIO_PROCESS, 0)]
thread = threading.Thread(target=lambda: seen.append(os.getpriority(os.PRIO_PROCESS, 0)))
thread.start(); thread.join()
child = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"
seen.append(int(subprocess.run([sys.executable, "-c", child], capture_output=True, check=True).stdout))
print(*seen)
"""


def _nicenesses(before: str = "") -> list[int]:
    """Of the thread that was put first, of a thread and of a process that it started."""
    command = [sys.executable, "-c", _REPORT.format(before=before)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [int(word) for word in output.split()]


def _may_be_raised() -> bool:
    attempt = f"import os; os.setpriority(os.PRIO_PROCESS, 0, {LOOP_NICENESS})"
    return subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False).returncode == 0


def test_the_loop_goes_first_and_what_it_starts_does_not() -> None:
    if not _may_be_raised():
        pytest.skip("this user may not raise a priority")
    assert _nicenesses() == [LOOP_NICENESS, 0, 0]


def test_nothing_changes_where_the_system_forbids_it() -> None:
    assert _nicenesses(_FORBIDDEN) == [0, 0, 0]


def test_a_niceness_that_someone_chose_is_left_alone() -> None:
    assert _nicenesses("os.nice(7)") == [7, 7, 7]
