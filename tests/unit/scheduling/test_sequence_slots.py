from __future__ import annotations

import numpy as np

from tests.unit.builders import request, tensor
from tritium.core.request import InferenceRequest
from tritium.scheduling.sequence_slots import DirectSlots, OldestCandidates


def wide(name: str = "wide") -> InferenceRequest:
    """A request of another shape."""
    return request(tensor(np.zeros((1, 5), np.float32)), name=name)


def test_direct_gives_each_slot_its_row_up_to_the_last_that_is_taken() -> None:
    slots = DirectSlots(4)
    low, high = request(), request()
    slots.offer(high, 2, 0)
    slots.offer(low, 0, 0)
    assert slots.next_batch(0) == [low, None, high]
    assert slots.next_batch(0) is None
    slots.offer(high, 1, 0)
    assert slots.next_batch(0) == [None, high]


def test_direct_runs_at_once_when_nothing_asks_for_company() -> None:
    for slots in (DirectSlots(4, max_queue_delay_us=100), DirectSlots(4, minimum_slot_utilization=0.5)):
        slots.offer(one := request(), 0, 0)
        assert slots.next_batch(0) == [one]


def test_direct_waits_for_company_until_enough_slots_are_ready_or_the_delay_is_over() -> None:
    slots = DirectSlots(4, minimum_slot_utilization=0.5, max_queue_delay_us=100)
    slots.offer(first := request(), 0, 10)
    assert slots.next_batch(109) is None
    assert slots.next_wakeup_us() == 110
    slots.offer(second := request(), 3, 20)
    assert slots.next_batch(20) == [first, None, None, second]
    assert slots.next_wakeup_us() is None
    slots.offer(first, 0, 30)
    assert slots.next_batch(130) == [first]


def test_direct_never_mixes_shapes_and_serves_the_oldest_first() -> None:
    slots = DirectSlots(4, signature=lambda one: one.inputs[0].shape)
    slots.offer(odd := wide(), 1, 0)
    slots.offer(low := request(), 0, 1)
    slots.offer(high := request(), 2, 2)
    assert slots.next_batch(3) == [None, odd]
    assert slots.next_batch(3) == [low, None, high]


def test_direct_drops_what_nobody_wants_any_more() -> None:
    slots = DirectSlots(4)
    slots.offer(gone := request(), 3, 0)
    slots.offer(kept := request(), 0, 0)
    gone.stream.cancel()
    assert slots.next_batch(0) == [kept]
    assert slots.take_cancelled() == [gone]
    assert slots.take_cancelled() == []


def test_what_is_forgotten_does_not_run() -> None:
    for slots in (DirectSlots(4), OldestCandidates(4, max_batch_size=8)):
        slots.offer(request(), 0, 0)
        slots.clear()
        assert slots.next_batch(0) is None
        assert slots.next_wakeup_us() is None


def test_oldest_batches_dynamically() -> None:
    slots = OldestCandidates(4, max_batch_size=2, preferred_batch_sizes=(2,), max_queue_delay_us=100)
    three = [request() for _ in range(3)]
    for slot, one in enumerate(three):
        slots.offer(one, slot, 10)
    assert slots.next_batch(10) == three[:2]
    assert slots.next_batch(109) is None
    assert slots.next_wakeup_us() == 110
    assert slots.next_batch(110) == three[2:]


def test_oldest_drops_what_nobody_wants_any_more() -> None:
    slots = OldestCandidates(4, max_batch_size=2)
    slots.offer(gone := request(), 0, 0)
    gone.stream.cancel()
    assert slots.next_batch(0) is None
    assert slots.take_cancelled() == [gone]
