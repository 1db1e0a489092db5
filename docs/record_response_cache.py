"""Record questions to a model whose answers are kept, and draw: ``python -m docs.record_response_cache``."""

from __future__ import annotations

import sys

from docs.draw_timeline import Bar
from docs.recording import Question, publish, record

_CONFIG = """
max_batch_size: 1
response_cache { enable: true }
"""
_ASKED = {  # by who asks: what, how long the model works for it in ms, and when in ms
    "question A": ("A", 30, (0, 110, 150, 190)),
    "A, another client": ("A", 30, (10, 170)),
    "question B": ("B", 31, (80, 130, 200)),
    "question C": ("C", 32, (120, 210)),
}


def main() -> int:
    """Record, and draw."""
    asked = [
        (lane, name, Question("m", at, ms)) for lane, (name, ms, times) in _ASKED.items() for at in times
    ]
    runs = record(
        {"m": _CONFIG}, [question for *_, question in asked], "--cache-config", "local,size=1048576"
    )
    found = list(zip(asked, runs, strict=True))
    executions = sorted({(run.began_ms, run.ended_ms, name) for (_, name, _), run in found})
    bars = [Bar("the model runs", began, ended, name, "runs") for began, ended, name in executions]
    for (lane, _, _), run in found:
        kept = run.sent_ms > run.ended_ms
        label, kind = ("hit", "kept") if kept else ("miss", "waits")
        bars.append(Bar(lane, run.sent_ms, run.answered_ms, label, kind))
    publish("response_cache", "three questions, from asked to answered", bars)
    return 0


if __name__ == "__main__":
    sys.exit(main())
