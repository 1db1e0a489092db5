from __future__ import annotations

from tritium.frontends.grpc.deadlines import Deadlines


class Call:
    """Something with a deadline."""

    def __init__(self) -> None:
        self.expired = 0

    def expire(self) -> None:
        self.expired += 1


def test_a_deadline_is_noticed_soon_after_it_has_passed_and_once() -> None:
    alarms: list[float] = []
    deadlines, call = Deadlines(alarms.append), Call()
    deadlines.add(call, 10.0, 1.0)
    assert 10.0 < alarms[0] <= 10.006
    deadlines.expire(10.0)
    assert call.expired == 0
    deadlines.expire(alarms[0])
    deadlines.expire(99.0)
    assert call.expired == 1


def test_a_call_that_is_taken_back_does_not_expire() -> None:
    deadlines, calls = Deadlines(lambda time_s: None), [Call(), Call()]
    steps = [deadlines.add(call, 10.0, 1.0) for call in calls]
    deadlines.discard(calls[0], steps[0])
    deadlines.expire(11.0)
    deadlines.discard(calls[1], steps[1])
    assert [call.expired for call in calls] == [0, 1]


def test_the_alarm_follows_the_earliest_deadline() -> None:
    alarms: list[float] = []
    deadlines = Deadlines(alarms.append)
    for deadline_s in (10.0, 20.0, 5.0):
        deadlines.add(Call(), deadline_s, 1.0)
    assert [round(time_s, 1) for time_s in alarms] == [10.0, 5.0]
    deadlines.expire(6.0)
    assert round(alarms[-1], 1) == 10.0


def test_long_deadlines_share_a_step() -> None:
    alarms: list[float] = []
    deadlines = Deadlines(alarms.append)
    calls = [Call() for _ in range(100)]
    for number, call in enumerate(calls):
        deadlines.add(call, 3999.0 - number * 0.01, 1000.0)
    assert len(alarms) == 1
    deadlines.expire(4005.1)
    assert all(call.expired == 1 for call in calls)
