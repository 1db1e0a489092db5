"""Whose turn it is: one operation at a time for each model name, and so many loads at a time in all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tritium.errors import UnavailableError


class LoadCycleError(UnavailableError):
    """A load would wait for itself, by way of ``names``, of which the first is the last."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            f"loading model '{names[0]}' waits for itself: {' -> '.join(names)}; load the other model before "
            "it, or when a request comes"
        )


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0  # operations that hold the lock or wait for it


class LoadGate:
    """Serialises operations by name, and bounds how many loads run.

    Args:
        slots: loads that run at the same time.
    """

    def __init__(self, slots: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._turns: dict[str, _Turn] = {}
        self._waits: dict[
            str, list[str]
        ] = {}  # by model that is being loaded, the names that its code waits for

    @asynccontextmanager
    async def turn(self, name: str, within_load_of: str | None = None) -> AsyncIterator[None]:
        """Hold the only turn of ``name``.

        Args:
            within_load_of: the model whose loading asks; it waits for this, so its own turn is taken.

        Raises:
            LoadCycleError: to wait would be to wait for itself.
        """
        async with AsyncExitStack() as stack:
            if within_load_of is not None:
                self._check_cycle(name, within_load_of)
                self._waits.setdefault(within_load_of, []).append(name)
                stack.callback(self._stop_waiting, within_load_of, name)
            entry = self._turns.setdefault(name, _Turn())
            entry.users += 1
            stack.callback(self._leave, name, entry)
            async with entry.lock:
                yield

    @asynccontextmanager
    async def slot(self, within_load_of: str | None = None) -> AsyncIterator[None]:
        """Hold one of the slots; a load within a load goes on in the slot that the outer one has."""
        if within_load_of is not None:
            yield
            return
        async with self._slots:
            yield

    def _leave(self, name: str, entry: _Turn) -> None:
        entry.users -= 1
        if not entry.users:
            del self._turns[name]

    def _stop_waiting(self, waiter: str, name: str) -> None:
        self._waits[waiter].remove(name)
        if not self._waits[waiter]:
            del self._waits[waiter]

    def _check_cycle(self, name: str, asker: str) -> None:
        path = self._path(name, asker, frozenset())
        if path:
            raise LoadCycleError([asker, *path])

    def _path(self, start: str, goal: str, seen: frozenset[str]) -> list[str]:
        """How ``start`` waits for ``goal``; empty if it does not."""
        if start == goal:
            return [goal]
        if start in seen:
            return []
        for name in self._waits.get(start, ()):
            rest = self._path(name, goal, seen | {start})
            if rest:
                return [start, *rest]
        return []
