"""Looks after models that wait for models, and ends a deadlock by refusing one of the questions in it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from tritium.core.interfaces import ModelInstance
from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.errors import UnavailableError
from tritium.scheduling.deadlock import Wait, deadlock_text, find_deadlock

logger = logging.getLogger("tritium.execution")

PATIENCE_S = 2.0  # nothing that is younger is looked at
_PERIOD_S = 1.0


@dataclass(slots=True)
class _Call:
    caller: ModelInstance
    target: Model
    request: InferenceRequest
    since_s: float

    @property
    def holds_its_caller(self) -> bool:
        """Whether the caller has work and cannot do more of it before it is answered."""
        caller = self.caller
        busy = caller.in_flight > 0
        return busy and (not caller.side_by_side or caller.in_flight >= caller.capacity)


class CallWatch:
    """The questions that models have asked and that are not answered."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._calls: list[_Call] = []
        self._limit = 64  # calls that are kept before answered ones are sorted out
        self._timer: asyncio.TimerHandle | None = None

    def note(self, caller: ModelInstance, target: Model, request: InferenceRequest) -> None:
        """``caller`` asks ``target``."""
        self._calls.append(_Call(caller, target, request, self._now_s()))
        if len(self._calls) > self._limit:
            self._sort_out()
            self._limit = 64 + 2 * len(self._calls)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PERIOD_S, self._on_timer)

    def look(self) -> None:
        """End one deadlock, if there is one."""
        self._sort_out()
        oldest_s = self._now_s() - PATIENCE_S
        held = [part for call in self._calls if call.holds_its_caller for part in _parts(call)]
        if not any(call.since_s <= oldest_s for call in held):
            return
        waits = [Wait(c.caller.name, c.target.config.name, not c.request.stream.attached) for c in held]
        instances = {
            call.target.config.name: [instance.name for instance in call.target.scheduler.instances]
            for call in held
        }
        circle = find_deadlock(waits, instances)
        if not circle:
            return
        refused = held[waits.index(circle[0])]
        text = deadlock_text(circle)
        logger.error("%s", text)
        refused.request.stream.fail(UnavailableError(text))
        refused.request.stream.cancelled = True  # it is still in a queue, and must not run

    def _on_timer(self) -> None:
        self._timer = None
        self.look()
        if self._calls:
            self._timer = asyncio.get_running_loop().call_later(_PERIOD_S, self._on_timer)

    def _sort_out(self) -> None:
        self._calls = [
            call for call in self._calls if not (call.request.stream.closed or call.request.stream.cancelled)
        ]


def _parts(call: _Call) -> list[_Call]:
    """What ``call`` waits for: its target or, of an ensemble, the steps that have not answered."""
    if call.target.asks is None:
        return [call]
    steps = [_Call(call.caller, model, step, call.since_s) for model, step in call.target.asks(call.request)]
    return [part for step in steps for part in _parts(step)]
