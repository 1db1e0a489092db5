"""Processor cores: how many there are, and which instance gets which."""

from __future__ import annotations

import os
from itertools import pairwise


def available_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its cgroup."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as limit:
            quota, period = limit.read().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return cores


def core_shares(instances: int) -> list[str]:
    """The cores of each instance, as ``0,1``; empty where one instance has them all.

    With more instances than cores, several share one.
    """
    if instances < 2 or not hasattr(os, "sched_getaffinity"):
        return [""] * instances
    return shares_of(sorted(os.sched_getaffinity(0)), instances)


def shares_of(cores: list[int], instances: int) -> list[str]:
    """``cores`` dealt out to ``instances``, neighbours together."""
    count = len(cores)
    if instances >= count:
        return [str(cores[index % count]) for index in range(instances)]
    bounds = [index * count // instances for index in range(instances + 1)]
    return [",".join(map(str, cores[start:stop])) for start, stop in pairwise(bounds)]
