"""The process instances of one model: what they share is how often they may crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tritium.core.interfaces import ModelAccess, ModelInstance, WorkerUsage
from tritium.errors import TritiumError
from tritium.execution.call_role import CallRole
from tritium.execution.cores import core_shares
from tritium.execution.launcher import Launcher
from tritium.execution.process import ProcessInstance
from tritium.execution.restarts import Restarts
from tritium.execution.supervisor import BreakerState
from tritium.execution.wire import WireCodec
from tritium.execution.worker_plan import WorkerPlan

CORES = "cores"  # of the arguments of an engine in native code: those that the instance may use


@dataclass(slots=True)
class _Owner:
    """Whom to tell; nobody until the group is attached to a scheduler."""

    on_available: Callable[[], None] = lambda: None
    on_broken: Callable[[TritiumError], None] = lambda error: None
    on_lost: Callable[[ModelInstance], None] = lambda instance: None


class WorkerGroup:
    """Instances in worker processes, from the first one that completes the configuration to all of them."""

    def __init__(self, name: str, plan: WorkerPlan, launcher: Launcher, models: ModelAccess) -> None:
        self._plan = plan
        self._models = models
        self._launcher = launcher
        self._restarts = Restarts()
        self._codec = WireCodec()
        self._role = CallRole(self._take_one_by_one)
        self._owner = _Owner()
        self.instances = [self._make(f"{name}_0")]

    def _make(self, name: str) -> ProcessInstance:
        return ProcessInstance(
            name,
            self._plan,
            self._launcher,
            self._restarts,
            on_available=lambda: self._owner.on_available(),
            on_broken=self._broken,
            on_lost=lambda instance: self._owner.on_lost(instance),
            codec=self._codec,
            models=self._models,
            role=self._role,
        )

    async def autocomplete(self, document: dict[str, Any]) -> dict[str, Any]:
        """The model's own completion of its configuration; its worker stays, as the first instance.

        Raises:
            TritiumError: the model refused, or its process ended.
        """
        return await self.instances[0].autocomplete(document)

    async def start(self, plan: WorkerPlan, names: Sequence[str], outputs: Sequence[str]) -> None:
        """Load one instance per name.

        Args:
            outputs: those that a request gets which names none.

        Raises:
            TritiumError: an instance cannot be loaded; the others have settled.
        """
        self._codec.declare_outputs(tuple(outputs))
        self.instances[0].name = names[0]
        self.instances += [self._make(name) for name in names[1:]]
        shares = core_shares(len(names)) if plan.native else [""] * len(names)
        starts = (
            instance.start(replace(plan, args={**plan.args, CORES: share} if share else plan.args))
            for instance, share in zip(self.instances, shares, strict=True)
        )
        for result in await asyncio.gather(*starts, return_exceptions=True):
            if result is not None:
                raise result

    def attach(
        self,
        on_available: Callable[[], None],
        on_broken: Callable[[TritiumError], None],
        on_lost: Callable[[ModelInstance], None] = lambda instance: None,
    ) -> None:
        """Tell a scheduler when an instance can work again, when none will for a while, and when one's worker
        ended, whatever becomes of it."""
        self._owner = _Owner(on_available, on_broken, on_lost)

    async def abandon(self) -> None:
        """End every process at once."""
        await asyncio.gather(*(instance.abandon() for instance in self.instances))

    def ready(self) -> bool:
        """Whether an instance can run a batch, and its model says that it is ready."""
        return any(instance.ready for instance in self.instances)

    def restarts(self) -> Mapping[str, int]:
        """Workers that ended and were replaced, by reason."""
        return self._restarts.by_reason()

    def usage(self) -> list[WorkerUsage]:
        """What the workers that there are have used."""
        return [usage for usage in (instance.usage() for instance in self.instances) if usage is not None]

    def refusal(self) -> str | None:
        """Why requests are refused, while they are."""
        if self._restarts.breaker.state is not BreakerState.OPEN or self._runs():
            return None
        return self._restarts.broken_text

    def asked(self) -> None:
        """Another model, or this one, is about to ask it."""
        self._role.asked()

    def _take_one_by_one(self) -> None:
        for instance in self.instances:
            instance.set_capacity()

    def _runs(self) -> bool:
        return any(instance.runs for instance in self.instances)

    def _broken(self, error: TritiumError) -> None:
        if not self._runs():
            self._owner.on_broken(error)
