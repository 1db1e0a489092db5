from __future__ import annotations

import pytest

from tests.unit.scheduling.sequence_builders import part
from tritium.scheduling.sequence_backlog import Backlog, LiveSequence


def waiting(key: int, at_us: int = 0, timeout_us: int = 0) -> LiveSequence:
    sequence = LiveSequence(key)
    sequence.queue.append(part(key, "S", at_us=at_us, timeout_us=timeout_us))
    return sequence


def test_sequences_leave_in_the_order_in_which_they_came() -> None:
    backlog = Backlog()
    both = [waiting(1), waiting(2)]
    for one in both:
        backlog.append(one)
    assert len(backlog) == 2
    assert [backlog.pop(), backlog.pop()] == both
    with pytest.raises(KeyError):
        backlog.pop()


def test_sequences_leave_when_their_time_is_over() -> None:
    backlog = Backlog()
    late, soon, never = waiting(1, 10, 100), waiting(2, 20, 50), waiting(3)
    for one in (late, soon, never):
        backlog.append(one)
    assert backlog.next_deadline_us() == 70
    assert list(backlog.expired(69)) == []
    assert list(backlog.expired(70)) == [soon]
    assert backlog.next_deadline_us() == 110
    assert list(backlog.expired(1000)) == [late]
    assert backlog.next_deadline_us() is None
    assert backlog.pop() is never


def test_a_time_out_is_forgotten_with_its_sequence() -> None:
    backlog = Backlog()
    backlog.append(one := waiting(1, 0, 100))
    assert backlog.pop() is one
    assert backlog.next_deadline_us() is None
    one.queue.clear()
    one.queue.append(part(1, "S"))
    backlog.append(one)
    assert list(backlog.expired(10**9)) == []


def test_time_outs_of_sequences_that_left_do_not_pile_up() -> None:
    backlog = Backlog()
    backlog.append(waiting(0, 0, 10**15))
    for key in range(1000):
        backlog.append(waiting(key, 0, 10**12 + key))
        backlog.pop()
    backlog.clear()
    assert len(backlog) == 0
    assert backlog.next_deadline_us() is None
