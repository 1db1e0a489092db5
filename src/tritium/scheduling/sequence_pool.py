"""The free slots of all instances of a model with sequences. Pure."""

from __future__ import annotations

import heapq

Place = tuple[int, int]  # slot and instance


class SlotPool:
    """Gives out low slots first, and so spreads sequences over the instances.

    Args:
        slots: of each instance; a slot costs nothing before it is taken.
    """

    def __init__(self, instances: int, slots: int) -> None:
        self._instances = instances
        self._slots = slots
        self._free: list[Place] = []  # a heap
        self._unused: list[
            int
        ] = []  # by instance, the lowest slot that was never taken; it is in the heap, too
        self._parked: dict[int, list[Place]] = {}  # free slots of instances that cannot run
        self.reset()

    def __bool__(self) -> bool:
        return bool(self._free)

    def take(self) -> Place:
        """A free slot.

        Raises:
            IndexError: there is none.
        """
        slot, instance = heapq.heappop(self._free)
        if slot == self._unused[instance]:
            self._unused[instance] += 1
            if slot + 1 < self._slots:
                heapq.heappush(self._free, (slot + 1, instance))
        return slot, instance

    def release(self, place: Place) -> None:
        """Nothing has this slot any more."""
        parked = self._parked.get(place[1])
        if parked is None:
            heapq.heappush(self._free, place)
        else:
            parked.append(place)

    def park(self, instance: int) -> None:
        """Give out no slots of ``instance`` before ``unpark``."""
        parked = self._parked.setdefault(instance, [])
        parked += [place for place in self._free if place[1] == instance]
        self._free = [place for place in self._free if place[1] != instance]
        heapq.heapify(self._free)

    def unpark(self, instance: int) -> None:
        """``instance`` runs."""
        for place in self._parked.pop(instance, ()):
            heapq.heappush(self._free, place)

    def reset(self) -> None:
        """All slots are free."""
        self._free.clear()
        self._unused = [0] * self._instances
        for instance in self._parked:
            self._parked[instance] = []
        for instance in range(self._instances):
            self.release((0, instance))
