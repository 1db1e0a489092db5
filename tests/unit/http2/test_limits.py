from __future__ import annotations

from tritium.http2.limits import PingGuard, PingRules, Rate, RateGuard


def test_a_burst_is_allowed_and_then_as_many_as_the_rate() -> None:
    guard = RateGuard(Rate(per_s=2, burst=3))
    assert [guard.exceeded(10.0) for _ in range(4)] == [False, False, False, True]
    assert not guard.exceeded(11.5)


def test_a_rest_does_not_allow_more_than_a_burst() -> None:
    guard = RateGuard(Rate(per_s=2, burst=3))
    guard.exceeded(0.0)
    assert [guard.exceeded(1000.0) for _ in range(4)] == [False, False, False, True]


def test_pings_without_streams_have_to_be_rarer() -> None:
    guard = PingGuard(PingRules(min_interval_s=10, max_strikes=1, idle_interval_s=100))
    assert not guard.exceeded(0, idle=True)
    assert not guard.exceeded(100, idle=True)
    assert not guard.exceeded(150, idle=True)
    assert guard.exceeded(160, idle=True)


def test_what_is_sent_forgives_strikes() -> None:
    guard = PingGuard(PingRules(max_strikes=1))
    assert not any(guard.exceeded(0, idle=False) for _ in range(2))
    guard.forgive()
    assert not any(guard.exceeded(0, idle=False) for _ in range(2))
    assert guard.exceeded(0, idle=False)


def test_no_strikes_mean_any_number_of_pings() -> None:
    guard = PingGuard(PingRules(max_strikes=0))
    assert not any(guard.exceeded(0, idle=False) for _ in range(100))
