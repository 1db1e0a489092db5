from __future__ import annotations

import pytest

from tritium.scheduling.sequence_pool import Place, SlotPool


def everything(pool: SlotPool) -> list[Place]:
    taken = []
    while pool:
        taken.append(pool.take())
    return taken


def test_low_slots_are_taken_first_on_all_instances() -> None:
    pool = SlotPool(2, 2)
    assert everything(pool) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    with pytest.raises(IndexError):
        pool.take()


def test_a_slot_can_be_taken_again() -> None:
    pool = SlotPool(1, 3)
    everything(pool)
    pool.release((2, 0))
    pool.release((1, 0))
    assert everything(pool) == [(1, 0), (2, 0)]


def test_slots_of_an_instance_that_cannot_run_are_not_taken() -> None:
    pool = SlotPool(2, 2)
    used = [pool.take(), pool.take()]
    pool.park(0)
    pool.release(used[0])
    assert everything(pool) == [(1, 1)]
    pool.unpark(0)
    assert everything(pool) == [(0, 0), (1, 0)]


def test_all_slots_can_be_free_again() -> None:
    pool = SlotPool(2, 1)
    everything(pool)
    pool.park(1)
    pool.reset()
    assert everything(pool) == [(0, 0)]
    pool.unpark(1)
    assert everything(pool) == [(0, 1)]


def test_slots_cost_nothing_before_they_are_taken() -> None:
    pool = SlotPool(1, 2**31)
    assert [pool.take(), pool.take()] == [(0, 0), (1, 0)]
