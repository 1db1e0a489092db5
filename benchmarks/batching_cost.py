"""What the dynamic batcher's decisions cost, the policy alone: microseconds of processor time per request.

``python -m benchmarks.batching_cost`` prints the curve over the length of the queue and the number of
priority levels, writes it to ``batching_cost.md`` and brings RESULTS.md up to date. Exit code 1: the bar does
not hold.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.report import machine_facts, refresh
from tritium.core.model_config import DynamicBatching, ModelConfig, ModelInput, QueuePolicy
from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import Tensor
from tritium.scheduling.choice import scheduling_of
from tritium.scheduling.policy import BatchPolicy

LENGTHS = (10, 100, 1_000, 10_000, 100_000)
LEVELS = (0, 10, 1_000)
BAR_US = 5.0  # at 10,000 requests
BATCH = 64
_ROUNDS = 5
_MOVED = 12_800  # requests that come and go in one measurement
_WIDTH = 40  # of the drawn curve
_RESULTS = Path(__file__).with_name("batching_cost.md")


@dataclass(frozen=True, slots=True)
class Point:
    """The cost of one request to come, be put into a batch, and leave, while ``length`` others wait."""

    length: int
    levels: int
    us: float


def measure(length: int, levels: int) -> Point:
    """The median of some rounds, each on a queue of its own."""
    gc.collect()
    gc.freeze()
    rounds = [_round(length, levels, seed) for seed in range(_ROUNDS)]
    gc.unfreeze()
    return Point(length, levels, statistics.median(rounds))


def _round(length: int, levels: int, seed: int) -> float:
    dice = random.Random(seed)
    policy = _policy(length, levels)
    now_us = 0
    for request in _requests(length, levels, dice):
        policy.add(request, now_us)
        now_us += 1
    coming = iter(_requests(_MOVED, levels, dice))
    began_ns = time.process_time_ns()
    for _ in range(_MOVED // BATCH):
        for _ in range(BATCH):
            now_us += 1
            policy.add(next(coming), now_us)
            policy.next_expiry_us()
        batch = policy.next_batch(now_us)
        assert batch is not None and len(batch) == BATCH
    return (time.process_time_ns() - began_ns) / 1000 / _MOVED


def _policy(length: int, levels: int) -> BatchPolicy:
    """As the server makes it: every request has a time-out, and shapes that have to be compared."""
    batching = DynamicBatching(
        max_queue_delay_microseconds=200,
        priority_levels=levels,
        default_priority_level=max(1, levels // 2) if levels else 0,
        default_queue_policy=QueuePolicy(default_timeout_microseconds=10**12),
    )
    config = ModelConfig(
        name="m",
        max_batch_size=BATCH,
        input=(ModelInput("IN", "TYPE_FP32", dims=(-1,)),),
        dynamic_batching=batching,
    )
    return scheduling_of(config, length + 2 * BATCH).policy


def _requests(count: int, levels: int, dice: random.Random) -> list[InferenceRequest]:
    tensor = Tensor.from_array("IN", np.zeros((1, 4), np.float32))
    return [
        InferenceRequest(
            "m",
            [tensor],
            ResponseStream(lambda response, final: None),
            priority=dice.randint(0, levels) if levels else 0,
        )
        for _ in range(count)
    ]


def render(points: Sequence[Point]) -> str:
    """Markdown: a table, whose bars are the curve."""
    method = (
        f"Processor time of the policy alone for one request: it comes, is put into a batch of {BATCH}, and "
        "leaves, while so many others wait. Every request has a time-out, and its shape is compared."
    )
    longest = max(point.us for point in points)
    lines = [
        "## What batching decides, and what that costs",
        "",
        "Written by `python -m benchmarks.batching_cost`; do not edit.",
        "",
        *(f"- {name}: {value}" for name, value in machine_facts().items()),
        "",
        method,
        "",
        "| levels | waiting | us | |",
        "|---|---|---|---|",
    ]
    for point in points:
        bar = "#" * max(1, math.ceil(point.us / longest * _WIDTH))
        lines.append(f"| {point.levels or 1} | {point.length:,} | {point.us:.2f} | `{bar}` |")
    worst = max(point.us for point in points if point.length == 10_000)
    held = "holds" if worst <= BAR_US else "**does not hold**"
    lines += ["", f"At 10,000 waiting: at most {worst:.2f} us; the bar of {BAR_US:g} us {held}.", ""]
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and write the fragment of RESULTS.md."""
    points = [measure(length, levels) for levels in LEVELS for length in LENGTHS]
    text = render(points)
    print(text)
    _RESULTS.write_text(text)
    refresh()
    return int(any(point.us > BAR_US for point in points if point.length == 10_000))


if __name__ == "__main__":
    sys.exit(main())
