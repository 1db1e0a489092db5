"""Why workers end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


class EndReason(StrEnum):
    """The ``reason`` of ``tritium_worker_restarts_total``."""

    EXIT = "exit"  # it ended by itself
    SIGNAL = "signal"  # killed, by itself (a crash) or by somebody else
    OOM = "oom"  # killed by the system, which was out of memory
    STOPPED = "stopped"  # SIGSTOP, for too long
    TIMEOUT = "timeout"  # an execution, or loading, took longer than its limit
    PROTOCOL = "protocol"  # it sent what cannot be read, or stalled in the middle of a message
    RECYCLED = "recycled"  # it had served enough; no crash
    LOAD = "load"  # a worker that was started again could not load the model


@dataclass(frozen=True, slots=True)
class WorkerEnd:
    """One end, as it continues "worker of 'm_0' …".

    ``log_text`` may say more than ``text``, which clients see: what the worker wrote last.
    """

    reason: EndReason
    text: str
    log_text: str


def worker_end(reason: EndReason, text: str) -> WorkerEnd:
    """An end about which clients may know everything."""
    return WorkerEnd(reason, text, text)


class OomKills:
    """What the system killed in this process's cgroup because memory ran out (Linux, cgroup v2).

    Args:
        events: the cgroup's ``memory.events``; None to look for it.
    """

    def __init__(self, events: Path | None = None) -> None:
        self._events = _memory_events() if events is None else events
        self._claimed = self._count()

    def claim(self) -> bool:
        """Whether there was one that nobody has claimed: whose process was killed asks."""
        count = self._count()
        if count <= self._claimed:
            return False
        self._claimed += 1
        return True

    def _count(self) -> int:
        try:
            lines = self._events.read_text(encoding="ascii").splitlines()
            return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
        except (OSError, ValueError, IndexError):
            return 0


def _memory_events() -> Path:
    """Where the kernel counts for this process; a file that is not there in the root cgroup and elsewhere."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    return _CGROUPS / own.strip().lstrip("/") / "memory.events"
