from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.builders import request, tensor
from tritium.core.request import InferenceRequest
from tritium.errors import UnavailableError
from tritium.scheduling.dynamic_batcher import DynamicBatcher


def batcher(
    max_batch_size: int = 8, *, preferred: tuple[int, ...] = (), delay_us: int = 0, queue: int = 100
) -> DynamicBatcher:
    return DynamicBatcher(
        max_batch_size, preferred_batch_sizes=preferred, max_queue_delay_us=delay_us, max_queue_size=queue
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


def test_requests_with_other_inputs_or_datatypes_do_not_run_together() -> None:
    policy = batcher()
    add(
        policy,
        request(tensor([[1.0]], "A"), tensor([[1.0]], "B")),
        request(tensor([[1.0]], "B"), tensor([[1.0]], "A")),
        request(tensor([[1.0]], "A")),
        request(tensor(np.zeros((1, 1), np.int32), "A")),
    )
    assert drain(policy) == [[1, 1], [1], [1]]


def test_a_full_queue_refuses_in_tritons_words() -> None:
    policy = batcher(queue=2)
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


@dataclass
class Step:
    """Time passes, a request comes, perhaps one that waits is cancelled, perhaps an instance is free."""

    wait_us: int
    rows: int
    length: int
    cancels: int
    dispatches: bool


@dataclass
class Journal:
    """What happened to each request, by index of arrival."""

    requests: list[InferenceRequest] = field(default_factory=list)
    arrived_us: list[int] = field(default_factory=list)
    ran: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)

    def index(self, wanted: InferenceRequest) -> int:
        return next(i for i, one in enumerate(self.requests) if one is wanted)


STEPS = st.lists(
    st.builds(
        Step,
        wait_us=st.integers(0, 60),
        rows=st.integers(1, 4),
        length=st.sampled_from([2, 2, 2, 3]),
        cancels=st.integers(-12, 3),
        dispatches=st.booleans(),
    ),
    max_size=25,
)


def check_batch(batch: list[InferenceRequest], journal: Journal, max_rows: int) -> None:
    assert batch
    assert sum(one.batch_size for one in batch) <= max_rows
    assert len({one.inputs[0].shape[1:] for one in batch}) == 1
    assert not any(one.stream.cancelled for one in batch)
    indices = [journal.index(one) for one in batch]
    assert indices == sorted(indices)
    assert not journal.ran or journal.ran[-1] < indices[0]
    journal.ran += indices


@settings(max_examples=200, deadline=None)
@given(
    steps=STEPS,
    max_rows=st.integers(4, 8),
    preferred=st.lists(st.integers(1, 8), max_size=2),
    delay_us=st.sampled_from([0, 50, 1000]),
)
def test_whatever_comes_the_rules_of_batching_hold(
    steps: list[Step], max_rows: int, preferred: list[int], delay_us: int
) -> None:
    policy = batcher(max_rows, preferred=tuple(preferred), delay_us=delay_us)
    journal, now_us = Journal(), 0
    for step in steps:
        now_us += step.wait_us
        journal.requests.append(of_length(step.length, step.rows))
        journal.arrived_us.append(now_us)
        policy.add(journal.requests[-1], now_us)
        if 0 <= step.cancels < len(journal.requests) and step.cancels not in journal.ran:
            journal.requests[step.cancels].stream.cancel()
        if step.dispatches:
            take_batches(policy, journal, now_us, max_rows, preferred, delay_us)
        journal.cancelled += [journal.index(one) for one in policy.take_cancelled()]
    while (wakeup_us := policy.next_wakeup_us()) is not None:
        now_us = max(now_us, wakeup_us)
        take_batches(policy, journal, now_us, max_rows, preferred, delay_us)
    journal.cancelled += [journal.index(one) for one in policy.take_cancelled()]
    assert sorted(journal.ran + journal.cancelled) == list(range(len(journal.requests)))
    assert len(policy) == 0


def take_batches(
    policy: DynamicBatcher, journal: Journal, now_us: int, max_rows: int, preferred: list[int], delay_us: int
) -> None:
    """Take every batch that is due, and check that none left without a reason."""
    while (batch := policy.next_batch(now_us)) is not None:
        check_batch(batch, journal, max_rows)
        rows = sum(one.batch_size for one in batch)
        late = now_us - journal.arrived_us[journal.index(batch[0])] >= delay_us
        follower = journal.requests[journal.ran[-1] + 1 :]
        closed = rows == max_rows or any(
            one.batch_size + rows > max_rows or one.inputs[0].shape[1:] != batch[0].inputs[0].shape[1:]
            for one in follower
        )
        assert late or closed or rows in preferred
