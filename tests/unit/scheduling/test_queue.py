from __future__ import annotations

import pytest

from tests.unit.builders import request
from tritium.core.request import InferenceRequest
from tritium.core.schedulers_config import QueuePolicy
from tritium.errors import UnavailableError
from tritium.scheduling.queue import QueueSettings, RequestQueue


def queue(**settings: object) -> RequestQueue:
    return RequestQueue(QueueSettings(**{"max_queue_size": 100, **settings}))  # type: ignore[arg-type]


def names(waiting: RequestQueue) -> list[str]:
    return [entry.request.id for entry in waiting]


def add(waiting: RequestQueue, *wanted: tuple[str, int], now_us: int = 0) -> list[InferenceRequest]:
    """Requests by name and priority."""
    requests = [request(name=name, priority=priority) for name, priority in wanted]
    for one in requests:
        waiting.add(one, now_us)
    return requests


def test_requests_wait_by_priority_and_then_in_the_order_of_their_arrival() -> None:
    waiting = queue(levels=3, default_level=2)
    add(waiting, ("a", 3), ("b", 3), ("c", 1), ("d", 2), ("e", 0), ("f", 9), ("g", 1), ("h", 3))
    assert names(waiting) == ["c", "g", "d", "e", "f", "a", "b", "h"]


def test_without_levels_priorities_mean_nothing() -> None:
    waiting = queue()
    add(waiting, ("a", 3), ("b", 1), ("c", 0))
    assert names(waiting) == ["a", "b", "c"]


def test_the_line_stays_whole_whoever_leaves() -> None:
    waiting = queue(levels=3, default_level=3)
    a, b, c, d, e = add(waiting, ("a", 1), ("b", 2), ("c", 2), ("d", 2), ("e", 3))
    for leaver, left in ((c, "abde"), (d, "abe"), (b, "ae"), (a, "e")):
        leaver.stream.cancel()
        assert names(waiting) == list(left)
    add(waiting, ("f", 2), ("g", 1))
    assert names(waiting) == ["g", "f", "e"]
    assert waiting.take_cancelled() == [c, d, b, a]
    e.stream.cancel()
    assert (names(waiting), len(waiting)) == (["g", "f"], 2)


def test_the_bound_is_exact_and_who_gives_up_makes_room() -> None:
    waiting = queue(max_queue_size=2)
    first, _ = add(waiting, ("a", 0), ("b", 0))
    with pytest.raises(UnavailableError) as caught:
        add(waiting, ("c", 0))
    assert str(caught.value) == "[request id: c] Exceeds maximum queue size"
    first.stream.cancel()
    add(waiting, ("d", 0))
    with pytest.raises(UnavailableError):
        add(waiting, ("e", 0))
    assert names(waiting) == ["b", "d"]


def test_each_level_has_its_own_bound_and_the_others_share_one() -> None:
    waiting = queue(max_queue_size=2, levels=3, default_level=3, policies={1: QueuePolicy(max_queue_size=1)})
    add(waiting, ("a", 1), ("b", 2), ("c", 3))
    for priority in (1, 2, 3):
        with pytest.raises(UnavailableError):
            add(waiting, ("late", priority))
    assert names(waiting) == ["a", "b", "c"]


def test_the_default_policy_bounds_each_level() -> None:
    waiting = queue(levels=2, default_level=2, default_policy=QueuePolicy(max_queue_size=1))
    add(waiting, ("a", 1), ("b", 2))
    for priority in (1, 2):
        with pytest.raises(UnavailableError):
            add(waiting, ("late", priority))


def test_requests_whose_time_is_over_leave() -> None:
    waiting = queue(default_policy=QueuePolicy(default_timeout_microseconds=100))
    add(waiting, ("a", 0), now_us=0)
    add(waiting, ("b", 0), now_us=10)
    assert waiting.next_deadline_us() == 100
    assert waiting.take_late(99) == []
    assert [one.id for one in waiting.take_late(100)] == ["a"]
    assert (waiting.next_deadline_us(), names(waiting)) == (110, ["b"])


@pytest.mark.parametrize(
    ("override", "asked_us", "deadline_us"),
    [(True, 30, 30), (True, 0, 100), (True, 500, 100), (False, 30, 100)],
)
def test_a_request_can_shorten_its_time_where_the_policy_allows_it(
    override: bool, asked_us: int, deadline_us: int
) -> None:
    policy = QueuePolicy(default_timeout_microseconds=100, allow_timeout_override=override)
    waiting = queue(default_policy=policy)
    waiting.add(request(timeout_us=asked_us), 0)
    assert waiting.next_deadline_us() == deadline_us


def test_a_request_cannot_set_a_time_where_the_policy_has_none() -> None:
    waiting = queue(default_policy=QueuePolicy(allow_timeout_override=True))
    waiting.add(request(timeout_us=30), 0)
    assert waiting.next_deadline_us() is None


def test_late_requests_go_behind_their_level_and_stay_before_the_next() -> None:
    late = QueuePolicy("DELAY", default_timeout_microseconds=100, allow_timeout_override=True)
    waiting = queue(levels=2, default_level=2, policies={1: late})
    add(waiting, ("a", 1), ("z", 2))
    waiting.add(request(name="b", priority=1, timeout_us=50), 0)
    add(waiting, ("c", 1), now_us=60)
    assert waiting.next_deadline_us() is None
    waiting.delay_late(100)
    assert names(waiting) == ["c", "a", "b", "z"]
    waiting.delay_late(160)
    assert names(waiting) == ["a", "b", "c", "z"]


def test_who_was_cancelled_before_is_not_kept() -> None:
    waiting = queue()
    gone = request(name="gone")
    gone.stream.cancel()
    waiting.add(gone, 0)
    assert (len(waiting), waiting.head, waiting.take_cancelled()) == (0, None, [gone])


def test_deadlines_of_those_who_left_are_forgotten() -> None:
    waiting = queue(default_policy=QueuePolicy(default_timeout_microseconds=100))
    for number in range(10_000):
        (one,) = add(waiting, ("a", 0), now_us=number)
        one.stream.cancel()
    assert waiting.next_deadline_us() is None
    assert waiting.take_late(10**9) == []
