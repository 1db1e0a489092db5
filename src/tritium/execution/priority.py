"""The loop's thread before the threads that compute beside it."""

from __future__ import annotations

import contextlib
import os
import sys

LOOP_NICENESS = -5  # three times the weight of a thread that computes


def put_loop_first() -> None:
    """Give the calling thread, the loop's, ``LOOP_NICENESS``, where the system lets it (root, RLIMIT_NICE).

    It hands out all work and soon sleeps again. As an equal of model threads that fill the cores it waits up
    to a whole slice of theirs (3 ms) while the instance that it has work for idles. A niceness that someone
    chose is left as it is; threads and workers that the loop starts do not inherit this one.
    """
    if not sys.platform.startswith("linux") or os.getpriority(os.PRIO_PROCESS, 0) != 0:
        return
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, LOOP_NICENESS)  # of the calling thread, on Linux
