"""The rate limiter: instances of all models take what they need from shared pools, or wait for it. Pure.

    idle     asks for its turn                     -> held, if its resources are there and it is first
                                                   -> waiting, if not
    waiting  resources come back, and it is first  -> held, and its model is woken
    held     its batch is done, or there was none  -> idle

Who waits is ordered by turns, as by Triton: an instance of priority n gets one turn for n of an instance of
priority 1. Whoever is first waits for its resources although others could run with what there is, so that
an instance that needs much is not passed over for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tritium.core.interfaces import ModelInstance
from tritium.core.model_config import ModelConfig, ModelInstanceGroup, RateLimiterResource
from tritium.core.model_config import RateLimiter as RateLimits
from tritium.errors import InvalidArgumentError


@dataclass(slots=True, eq=False)
class Claim:
    """What one instance needs for a batch; ``turn`` is when it may have it, compared with others."""

    needs: Mapping[str, int]
    priority: int
    wake: Callable[[], None] = field(default=lambda: None)
    held: bool = False
    used: bool = False  # a batch ran since it is held
    turn: int = 0


@dataclass(slots=True)
class _Pool:
    shared: bool  # between devices, of which there is one
    claims: dict[Claim, int] = field(default_factory=dict)
    used: int = 0


class RateLimiter:
    """The pools of one server.

    Args:
        limits: by name, in lower case; a pool without one is as large as its largest claim.
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = dict(limits)
        self._pools: dict[str, _Pool] = {}
        self._waiting: dict[Claim, None] = {}
        self._turn = 0

    def register(self, resources: Sequence[RateLimiterResource], priority: int) -> Claim:
        """A claim for an instance that is loaded.

        Raises:
            InvalidArgumentError: it could never run, or a name is both global and of a device.
        """
        needs: dict[str, int] = {}
        shared = {name: pool.shared for name, pool in self._pools.items()}
        for resource in resources:
            name = resource.name.lower()
            needs[name] = max(resource.count, needs.get(name, 0))
            self._check(resource, needs[name], shared.setdefault(name, resource.global_))
        claim = Claim(needs, max(1, priority))
        for name, count in needs.items():
            self._pools.setdefault(name, _Pool(shared[name])).claims[claim] = count
        return claim

    def _check(self, resource: RateLimiterResource, count: int, shared: bool) -> None:
        if shared != resource.global_:
            raise InvalidArgumentError(
                f'Resource "{resource.name}" is present as both global and device-specific resource in the '
                "model configuration."
            )
        limit = self._limits.get(resource.name.lower())
        if limit is not None and count > limit:
            raise InvalidArgumentError(
                f'Resource count for "{resource.name}" is limited to {limit} which will prevent scheduling '
                f"of one or more model instances, the minimum required count is {count}"
            )

    def unregister(self, claim: Claim) -> None:
        """The instance is unloaded."""
        self._waiting.pop(claim, None)
        self.release(claim)
        for name in claim.needs:
            pool = self._pools[name]
            del pool.claims[claim]
            if not pool.claims:
                del self._pools[name]
        self._grant(None)

    def acquire(self, claim: Claim) -> bool:
        """Whether ``claim`` is held; else it waits, and is woken when it is."""
        if claim.held:
            return True
        if claim not in self._waiting:
            self._wait(claim)
            self._grant(claim)
        return claim.held

    def release(self, claim: Claim, *, again: bool = False) -> None:
        """Give back what ``claim`` holds, if it does; with ``used`` that was its turn.

        Args:
            again: it has more to run, and waits for its next turn together with the others.
        """
        if not claim.held:
            return
        if claim.used:
            claim.turn += claim.priority
        claim.held = claim.used = False
        for name, count in claim.needs.items():
            self._pools[name].used -= count
        if again:
            self._wait(claim)
        self._grant(None)

    def _wait(self, claim: Claim) -> None:
        claim.turn = max(claim.turn, self._turn)  # who did not ask has saved nothing up
        self._waiting[claim] = None

    def limit(self, name: str) -> int:
        """How much there is of a resource."""
        fixed = self._limits.get(name)
        return max(self._pools[name].claims.values()) if fixed is None else fixed

    def _grant(self, asking: Claim | None) -> None:
        while self._waiting:
            first = min(self._waiting, key=lambda claim: claim.turn)
            if any(self._pools[name].used + n > self.limit(name) for name, n in first.needs.items()):
                return
            del self._waiting[first]
            for name, count in first.needs.items():
                self._pools[name].used += count
            first.held = True
            self._turn = first.turn
            if first is not asking:
                first.wake()


class LimitedInstances:
    """The instances of a model that may run only in their turn, one batch at a time each."""

    def __init__(self, limiter: RateLimiter, claims: Mapping[str, Claim]) -> None:
        self._limiter = limiter
        self._claims = claims  # by the name of the instance

    def attach(self, wake: Callable[[], None]) -> None:
        """Say whom to wake when an instance gets its turn."""
        for claim in self._claims.values():
            claim.wake = wake

    def free(self, instances: Sequence[ModelInstance]) -> ModelInstance | None:
        """An instance that can run and has its turn."""
        return next((instance for instance in instances if self.may_run(instance)), None)

    def may_run(self, instance: ModelInstance) -> bool:
        """Whether ``instance``, which has something to run, can and has its turn; if not, it waits for it."""
        claim = self._claims.get(instance.name)
        if claim is None:
            return instance.in_flight < instance.capacity
        return bool(instance.capacity) and not instance.in_flight and self._limiter.acquire(claim)

    def settle(self, instances: Sequence[ModelInstance], more: bool, *, unused: bool = False) -> None:
        """Give back the turns of instances that are done.

        Args:
            more: whether requests wait.
            unused: give back those that nothing ran in, too; they cost nothing. Not to be asked for before
                an instance that was woken has looked for work.
        """
        claims = ((self._claims.get(instance.name), instance) for instance in instances)
        for claim, instance in [(claim, each) for claim, each in claims if claim is not None and claim.held]:
            if instance.in_flight:
                claim.used = True
            elif claim.used or unused:
                self._limiter.release(claim, again=more and claim.used)

    def close(self) -> None:
        """The instances are gone."""
        for claim in self._claims.values():
            self._limiter.unregister(claim)


def limited_instances(limiter: RateLimiter | None, config: ModelConfig) -> LimitedInstances | None:
    """The claims of a model's instances, by the names that they will have; None if nothing limits them.

    Raises:
        InvalidArgumentError: one of them could never run.
    """
    claims: dict[str, Claim] = {}
    if limiter is None:
        return None
    try:
        for group in config.instance_group:
            limits = _limits(group)
            if limits is not None:
                for index in range(group.count):
                    claims[f"{group.name}_{index}"] = limiter.register(limits.resources, limits.priority)
    except InvalidArgumentError:
        LimitedInstances(limiter, claims).close()
        raise
    return LimitedInstances(limiter, claims) if claims else None


def _limits(group: ModelInstanceGroup) -> RateLimits | None:
    limits = group.rate_limiter
    return limits if limits is not None and limits.resources else None
