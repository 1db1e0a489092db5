"""Fuzz the HTTP/2 layer for some minutes: python -m benchmarks.http2_fuzz --minutes 10

Ends with status 1 and the smallest case if anything is raised, an invariant fails or memory grows.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.unit.http2.fuzzing import FRAMES, check_session, mutated, plausible
from tests.unit.http2.peers import frame
from tritium.http2.frames import PREFACE, SETTINGS

_OPENING = PREFACE + frame(SETTINGS)
_EXAMPLES = 500
_MAX_GROWTH_KB = 64 << 10  # most of it is hypothesis'
_SESSIONS = st.one_of(plausible(), plausible(), st.lists(FRAMES, min_size=1, max_size=40))
_STEPS = st.sampled_from([1, 7, 100, 1 << 20])


class Counts:
    """What was done so far."""

    def __init__(self) -> None:
        self.sessions = self.requests = self.bytes = 0

    def run(self, data: bytes, step: int) -> None:
        """One session."""
        self.sessions += 1
        self.bytes += len(data)
        self.requests += check_session(data, step)


def run_round(counts: Counts, seed: int) -> None:
    """Some hundred sessions: most are frames, some bytes, some frames with bytes changed."""

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[*HealthCheck],
    )
    @given(st.data(), _SESSIONS, st.integers(0, 4), _STEPS, st.just(seed))
    def session(data: st.DataObject, frames: list[bytes], kind: int, step: int, seed: int) -> None:
        if kind == 0:
            counts.run(_OPENING + data.draw(st.binary(max_size=500)), step)
        else:
            whole = b"".join(frames)
            counts.run(_OPENING + (whole if kind <= 3 else mutated(whole, data)), step)

    session()


def main() -> int:
    """Run until the time is over: the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    end_s = time.monotonic() + parser.parse_args().minutes * 60
    counts, rounds, settled_kb = Counts(), 0, 0
    while time.monotonic() < end_s:
        run_round(counts, rounds)
        rounds += 1
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if rounds == 5:
            settled_kb = peak_kb
    print(
        f"{counts.sessions} sessions, {counts.requests} requests, {counts.bytes / 1e6:.1f} MB in; "
        f"peak memory {peak_kb} KB, after five rounds {settled_kb} KB"
    )
    return int(rounds > 5 and peak_kb > settled_kb + _MAX_GROWTH_KB)


if __name__ == "__main__":
    sys.exit(main())
