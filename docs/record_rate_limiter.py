"""Record three models that share a resource and draw it: ``python -m docs.record_rate_limiter``."""

from __future__ import annotations

import sys

from docs.draw_timeline import Bar
from docs.recording import Question, publish, record

_CONFIG = """
max_batch_size: 1
instance_group {{
  count: 1
  rate_limiter {{ resources {{ name: "memory" count: {count} }} priority: {priority} }}
}}
"""
_MODELS = {"small": (1, 1), "rare": (1, 3), "large": (2, 1)}  # what each needs, and its priority
_QUESTIONS = {"small": 6, "rare": 3, "large": 3}


def main() -> int:
    """Record, and draw."""
    configs = {name: _CONFIG.format(count=n, priority=p) for name, (n, p) in _MODELS.items()}
    questions = [Question(name, 0, 30) for name, count in _QUESTIONS.items() for _ in range(count)]
    runs = record(configs, questions, "--rate-limit", "execution_count", "--rate-limit-resource", "memory:2")
    bars = []
    for name, (count, priority) in _MODELS.items():
        own = sorted(
            (run.began_ms, run.ended_ms)
            for question, run in zip(questions, runs, strict=True)
            if question.model == name
        )
        lane = f"{name}: {count} of 2, priority {priority}"
        bars += [Bar(lane, *times, str(place + 1), name) for place, times in enumerate(own)]
    publish("rate_limiter", "three models that share 2 of a resource, each with its requests waiting", bars)
    return 0


if __name__ == "__main__":
    sys.exit(main())
