from __future__ import annotations

import pytest

from tritium.execution.window import AHEAD_NS, IN_ORDER_AHEAD_NS, InFlightWindow


def after(elapsed_ns: int, batches: int = 100, ahead_ns: int = AHEAD_NS) -> InFlightWindow:
    window = InFlightWindow(ahead_ns)
    for _ in range(batches):
        window.note(elapsed_ns)
    return window


def test_begins_with_one_batch() -> None:
    assert InFlightWindow().size == 1


@pytest.mark.parametrize("elapsed_ns", [300_000, 1_000_000, 10**12])
def test_batches_that_take_long_are_not_given_in_advance(elapsed_ns: int) -> None:
    assert after(elapsed_ns).size == 1


@pytest.mark.parametrize(("elapsed_ns", "size"), [(0, 8), (10_000, 8), (100_000, 3), (250_000, 2)])
def test_quick_batches_are_given_in_advance_up_to_a_bound(elapsed_ns: int, size: int) -> None:
    assert after(elapsed_ns).size == size


@pytest.mark.parametrize(("elapsed_ns", "size"), [(100_000, 8), (450_000, 3), (999_000, 2), (1_000_000, 1)])
def test_more_is_given_in_advance_where_the_queue_is_in_order(elapsed_ns: int, size: int) -> None:
    assert after(elapsed_ns, ahead_ns=IN_ORDER_AHEAD_NS).size == size


def test_a_slow_batch_closes_the_window_again() -> None:
    window = after(10_000)
    window.note(100_000_000)
    assert window.size == 1


def test_one_quick_batch_is_no_proof_of_a_quick_model() -> None:
    assert after(0, batches=1).size == 1
    assert after(0, batches=20).size > 1
