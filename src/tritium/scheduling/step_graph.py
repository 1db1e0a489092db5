"""What an ensemble's steps need and make: which step can run when, and what is left out for whom. Pure.

A decoupled step makes a stream of results, and everything that comes after it runs once for each of them. So
every tensor has an origin: the decoupled step nearest before it, or none. Tensors of different origins never
meet, in no step and not among the outputs, for nothing says which of them belong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tritium.errors import ConfigError

NO_ORIGIN = -1
_PLANS = 64  # choices of outputs that are remembered; then they are worked out anew


@dataclass(frozen=True, slots=True)
class GraphStep:
    """One step: the ensemble tensors that it reads and writes, each once."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    decoupled: bool = False


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one choice of outputs needs.

    Attributes:
        inputs: the tensors that requests bring.
        outputs: the tensors that make a response.
        steps: all steps of the graph, also those that are not needed.
        readers: by tensor, the steps that wait for it.
        needs: by step, how many tensors it waits for.
        chain: the decoupled steps that responses come from, in order; with none there is one response.
        brief: tensors of which nobody needs more than the one step that reads them.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: tuple[GraphStep, ...]
    readers: Mapping[str, tuple[int, ...]]
    needs: tuple[int, ...]
    chain: tuple[int, ...]
    brief: frozenset[str]


class StepGraph:
    """The steps of one ensemble. Every tensor is an input or is written by one step, and there is no circle.

    Raises:
        ConfigError: tensors of different origins meet.
    """

    def __init__(
        self, name: str, inputs: Sequence[str], outputs: Sequence[str], steps: Sequence[GraphStep]
    ) -> None:
        self.name = name
        self.steps = tuple(steps)
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self._writer = {tensor: index for index, step in enumerate(steps) for tensor in step.writes}
        self._plans: dict[tuple[str, ...], StepPlan] = {}
        self._origins = self._find_origins()
        self._common_origin(self._outputs, "the outputs")
        self._all = self.plan(())

    def plan(self, requested: tuple[str, ...]) -> StepPlan:
        """The plan for these outputs; none means all."""
        if not requested and self._plans:
            return self._all
        plan = self._plans.get(requested)
        if plan is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            plan = self._plans[requested] = self._make_plan(requested or self._outputs)
        return plan

    def downstream(self, step: int) -> set[int]:
        """The steps that run after ``step``, because of it."""
        found: set[int] = set()
        arriving = [*self.steps[step].writes]
        while arriving:
            tensor = arriving.pop()
            for index, other in enumerate(self.steps):
                if tensor in other.reads and index not in found:
                    found.add(index)
                    arriving.extend(other.writes)
        return found

    def _make_plan(self, outputs: tuple[str, ...]) -> StepPlan:
        dropped = self._not_needed(set(self._outputs) - set(outputs))
        readers: dict[str, list[int]] = {}
        for index, step in enumerate(self.steps):
            if index not in dropped:
                for tensor in step.reads:
                    readers.setdefault(tensor, []).append(index)
        brief = {tensor for tensor, steps in readers.items() if len(steps) == 1} - set(outputs)
        return StepPlan(
            self._inputs,
            tuple(dict.fromkeys(outputs)),
            self.steps,
            {tensor: tuple(steps) for tensor, steps in readers.items()},
            tuple(len(step.reads) for step in self.steps),
            self._chain(self._origins[outputs[0]]) if outputs else (),
            frozenset(brief),
        )

    def _not_needed(self, unwanted: set[str]) -> set[int]:
        """The steps that work for ``unwanted`` tensors only; what was never an output counts as wanted."""
        dropped: set[int] = set()
        wanted_writes = [set(step.writes) for step in self.steps]
        readers = {
            tensor: {index for index, step in enumerate(self.steps) if tensor in step.reads}
            for tensor in self._writer
        }
        leaving = [tensor for tensor in unwanted if not readers.get(tensor)]
        while leaving:
            tensor = leaving.pop()
            index = self._writer.get(tensor)
            if index is None:
                continue
            wanted_writes[index].discard(tensor)
            if wanted_writes[index] or index in dropped:
                continue
            dropped.add(index)
            for read in self.steps[index].reads:
                others = readers.get(read, set())
                others.discard(index)
                if not others and (read not in self._outputs or read in unwanted):
                    leaving.append(read)
        return dropped

    def _find_origins(self) -> dict[str, int]:
        origins = dict.fromkeys(self._inputs, NO_ORIGIN)
        waiting = dict(enumerate(self.steps))
        while ready := [i for i, step in waiting.items() if all(tensor in origins for tensor in step.reads)]:
            for index in ready:
                step = waiting.pop(index)
                origin = self._common_origin(step.reads, f"step {index}", origins)
                origins.update(dict.fromkeys(step.writes, index if step.decoupled else origin))
        return origins

    def _common_origin(
        self, tensors: Sequence[str], where: str, origins: Mapping[str, int] | None = None
    ) -> int:
        known = self._origins if origins is None else origins
        found = {tensor: known[tensor] for tensor in tensors}
        if len(set(found.values())) > 1:
            each = ", ".join(f"'{tensor}' from {_source(origin)}" for tensor, origin in found.items())
            raise ConfigError(
                f"in ensemble {self.name}, step of model '{self.name}' receives inputs originated from "
                f"different decoupled models: {where} gets {each}. Let all tensors that meet come through "
                "the same decoupled step"
            )
        return next(iter(found.values()), NO_ORIGIN)

    def _chain(self, origin: int) -> tuple[int, ...]:
        chain: list[int] = []
        while origin != NO_ORIGIN:
            chain.append(origin)
            reads = self.steps[origin].reads
            origin = self._origins[reads[0]] if reads else NO_ORIGIN
        return tuple(reversed(chain))


def _source(origin: int) -> str:
    return "the request" if origin == NO_ORIGIN else f"step {origin}"
