"""What the system knows of a worker's process (Linux; nothing is known elsewhere)."""

from __future__ import annotations

import os
from dataclasses import dataclass

_STOPPED_STATES = frozenset("Tt")


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One look at /proc/PID/stat."""

    stopped: bool  # by a signal: it will not come back by itself
    cpu_s: float  # user and system, all threads
    resident_bytes: int


def process_state(pid: int) -> ProcessState | None:
    """How a process is; None if it is gone, or where that cannot be seen."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        pages = int(fields[21])
    except (OSError, IndexError, ValueError):
        return None
    return ProcessState(
        fields[0] in _STOPPED_STATES,
        ticks / os.sysconf("SC_CLK_TCK"),
        pages * os.sysconf("SC_PAGE_SIZE"),
    )
