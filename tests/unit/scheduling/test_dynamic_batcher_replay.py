"""Random arrivals, sizes, shapes, priorities, time-outs, cancellations and free instances, replayed against
a batcher that is slow and obviously right."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from tests.unit.builders import echo_config, request, tensor
from tests.unit.scheduling.slow_batcher import Case, SlowBatcher
from tritium.core.request import InferenceRequest
from tritium.core.schedulers_config import QueuePolicy
from tritium.core.statistics import BatchReleases
from tritium.errors import UnavailableError
from tritium.scheduling.compatibility import batch_signature
from tritium.scheduling.dynamic_batcher import DynamicBatcher
from tritium.scheduling.queue import QueueSettings

REPLAYS = 120
REQUESTS = 200  # of each replay


def random_policy(dice: random.Random) -> QueuePolicy:
    return QueuePolicy(
        dice.choice(["REJECT", "DELAY"]),
        dice.choice([0, 40, 150]),
        dice.random() < 0.5,
        dice.choice([2, 8, 30]),
    )


class Replay:
    """One batcher and its slow double, asked the same things."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        levels = dice.choice([0, 0, 1, 3, 20])
        self.case = Case(
            max_rows=dice.choice([1, 4, 7]),
            preferred=frozenset(dice.sample(range(1, 5), dice.randint(0, 2))),
            delay_us=dice.choice([0, 30, 200]),
            policies={level: random_policy(dice) for level in range(bool(levels), levels + 1)},
            default_level=dice.randint(1, levels) if levels else 0,
        )
        self.case.preferred &= frozenset(range(1, self.case.max_rows + 1))
        self.releases = BatchReleases()
        queue = QueueSettings(
            10**6,
            levels,
            self.case.default_level,
            self.case.policies.get(0, QueuePolicy()),
            self.case.policies,
        )
        self.fast = DynamicBatcher(
            self.case.max_rows,
            queue=queue,
            preferred_batch_sizes=tuple(self.case.preferred),
            max_queue_delay_us=self.case.delay_us,
            signature=batch_signature(echo_config()),
            releases=self.releases,
        )
        self.slow = SlowBatcher(self.case)
        self.now_us = 0
        self.ends: Counter[str] = Counter()

    def arrive(self) -> None:
        dice = self.dice
        rows, length = dice.randint(1, min(3, self.case.max_rows)), dice.choice([2, 2, 2, 2, 3])
        one = request(
            tensor(np.zeros((rows, length), np.float32)),
            rows=rows,
            priority=dice.randint(0, 22),
            timeout_us=dice.choice([0, 0, 20, 500]),
        )
        if self.slow.accepts(one):
            self.fast.add(one, self.now_us)
            self.slow.add(one, self.now_us)
        else:
            self.ends["refused"] += 1
            with pytest.raises(UnavailableError):
                self.fast.add(one, self.now_us)

    def give_up(self) -> None:
        if self.slow.waiting:
            leaver = self.dice.choice(self.slow.waiting).request
            self.slow.leave(leaver)
            leaver.stream.cancel()
            assert self.fast.take_cancelled() == [leaver]
            self.ends["cancelled"] += 1

    def expire(self) -> None:
        late = [one for one, _ in self.fast.take_expired(self.now_us)]
        assert late == self.slow.take_expired(self.now_us)
        self.ends["expired"] += len(late)

    def dispatch(self) -> None:
        self.expire()
        batch = self.fast.next_batch(self.now_us)
        assert batch == self.slow.next_batch(self.now_us)
        if batch is None:
            assert self.fast.next_wakeup_us() == self.slow.next_wakeup_us()
            self.wake()
        else:
            self.check(batch)

    def check(self, batch: list[InferenceRequest]) -> None:
        self.ends["ran"] += len(batch)
        self.ends["batches"] += 1
        assert sum(one.batch_size for one in batch) <= self.case.max_rows
        assert len({one.inputs[0].shape[1:] for one in batch}) == 1

    def wake(self) -> None:
        """Whatever the batcher waits for, nothing happens before the time that it says."""
        wakeup_us = self.fast.next_wakeup_us()
        if wakeup_us is not None and wakeup_us > self.now_us + 1:
            assert self.fast.next_batch(self.now_us) is None
            assert self.slow.next_batch(self.now_us) is None

    def step(self) -> None:
        self.now_us += self.dice.choice([0, 1, 5, 20, 60])
        for _ in range(self.dice.choice([0, 1, 1, 2, 6])):
            self.arrive()
        if self.dice.random() < 0.15:
            self.give_up()
        if self.dice.random() < 0.3:
            self.expire()
        for _ in range(self.dice.choice([0, 0, 1, 1, 2])):
            self.dispatch()
        assert len(self.fast) == len(self.slow.waiting)
        assert self.fast.next_expiry_us() == self.slow.next_expiry_us()


@pytest.mark.parametrize("seed", range(REPLAYS))
def test_whatever_comes_it_does_what_the_slow_one_does(seed: int) -> None:
    replay = Replay(seed)
    while replay.slow.arrivals + replay.ends["refused"] < REQUESTS:
        replay.step()
    while len(replay.fast):
        replay.now_us += 10_000
        replay.dispatch()
    ends = replay.ends
    assert ends["ran"] + ends["cancelled"] + ends["expired"] == replay.slow.arrivals
    assert sum(replay.releases.counts.values()) == ends["batches"]
