from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.unit.builders import FakeInstance, echo_config
from tritium.core.model_config import ModelConfig, ModelInstanceGroup
from tritium.core.model_config import RateLimiter as RateLimits
from tritium.core.model_config import RateLimiterResource as Resource
from tritium.errors import InvalidArgumentError
from tritium.scheduling.rate_limiter import Claim, LimitedInstances, RateLimiter, limited_instances


def claim(limiter: RateLimiter, count: int = 1, priority: int = 1, name: str = "R") -> Claim:
    return limiter.register([Resource(name, count=count)], priority)


def refusal(limiter: RateLimiter, *resources: Resource) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        limiter.register(resources, 1)
    return str(caught.value)


def run(limiter: RateLimiter, claims: Sequence[Claim], *, again: bool = True) -> int:
    """Use the turn of the one that is held: its place."""
    (holder,) = (place for place, one in enumerate(claims) if one.held)
    claims[holder].used = True
    limiter.release(claims[holder], again=again)
    return holder


def test_who_finds_its_resources_runs_and_others_wait_and_are_woken() -> None:
    limiter, woken = RateLimiter({"r": 2}), []
    first, second, third = (claim(limiter) for _ in range(3))
    third.wake = lambda: woken.append("third")
    assert [limiter.acquire(one) for one in (first, second, third)] == [True, True, False]
    limiter.release(first)
    assert (woken, third.held) == (["third"], True)
    assert limiter.acquire(third)


def test_a_pool_is_as_large_as_its_largest_claim_if_nobody_says_more() -> None:
    limiter = RateLimiter({})
    small = claim(limiter, 1)
    assert limiter.limit("r") == 1
    large = claim(limiter, 3)
    assert limiter.limit("r") == 3
    limiter.unregister(large)
    assert limiter.limit("r") == 1
    assert limiter.acquire(small)


def test_names_are_the_same_in_any_case() -> None:
    limiter = RateLimiter({"gpu_memory": 1})
    first, second = claim(limiter, name="GPU_memory"), claim(limiter, name="gpu_MEMORY")
    assert (limiter.acquire(first), limiter.acquire(second)) == (True, False)


def test_several_resources_are_taken_together() -> None:
    limiter = RateLimiter({"a": 1, "b": 1})
    both = limiter.register([Resource("a", count=1), Resource("b", count=1)], 1)
    only_b = limiter.register([Resource("b", count=1)], 1)
    assert limiter.acquire(only_b)
    assert not limiter.acquire(both)
    only_a = limiter.register([Resource("a", count=1)], 1)
    assert not limiter.acquire(only_a), "it is not its turn"
    limiter.release(only_b)
    assert (both.held, only_a.held) == (True, False)


def test_what_could_never_run_is_refused_in_tritons_words() -> None:
    assert refusal(RateLimiter({"r1": 2}), Resource("R1", count=4)) == (
        'Resource count for "R1" is limited to 2 which will prevent scheduling of one or more model '
        "instances, the minimum required count is 4"
    )
    limiter = RateLimiter({})
    limiter.register([Resource("R", global_=True, count=1)], 1)
    both = 'Resource "R" is present as both global and device-specific resource in the model configuration.'
    assert refusal(limiter, Resource("R", count=1)) == both
    assert refusal(RateLimiter({}), Resource("R", count=1), Resource("R", global_=True, count=1)) == both


def test_who_leaves_gives_back_what_it_held_and_is_not_woken() -> None:
    limiter = RateLimiter({"r": 1})
    first, second, third = (claim(limiter) for _ in range(3))
    for one in (first, second, third):
        limiter.acquire(one)
    limiter.unregister(second)
    limiter.unregister(first)
    assert (second.held, third.held) == (False, True)


@pytest.mark.parametrize("priorities", [(1, 1), (1, 2), (1, 4), (2, 3)])
def test_turns_are_shared_by_priority(priorities: tuple[int, int]) -> None:
    limiter, turns = RateLimiter({"r": 1}), Counter[int]()
    claims = [claim(limiter, priority=priority) for priority in priorities]
    for one in claims:
        limiter.acquire(one)
    for _ in range(1200):
        turns[run(limiter, claims)] += 1
    assert turns[0] / turns[1] == pytest.approx(priorities[1] / priorities[0], rel=0.05)


def test_who_was_idle_for_long_has_saved_nothing_up() -> None:
    limiter = RateLimiter({"r": 1})
    busy, idle = claim(limiter), claim(limiter)
    for _ in range(1000):
        limiter.acquire(busy)
        run(limiter, [busy], again=False)
    claims = [busy, idle]
    for one in claims:
        limiter.acquire(one)
    runs = [run(limiter, claims) for _ in range(10)]
    assert runs == [0, 1] * 5 or runs == [1, 0] * 5


def test_a_turn_that_was_not_used_costs_nothing() -> None:
    limiter = RateLimiter({"r": 1})
    first, second = claim(limiter), claim(limiter)
    for _ in range(5):
        limiter.acquire(first)
        limiter.release(first)
    assert first.turn == 0
    limiter.acquire(second)
    run(limiter, [second], again=False)
    assert second.turn == 1


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_no_pool_is_overdrawn_and_everybody_gets_a_turn(seed: int) -> None:
    dice = random.Random(seed)
    limits = {"a": 3, "b": 2}
    limiter = RateLimiter(limits)
    claims = []
    for _ in range(6):
        needs = {name: dice.randint(0, limit) for name, limit in limits.items()}
        resources = [Resource(name, count=count) for name, count in needs.items()]
        claims.append(limiter.register(resources, dice.randint(0, 3)))
    turns = Counter[int]()
    for _ in range(1000):
        place = dice.randrange(len(claims))
        if claims[place].held:
            turns[place] += 1
            claims[place].used = True
            limiter.release(claims[place])
        else:
            limiter.acquire(claims[place])
        for name, limit in limits.items():
            assert sum(one.needs[name] for one in claims if one.held) <= limit
    assert len(turns) == len(claims)


def limited_config(count: int = 2) -> ModelConfig:
    limits = RateLimits((Resource("R", count=1),), 1)
    group = ModelInstanceGroup(name="echo", count=count, rate_limiter=limits)
    return echo_config(instance_group=(group, ModelInstanceGroup(name="free", count=1)))


def limited(limiter: RateLimiter, config: ModelConfig) -> LimitedInstances:
    found = limited_instances(limiter, config)
    assert found is not None
    return found


def test_instances_run_one_batch_each_in_their_turn() -> None:
    model = limited(RateLimiter({"r": 1}), limited_config())
    first, second, free = FakeInstance("echo_0"), FakeInstance("echo_1"), FakeInstance("free_0", 2)
    assert model.free([first, second]) is first
    first.in_flight = 1
    assert model.free([first, second]) is None
    assert model.free([first, second, free]) is free
    model.settle([first, second], more=False)
    assert not model.free([first, second])
    first.in_flight = 0
    model.settle([first, second], more=False)
    assert model.free([first, second]) in (first, second)


def test_a_turn_is_kept_until_the_instance_that_it_woke_has_looked_for_work() -> None:
    model = limited(limiter := RateLimiter({"r": 1}), limited_config())
    first, second = instances = [FakeInstance("echo_0"), FakeInstance("echo_1")]
    assert model.free([first]) is first
    assert model.free([second]) is None
    other = claim(limiter)
    assert not limiter.acquire(other)
    first.in_flight = 1
    model.settle(instances, more=True)
    first.in_flight = 0
    model.settle(instances, more=True)
    assert model.free([second]) is second, "its turn was not passed on"
    model.settle(instances, more=False, unused=True)
    assert other.held


def test_an_instance_that_cannot_run_takes_no_turn() -> None:
    model = limited(RateLimiter({"r": 1}), limited_config())
    assert model.free([FakeInstance("echo_0", 0)]) is None
    second = FakeInstance("echo_1")
    assert model.free([second]) is second


def test_without_resources_nothing_is_limited() -> None:
    groups = (ModelInstanceGroup(name="echo", count=1, rate_limiter=RateLimits((), 3)),)
    assert limited_instances(RateLimiter({}), echo_config(instance_group=groups)) is None
    assert limited_instances(None, limited_config()) is None


def test_a_model_that_is_refused_leaves_no_claims_behind() -> None:
    limiter = RateLimiter({"r": 1})
    config = limited_config()
    greedy = replace(config.instance_group[0], rate_limiter=RateLimits((Resource("R", count=9),)))
    with pytest.raises(InvalidArgumentError):
        limited_instances(limiter, replace(config, instance_group=(config.instance_group[0], greedy)))
    model = limited(limiter, config)
    model.close()
    one = limiter.register([Resource("R", global_=True, count=1)], 1)
    assert limiter.acquire(one), "nothing of the others is left"
