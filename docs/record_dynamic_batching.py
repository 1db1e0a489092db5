"""Record a run of the dynamic batcher and draw it: ``python -m docs.record_dynamic_batching``."""

from __future__ import annotations

import sys

from docs.draw_timeline import Bar
from docs.recording import Question, publish, record

_CONFIG = """
max_batch_size: 4
dynamic_batching {
  preferred_batch_size: 3
  max_queue_delay_microseconds: 60000
  priority_levels: 2
  default_priority_level: 2
}
"""
_ARRIVALS_MS = (0, 15, 30, 45, 55, 65, 70, 75, 200)
_URGENT = 7  # the place of the one with priority 1


def main() -> int:
    """Record, and draw."""
    questions = [
        Question("model", at_ms, 50, priority=1 if place == _URGENT else 2)
        for place, at_ms in enumerate(_ARRIVALS_MS)
    ]
    bars = []
    for place, run in enumerate(record({"model": _CONFIG}, questions)):
        lane = f"request {place + 1}" + (", priority 1" if place == _URGENT else "")
        bars.append(Bar(lane, run.sent_ms, run.began_ms, "waits", "waits"))
        bars.append(Bar(lane, run.began_ms, run.ended_ms, f"batch {run.batch}", "runs"))
    publish(
        "dynamic_batching",
        "preferred_batch_size: 3, a delay of 60 ms, two priority levels, one instance",
        bars,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
