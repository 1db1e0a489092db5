from __future__ import annotations

import pytest

from tritium.execution.supervisor import BreakerState, CrashBreaker


def crashed(times: int, *, at_s: float = 0.0) -> CrashBreaker:
    breaker = CrashBreaker()
    for _ in range(times):
        breaker.record_crash(at_s)
    return breaker


def test_the_first_crash_restarts_at_once_and_further_ones_wait_longer() -> None:
    breaker = CrashBreaker()
    assert [breaker.record_crash(0.0) for _ in range(4)] == [0.0, 0.05, 0.1, 0.2]
    assert breaker.state is BreakerState.CLOSED


def test_a_crash_loop_opens_the_breaker() -> None:
    breaker = crashed(4)
    assert breaker.record_crash(1.0) == 10.0
    assert breaker.open


def test_crashes_that_are_long_past_do_not_count() -> None:
    breaker = crashed(4, at_s=0.0)
    assert breaker.record_crash(30.0) == 0.0
    assert not breaker.open


def test_delays_are_bounded() -> None:
    breaker = CrashBreaker(crash_limit=100)
    assert max(breaker.record_crash(0.0) for _ in range(20)) == 5.0


def test_while_it_is_open_other_instances_wait_for_the_same_moment() -> None:
    breaker = crashed(5, at_s=0.0)
    assert breaker.record_crash(4.0) == 6.0


def test_a_start_after_the_pause_is_a_probe() -> None:
    breaker = crashed(5)
    breaker.record_start()
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.open


def test_a_probe_that_runs_a_batch_closes_the_breaker_and_forgets() -> None:
    breaker = crashed(5)
    breaker.record_start()
    breaker.record_success()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.record_crash(0.0) == 0.0


@pytest.mark.parametrize(("failures", "pause_s"), [(1, 20.0), (2, 40.0), (5, 300.0), (9, 300.0)])
def test_a_probe_that_crashes_doubles_the_pause_up_to_a_limit(failures: int, pause_s: float) -> None:
    breaker, waited_s = crashed(5), 0.0
    for _ in range(failures):
        breaker.record_start()
        waited_s = breaker.record_crash(0.0)
    assert waited_s == pause_s
    assert breaker.open


def test_a_probe_that_succeeds_makes_the_next_pause_short_again() -> None:
    breaker = crashed(5)
    breaker.record_start()
    breaker.record_crash(0.0)
    breaker.record_start()
    breaker.record_success()
    assert [breaker.record_crash(100.0) for _ in range(5)][-1] == 10.0


def test_starts_and_successes_of_a_healthy_model_change_nothing() -> None:
    breaker = CrashBreaker()
    breaker.record_start()
    breaker.record_success()
    assert breaker.state is BreakerState.CLOSED
