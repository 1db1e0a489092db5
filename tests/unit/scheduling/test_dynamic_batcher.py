from __future__ import annotations

import numpy as np
import pytest

from tests.unit.builders import echo_config, request, tensor
from tritium.core.request import InferenceRequest
from tritium.core.schedulers_config import QueuePolicy
from tritium.core.statistics import BatchReleases
from tritium.errors import UnavailableError
from tritium.scheduling.compatibility import batch_signature
from tritium.scheduling.dynamic_batcher import DynamicBatcher
from tritium.scheduling.queue import QueueSettings


def batcher(
    max_batch_size: int = 8,
    *,
    preferred: tuple[int, ...] = (),
    delay_us: int = 0,
    queue: QueueSettings | None = None,
    releases: BatchReleases | None = None,
) -> DynamicBatcher:
    """Of a model whose input has any length."""
    return DynamicBatcher(
        max_batch_size,
        queue=queue or QueueSettings(100),
        preferred_batch_sizes=preferred,
        max_queue_delay_us=delay_us,
        signature=batch_signature(echo_config()),
        releases=releases,
    )


def add(policy: DynamicBatcher, *requests: InferenceRequest, now_us: int = 0) -> None:
    for one in requests:
        policy.add(one, now_us)


def of_length(length: int, rows: int = 1) -> InferenceRequest:
    return request(tensor(np.zeros((rows, length), np.float32)), rows=rows)


def drain(policy: DynamicBatcher, now_us: int = 0) -> list[list[int]]:
    """The rows of the requests of each batch."""
    batches = []
    while batch := policy.next_batch(now_us):
        batches.append([one.batch_size for one in batch])
    return batches


def test_waits_for_company_until_the_delay_has_passed() -> None:
    policy = batcher(delay_us=100)
    add(policy, first := request())
    assert policy.next_batch(now_us=99) is None
    assert policy.next_wakeup_us() == 100
    assert policy.next_batch(now_us=100) == [first]


def test_without_a_delay_takes_whatever_is_there() -> None:
    policy = batcher()
    add(policy, *(requests := [request(), request(), request()]))
    assert policy.next_batch(now_us=0) == requests


def test_the_oldest_request_sets_the_time() -> None:
    policy = batcher(delay_us=100)
    add(policy, request(), now_us=10)
    add(policy, request(), now_us=60)
    assert policy.next_wakeup_us() == 110
    assert drain(policy, now_us=110) == [[1, 1]]


def test_an_empty_queue_has_no_batch_and_nothing_to_wake_for() -> None:
    assert batcher().next_batch(now_us=0) is None
    assert batcher().next_wakeup_us() is None


def test_a_full_batch_leaves_at_once() -> None:
    policy = batcher(4, delay_us=1000)
    add(policy, *(request() for _ in range(5)))
    assert drain(policy) == [[1, 1, 1, 1]]
    assert len(policy) == 1


def test_a_request_that_does_not_fit_closes_the_batch() -> None:
    policy = batcher(4, delay_us=1000)
    add(policy, request(rows=3), request(rows=3))
    assert drain(policy) == [[3]]


def test_busy_instances_make_batches_fill_up() -> None:
    policy = batcher(4)
    add(policy, *(request() for _ in range(6)))
    assert drain(policy) == [[1, 1, 1, 1], [1, 1]]


def test_a_preferred_size_leaves_at_once() -> None:
    policy = batcher(4, preferred=(2,), delay_us=1000)
    add(policy, request())
    assert policy.next_batch(now_us=0) is None
    add(policy, request())
    assert drain(policy) == [[1, 1]]


def test_a_preferred_size_leaves_at_once_although_more_came_in_the_same_moment() -> None:
    policy = batcher(8, preferred=(2, 4), delay_us=1000)
    add(policy, *(request() for _ in range(5)))
    assert drain(policy) == [[1, 1, 1, 1]]
    assert len(policy) == 1


def test_a_batch_that_is_late_leaves_with_all_its_company() -> None:
    policy = batcher(8, preferred=(2,), delay_us=1000)
    add(policy, *(request() for _ in range(3)))
    assert drain(policy, now_us=1000) == [[1, 1, 1]]


def test_requests_of_other_shapes_close_the_batch() -> None:
    policy = batcher(delay_us=1000)
    add(policy, of_length(2), of_length(2), of_length(3))
    assert drain(policy) == [[1, 1]]
    assert drain(policy, now_us=1000) == [[1]]


def test_a_full_queue_refuses_in_tritons_words() -> None:
    policy = batcher(queue=QueueSettings(2))
    add(policy, request(), request())
    with pytest.raises(UnavailableError) as caught:
        policy.add(request(), 0)
    assert str(caught.value) == "[request id: <id_unknown>] Exceeds maximum queue size"


def test_cancelled_requests_count_no_rows_and_never_run() -> None:
    policy = batcher(4)
    requests = [request(rows=2) for _ in range(4)]
    add(policy, *requests)
    requests[0].stream.cancel()
    requests[2].stream.cancel()
    assert policy.next_batch(now_us=0) == [requests[1], requests[3]]
    assert policy.take_cancelled() == [requests[0], requests[2]]
    assert policy.take_cancelled() == []


# What real Triton 2.51 made of the same requests, where it forms a batch when an instance is free.
@pytest.mark.parametrize(
    ("max_batch_size", "preferred", "rows", "batches"),
    [
        (4, (2,), [1, 1, 1, 1, 1], [[1, 1], [1, 1], [1]]),
        (4, (2,), [1, 1, 1], [[1, 1], [1]]),
        (8, (2,), [1] * 9, [[1, 1]] * 4 + [[1]]),
        (8, (2, 4), [1] * 9, [[1] * 4] * 2 + [[1]]),
        (8, (2, 4), [1, 1, 1], [[1, 1], [1]]),
        (8, (4,), [1] * 10, [[1] * 4] * 2 + [[1] * 2]),
        (4, (4,), [1] * 6, [[1] * 4, [1] * 2]),
        (4, (4,), [3, 3, 1, 1], [[3], [3, 1], [1]]),
        (8, (2,), [1, 3], [[1], [3]]),
    ],
)
def test_without_a_delay_batches_are_cut_as_by_triton(
    max_batch_size: int, preferred: tuple[int, ...], rows: list[int], batches: list[list[int]]
) -> None:
    policy = batcher(max_batch_size, preferred=preferred)
    add(policy, *(request(rows=count) for count in rows))
    assert drain(policy) == batches


@pytest.mark.parametrize(
    ("preferred", "rows", "batches"),
    [
        ((2,), [1, 1, 1], [[1, 1]]),
        ((2,), [1, 2], [[1], [2]]),
        ((2, 4), [1, 2], []),
        ((4,), [3, 3], [[3]]),
        ((4,), [3, 6], [[3], [6]]),
        ((4,), [6], [[6]]),
    ],
)
def test_with_a_delay_batches_leave_early_as_by_triton(
    preferred: tuple[int, ...], rows: list[int], batches: list[list[int]]
) -> None:
    policy = batcher(8, preferred=preferred, delay_us=1000)
    left = []
    for count in rows:
        add(policy, request(rows=count))
        left += drain(policy)
    assert left == batches


def test_once_the_delay_is_over_all_that_fits_leaves_together() -> None:
    policy = batcher(8, preferred=(4,), delay_us=1000)
    add(policy, *(request() for _ in range(9)))
    assert drain(policy, now_us=1000) == [[1] * 8, [1]]


def test_a_more_urgent_request_goes_before_a_batch_that_waits() -> None:
    policy = batcher(3, delay_us=1000, queue=QueueSettings(10, 2, 2))
    add(policy, *(low := [request(priority=2), request(priority=2)]))
    assert policy.next_batch(0) is None
    add(policy, urgent := request(priority=1, rows=2))
    assert policy.next_batch(0) == [urgent, low[0]]
    assert policy.next_batch(1000) == [low[1]]


def test_the_one_who_waits_longest_sets_the_time_whatever_its_priority() -> None:
    policy = batcher(delay_us=100, queue=QueueSettings(10, 2, 2))
    add(policy, low := request(priority=2), now_us=0)
    add(policy, urgent := request(priority=1), now_us=90)
    assert policy.next_wakeup_us() == 100
    assert policy.next_batch(100) == [urgent, low]


def test_who_leaves_the_middle_of_a_batch_that_waits_makes_room() -> None:
    policy = batcher(3, delay_us=1000)
    add(policy, first := request(), gone := request(rows=2))
    gone.stream.cancel()
    add(policy, second := request(), third := request())
    assert policy.next_batch(0) == [first, second, third]


def test_late_requests_are_refused_with_tritons_words() -> None:
    timed = QueuePolicy(default_timeout_microseconds=100)
    policy = batcher(delay_us=1000, queue=QueueSettings(10, default_policy=timed))
    add(policy, late := request())
    assert policy.next_expiry_us() == 100
    ((refused, error),) = policy.take_expired(100)
    assert (refused, str(error), type(error)) == (late, "Request timeout expired", UnavailableError)
    assert (len(policy), policy.next_batch(1000)) == (0, None)


def test_late_requests_run_after_the_others_where_the_policy_says_so() -> None:
    timed = QueuePolicy("DELAY", default_timeout_microseconds=100)
    policy = batcher(2, queue=QueueSettings(10, default_policy=timed))
    add(policy, *(late := [request(), request()]))
    add(policy, fresh := request(), now_us=50)
    assert policy.next_batch(120) == [fresh, late[0]]
    assert policy.next_batch(120) == [late[1]]


@pytest.mark.parametrize(
    ("reason", "rows", "now_us"),
    [("full", [4, 4], 0), ("full", [5, 4], 0), ("preferred", [1, 1], 0), ("delay", [1], 1000)],
)
def test_why_a_batch_left_is_counted(reason: str, rows: list[int], now_us: int) -> None:
    releases = BatchReleases()
    policy = batcher(8, preferred=(2, 8), delay_us=1000, releases=releases)
    add(policy, *(request(rows=count) for count in rows))
    assert policy.next_batch(now_us)
    assert {why.value: count for why, count in releases.counts.items() if count} == {reason: 1}


def test_batches_that_nobody_can_join_are_counted_so() -> None:
    releases = BatchReleases()
    policy = batcher(8, releases=releases)
    add(policy, of_length(2), of_length(3))
    assert len(drain(policy)) == 2
    assert {why.value: count for why, count in releases.counts.items() if count} == {"no_more": 2}


def test_a_queue_of_cancelled_requests_is_empty() -> None:
    policy = batcher()
    add(policy, gone := request())
    gone.stream.cancel()
    assert policy.next_batch(now_us=0) is None
    assert policy.take_cancelled() == [gone]
    assert len(policy) == 0


def test_everything_that_waits_can_be_taken() -> None:
    policy = batcher(delay_us=1000)
    add(policy, *(waiting := [request(), request()]))
    assert policy.take_all() == waiting
    assert len(policy) == 0
