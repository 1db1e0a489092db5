from __future__ import annotations

import random

import pytest

from tests.unit.builders import request
from tritium.core.request import InferenceRequest
from tritium.errors import UnavailableError
from tritium.scheduling.direct import DirectPolicy


def test_runs_one_request_at_a_time_in_order_of_arrival() -> None:
    policy = DirectPolicy(10)
    requests = [request(rows=rows) for rows in (3, 1, 2)]
    for waiting in requests:
        policy.add(waiting, now_us=0)
    assert len(policy) == 3
    assert [policy.next_batch(now_us=0) for _ in requests] == [[waiting] for waiting in requests]
    assert policy.next_batch(now_us=0) is None


def test_never_needs_to_be_woken() -> None:
    policy = DirectPolicy(10)
    policy.add(request(), now_us=0)
    assert policy.next_wakeup_us() is None


def test_a_full_queue_refuses_in_tritons_words() -> None:
    policy = DirectPolicy(1)
    policy.add(request(), now_us=0)
    with pytest.raises(UnavailableError) as caught:
        policy.add(request(name="q"), now_us=0)
    assert str(caught.value) == "[request id: q] Exceeds maximum queue size"
    assert len(policy) == 1


def test_a_cancelled_request_never_runs_and_is_reported_once() -> None:
    policy = DirectPolicy(10)
    gone, wanted = request(), request()
    policy.add(gone, now_us=0)
    policy.add(wanted, now_us=0)
    gone.stream.cancel()
    assert policy.next_batch(now_us=0) == [wanted]
    assert policy.take_cancelled() == [gone]
    assert policy.take_cancelled() == []


@pytest.mark.parametrize("seed", range(20))
def test_whoever_gave_up_makes_room_in_a_full_queue(seed: int) -> None:
    dice = random.Random(seed)
    policy, waiting, left = DirectPolicy(5), list[InferenceRequest](), list[InferenceRequest]()
    for _ in range(200):
        match dice.choice(["add", "add", "add", "cancel", "run"]):
            case "add" if sum(not one.stream.cancelled for one in waiting) < 5:
                waiting.append(request())
                policy.add(waiting[-1], now_us=0)
            case "add":
                with pytest.raises(UnavailableError):
                    policy.add(request(), now_us=0)
            case "cancel" if waiting:
                dice.choice(waiting).stream.cancel()
            case "run":
                wanted = [one for one in waiting if not one.stream.cancelled]
                assert policy.next_batch(now_us=0) == (wanted[:1] or None)
                waiting = wanted[1:]
        left += policy.take_cancelled()
        assert len(policy) <= 5
    assert all(one.stream.cancelled for one in left)
    assert len({id(one) for one in left}) == len(left)


def test_everything_that_waits_can_be_taken() -> None:
    policy = DirectPolicy(10)
    waiting = [request(), request()]
    for one in waiting:
        policy.add(one, now_us=0)
    assert policy.take_all() == waiting
    assert len(policy) == 0
