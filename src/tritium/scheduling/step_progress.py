"""How far one ensemble request has come: given which tensors arrived, which steps can start. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Generic, TypeVar

from tritium.scheduling.step_graph import StepPlan

T = TypeVar("T")


class Wave(Generic[T]):
    """The tensors that belong together: those of the request, or what followed from one streamed result."""

    __slots__ = ("level", "missing", "source", "tensors", "unset")

    def __init__(self, plan: StepPlan, level: int) -> None:
        self.level = level  # decoupled steps of the plan's chain that led here; -1 off the chain
        self.tensors: dict[str, T | None] = {}
        self.missing = [*plan.needs]  # by step, the tensors that it still waits for
        self.unset = len(plan.outputs)
        self.source: StepCall[T] | None = None  # of the next level


class StepCall(Generic[T]):
    """One run of one step."""

    __slots__ = ("answered", "ended", "step", "wave", "waves")

    def __init__(self, step: int, wave: Wave[T]) -> None:
        self.step = step
        self.wave = wave
        self.waves: deque[Wave[T]] = deque()  # of a decoupled step: a wave for each response, in order
        self.answered = False
        self.ended = False

    def inputs(self, plan: StepPlan) -> dict[str, T | None]:
        """By ensemble tensor, what the step gets, to be asked once; None for an optional one not given."""
        tensors = self.wave.tensors
        return {
            name: tensors.pop(name) if name in plan.brief else tensors[name]
            for name in plan.steps[self.step].reads
        }


class StepProgress(Generic[T]):
    """The state of one request.

    Args:
        limit: calls of one step that run at the same time; more are held back until one has ended.
    """

    __slots__ = (
        "_active",
        "_chain",
        "_held",
        "_in_flight",
        "_limit",
        "_plan",
        "_ready",
        "_responded",
        "_root",
    )

    def __init__(self, plan: StepPlan, limit: int) -> None:
        self._plan = plan
        self._limit = limit
        self._root: Wave[T] = Wave(plan, 0)
        self._in_flight = [0] * len(plan.steps)
        self._held: dict[int, deque[StepCall[T]]] = {}
        self._active = 0  # calls that were started and have not ended
        self._ready: list[list[tuple[str, T]]] = []
        self._responded = False

    def begin(self, tensors: Mapping[str, T]) -> list[StepCall[T]]:
        """The request's tensors are there, and what it does not bring will not come: the calls to start."""
        return self._arrive(self._root, self._plan.inputs, tensors)

    def respond(self, call: StepCall[T], tensors: Mapping[str, T]) -> list[StepCall[T]]:
        """A call answered, by ensemble tensor; what it left out will not come.

        Returns:
            The calls to start.
        """
        step = self._plan.steps[call.step]
        wave = call.wave
        if step.decoupled:
            on_chain = wave.level >= 0 and wave.level < len(self._plan.chain)
            next_level = wave.level + 1 if on_chain and self._plan.chain[wave.level] == call.step else -1
            wave = Wave(self._plan, next_level)
            if next_level > 0:
                call.waves.append(wave)
        elif call.answered:
            return []
        call.answered = True
        return self._arrive(wave, step.writes, tensors)

    def end(self, call: StepCall[T]) -> list[StepCall[T]]:
        """No more answers of this call come: the calls to start."""
        if call.ended:
            return []
        started: list[StepCall[T]] = []
        if not call.answered and not self._plan.steps[call.step].decoupled:
            started = self.respond(call, {})
        call.ended = True
        self._active -= 1
        self._in_flight[call.step] -= 1
        held = self._held.get(call.step)
        if held:
            started.append(self._start(held.popleft()))
            if not held:
                del self._held[call.step]
        return started

    def take(self) -> list[list[tuple[str, T]]]:
        """The responses that are complete and whose turn it is: names and values of outputs, in order."""
        if not self._responded:
            self._responded = self._advance(self._root)
        ready, self._ready = self._ready, []
        return ready

    @property
    def over(self) -> bool:
        """Whether nothing runs and nothing is held back."""
        return not self._active and not self._held

    @property
    def congested(self) -> bool:
        """Whether calls are held back, so that who makes them had better wait."""
        return bool(self._held)

    def _arrive(self, wave: Wave[T], names: tuple[str, ...], tensors: Mapping[str, T]) -> list[StepCall[T]]:
        plan = self._plan
        readers, missing, held = plan.readers, wave.missing, wave.tensors
        started: list[StepCall[T]] = []
        for name in names:
            value = tensors.get(name)
            reading = readers.get(name, ())
            if name in plan.outputs:
                wave.unset -= 1
            elif not reading:
                continue
            held[name] = value
            for step in reading:
                missing[step] -= 1
                if not missing[step]:
                    call = StepCall(step, wave)
                    if 0 <= wave.level < len(self._plan.chain) and self._plan.chain[wave.level] == step:
                        wave.source = call
                    if self._in_flight[step] < self._limit:
                        started.append(self._start(call))
                    else:
                        self._held.setdefault(step, deque()).append(call)
        return started

    def _start(self, call: StepCall[T]) -> StepCall[T]:
        self._in_flight[call.step] += 1
        self._active += 1
        return call

    def _advance(self, wave: Wave[T]) -> bool:
        """Make ready what comes from ``wave`` as far as it is complete; whether nothing more will come."""
        if wave.level == len(self._plan.chain):
            if wave.unset:
                return False
            tensors = wave.tensors
            found = [(name, tensors[name]) for name in self._plan.outputs]
            self._ready.append([(name, value) for name, value in found if value is not None])
            return True
        call = wave.source
        if call is None:
            return False
        while call.waves:
            if not self._advance(call.waves[0]):
                return False
            call.waves.popleft()
        return call.ended
