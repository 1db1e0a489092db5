"""Thousands of random requests, cancels, completions, deaths and pauses, against the slow model."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from tests.unit.builders import Answers, tensor
from tests.unit.scheduling.sequence_builders import direct, dropped, finish, oldest, part
from tests.unit.scheduling.slow_sequences import Row, SlowSequences
from tritium.core.request import InferenceRequest
from tritium.errors import TritiumError
from tritium.scheduling.sequence_batcher import SequenceBatcher
from tritium.scheduling.sequence_controls import is_empty_row

REQUESTS = 7000  # of each of four runs
IDLE_US = 1_000_000
INSTANCES = 2
_WORDS = {
    "START": "must specify the START",
    "lost": "was lost",
    "timeout": "timeout of",
    "cancelled": "was cancelled",
}


class Both:
    """The batcher and the slow model, which must never differ."""

    def __init__(self, strategy: str, dice: random.Random) -> None:
        self.dice = dice
        is_direct = strategy == "direct"
        self.slots = 3 if is_direct else 4
        self.real: SequenceBatcher = (
            direct(self.slots, instances=INSTANCES, max_queue_size=10**6)
            if is_direct
            else oldest(self.slots, instances=INSTANCES, max_batch_size=3, max_queue_size=10**6)
        )
        self.slow = SlowSequences(
            direct=is_direct, slots=self.slots, instances=INSTANCES, rows=3, idle_us=IDLE_US
        )
        self.now = 0
        self.running: list[tuple[int, list[InferenceRequest]]] = []
        self.sent: list[InferenceRequest] = []
        self.seen: Counter[str] = Counter()
        self.ends: Counter[int] = Counter()  # by id() of a request: how often it left

    def arrive(self) -> None:
        dice = self.dice
        flags = dice.choices(["S", "", "E", "SE"], [3, 10, 2, 1])[0]
        timeout_us = dice.choice([0, 0, 0, 200_000])
        one = part(dice.randint(1, 14), flags, answers=Answers(), at_us=self.now, timeout_us=timeout_us)
        one.inputs = [tensor(np.zeros((1, dice.choice([2, 2, 2, 3])), np.float32))]
        expected = self.slow.add(one, self.now)
        try:
            self.real.add(one, self.now)
        except TritiumError as error:
            assert expected
            assert _WORDS[expected] in str(error)
            self.seen[f"refused: {expected}"] += 1
        else:
            assert expected == ""
            self.sent.append(one)
        self.compare()

    def run(self) -> None:
        instance = self.dice.randrange(INSTANCES)
        expected = self.slow.next_batch(self.now, instance)
        found = self.real.next_batch(self.now, instance)
        assert shown(found) == shown(expected)
        if found is not None:
            requests = [row for row in found if not is_empty_row(row)]
            self.running.append((instance, found))
            self.seen[f"batch of {len(requests)} in {len(found)} rows"] += 1
        self.compare()

    def complete(self) -> None:
        if not self.running:
            return
        _, batch = self.running.pop(self.dice.randrange(len(self.running)))
        requests = [row for row in batch if not is_empty_row(row)]
        again = self.dice.random() < 0.05
        places = frozenset(place for place, row in enumerate(batch) if again and not is_empty_row(row))
        finish(self.real, batch, self.now, again=places)
        self.slow.done(requests, again, self.now)
        if not again:
            self.ends.update(map(id, requests))
        self.seen["given back" if again else "answered"] += len(requests)
        self.compare()

    def cancel(self) -> None:
        self.dice.choice(self.sent[-20:]).stream.cancel()

    def die(self) -> None:
        instance = self.dice.randrange(INSTANCES)
        self.real.lost(instance, self.now)
        self.slow.lost(instance, self.now)
        self.compare()

    def wait(self) -> None:
        self.now += self.dice.choice([1, 1000, 50_000, 150_000, IDLE_US // 3, 2 * IDLE_US])
        self.compare()

    def compare(self) -> None:
        """Whatever left the queue left both, for the same reason."""
        self.slow.expire(self.now)
        self.slow.fill(self.now)
        left = dropped(self.real, self.now)
        found = {id(one): "gone" if error is None else str(error) for one, error in left}
        expected = {id(one): why for one, why in self.slow.dropped}
        self.slow.dropped = []
        assert found.keys() == expected.keys()
        for key, why in expected.items():
            assert found[key] == why or _WORDS[why] in found[key]
            self.seen[f"dropped: {why}"] += 1
        self.ends.update(found.keys())
        waiting = sum(len(one.queue) + (one.offered is not None) for one in self.slow.sequences)
        assert len(self.real) == waiting

    def settle(self) -> None:
        """Run what is left."""
        while len(self.real) or self.running:
            self.run()
            self.complete()
            if not self.running:
                self.wait()


def shown(rows: list[InferenceRequest] | list[Row] | None) -> list[int] | None:
    if rows is None:
        return None
    return [0 if row is None or is_empty_row(row) else id(row) for row in rows]


@pytest.mark.parametrize("strategy", ["direct", "oldest"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_batcher_does_what_the_slow_model_does(strategy: str, seed: int) -> None:
    both = Both(strategy, random.Random(seed))
    steps = [both.arrive, both.run, both.complete, both.cancel, both.die, both.wait]
    both.arrive()
    while len(both.sent) < REQUESTS:
        both.dice.choices(steps, [60, 40, 40, 1.5, 0.3, 3])[0]() if both.sent else both.arrive()
    both.settle()
    # Those that ran on a worker that died are answered by its instance, so nothing else may leave twice.
    assert all(count == 1 for count in both.ends.values())
    assert {id(one) for one in both.sent} == both.ends.keys()
    for what in ("lost", "START"):
        assert both.seen[f"refused: {what}"] > 0
    for what in ("gone", "cancelled", "timeout", "lost"):
        assert both.seen[f"dropped: {what}"] > 0
    assert both.seen["answered"] > REQUESTS / 2
    assert both.seen["given back"] > 0
