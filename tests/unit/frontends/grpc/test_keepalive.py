from __future__ import annotations

from tritium.frontends.grpc.keepalive import Keepalive, KeepaliveRules, Step

RULES = KeepaliveRules(time_s=10, timeout_s=3, max_age_s=100, max_age_grace_s=20)


def test_silence_is_answered_by_a_ping_and_more_of_it_by_the_end() -> None:
    keepalive = Keepalive(RULES, 0.0)
    steps = [keepalive.next_step(now_s, calls=1) for now_s in (9, 10, 11, 12, 13)]
    assert steps == [Step.NOTHING, Step.PING, Step.NOTHING, Step.NOTHING, Step.ABORT]


def test_any_byte_is_a_sign_of_life() -> None:
    keepalive = Keepalive(RULES, 0.0)
    assert keepalive.next_step(10, calls=1) is Step.PING
    keepalive.heard(12)
    assert keepalive.next_step(21, calls=1) is Step.NOTHING
    assert keepalive.next_step(22, calls=1) is Step.PING


def test_without_calls_there_are_pings_only_if_permitted() -> None:
    assert Keepalive(RULES, 0.0).next_step(50, calls=0) is Step.NOTHING
    permitted = KeepaliveRules(time_s=10, permit_without_calls=True)
    assert Keepalive(permitted, 0.0).next_step(50, calls=0) is Step.PING


def test_there_are_so_many_pings_until_data_is_sent() -> None:
    keepalive = Keepalive(RULES, 0.0)
    steps = []
    for now_s in (10, 20, 30, 40):
        keepalive.heard(now_s - 10)
        steps.append(keepalive.next_step(now_s, calls=1))
    assert steps == [Step.PING, Step.PING, Step.NOTHING, Step.NOTHING]
    keepalive.sent_data()
    assert keepalive.next_step(50, calls=1) is Step.PING


def test_an_old_connection_ends_after_its_grace() -> None:
    keepalive = Keepalive(RULES, 0.0)
    keepalive.heard(99)
    steps = [keepalive.next_step(now_s, calls=1) for now_s in (99, 100, 119, 120)]
    assert steps == [Step.NOTHING, Step.SHUT_DOWN, Step.NOTHING, Step.ABORT]


def test_ages_are_spread() -> None:
    keepalive = Keepalive(KeepaliveRules(max_age_s=100), 0.0, age_factor=1.1)
    assert keepalive.next_step(109, calls=0) is Step.NOTHING
    assert keepalive.next_step(110.5, calls=0) is Step.SHUT_DOWN
