"""Finds models that wait for each other in a circle, with all their instances busy waiting. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wait:
    """An instance that asked a model and has no answer yet.

    Attributes:
        caller: the name of the instance.
        target: the name of the model.
        queued: whether no instance of the target has begun with it.
    """

    caller: str
    target: str
    queued: bool


def find_deadlock(waits: Sequence[Wait], instances: Mapping[str, Collection[str]]) -> list[Wait]:
    """A circle of waits that cannot end, from a queued one back to it; empty if there is none.

    Args:
        waits: of instances that can do nothing else until they are answered.
        instances: the names of the instances of each model that is asked.
    """
    stuck = _stuck(waits, instances)
    for wait in waits:
        if wait.queued and wait.caller in stuck and set(instances[wait.target]) <= stuck:
            circle = _circle(wait, [other for other in waits if other.caller in stuck], instances)
            if circle:
                return circle
    return []


def _stuck(waits: Sequence[Wait], instances: Mapping[str, Collection[str]]) -> set[str]:
    """The callers that only other stuck callers could help: what is left when all others are taken away."""
    stuck = {wait.caller for wait in waits}
    while True:
        free = {wait.caller for wait in waits if not set(instances[wait.target]) <= stuck} & stuck
        if not free:
            return stuck
        stuck -= free


def _circle(first: Wait, waits: Sequence[Wait], instances: Mapping[str, Collection[str]]) -> list[Wait]:
    """The shortest way along ``waits`` from ``first`` back to its caller."""
    paths = [[first]]
    seen: set[str] = set()
    for path in paths:  # grows while it is walked
        reached = instances[path[-1].target]
        if first.caller in reached:
            return path
        for wait in waits:
            if wait.caller in reached and wait.caller not in seen:
                seen.add(wait.caller)
                paths.append([*path, wait])
    return []


def deadlock_text(circle: Sequence[Wait]) -> str:
    """What the model whose question is refused is told."""
    steps = ", ".join(f"'{wait.caller}' waits for '{wait.target}'" for wait in circle)
    return (
        f"deadlock: {steps}, and every instance of these models waits for an answer itself. Add instances "
        f"(instance_group count) to '{circle[0].target}', or do not let the models ask each other in a circle"
    )
