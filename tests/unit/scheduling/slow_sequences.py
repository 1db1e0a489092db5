"""Sequence batching once more, by lists that are searched from end to end: slow, and easy to believe."""

from __future__ import annotations

from dataclasses import dataclass, field

from tritium.core.request import SEQUENCE_END, SEQUENCE_START, InferenceRequest

Row = InferenceRequest | None


@dataclass
class Slow:
    """One sequence."""

    key: int | str
    queue: list[InferenceRequest] = field(default_factory=list)
    slot: tuple[int, int] | None = None
    offered: InferenceRequest | None = None
    running: InferenceRequest | None = None
    begun: bool = False
    ends: bool = False
    idle_since: int = 0
    waits_since: int = 0


class SlowSequences:
    """What a ``SequenceBatcher`` should do."""

    def __init__(self, *, direct: bool, slots: int, instances: int, rows: int, idle_us: int) -> None:
        self.direct = direct
        self.rows = rows
        self.idle_us = idle_us
        self.places = [(slot, instance) for slot in range(slots) for instance in range(instances)]
        self.down: set[int] = set()
        self.sequences: list[Slow] = []
        self.offers: list[Slow] = []  # in order
        self.lost_keys: dict[int | str, int] = {}
        self.dropped: list[tuple[InferenceRequest, str]] = []
        self.count = 0

    def find(self, key: int | str) -> Slow | None:
        return next((one for one in self.sequences if one.key == key), None)

    def add(self, request: InferenceRequest, now: int) -> str:
        """Why it is refused, or an empty string."""
        self.expire(now)
        key = request.correlation_id
        one = self.find(key)
        if not request.flags & SEQUENCE_START and (one is None or one.ends):
            return "lost" if key in self.lost_keys else "START"
        if one is None:
            one = Slow(key)
            self.sequences.append(one)
            self.lost_keys.pop(key, None)
            self.wait(one)
        one.queue.append(request)
        one.ends = bool(request.flags & SEQUENCE_END)
        if one.slot is not None and one.offered is None and one.running is None and len(one.queue) == 1:
            self.go_on(one, now)
        self.fill(now)
        return ""

    def wait(self, one: Slow) -> None:
        self.count += 1
        one.slot, one.waits_since = None, self.count

    def expire(self, now: int) -> None:
        for one in [*self.sequences]:
            if (
                one.slot
                and not (one.queue or one.offered or one.running)
                and now >= one.idle_since + self.idle_us
            ):
                self.sequences.remove(one)
        self.lost_keys = {key: until for key, until in self.lost_keys.items() if until > now}
        for one in [*self.sequences]:
            if one.slot is None and one.queue and one.queue[0].timeout_us:
                first = one.queue[0]
                if first.arrival_ns // 1000 + first.timeout_us <= now:
                    self.dropped += [(request, "timeout") for request in one.queue]
                    self.sequences.remove(one)

    def fill(self, now: int) -> None:
        while True:
            taken = {one.slot for one in self.sequences}
            free = [p for p in self.places if p not in taken and p[1] not in self.down]
            waiting = [one for one in self.sequences if one.slot is None]
            if not free or not waiting:
                return
            first = min(waiting, key=lambda one: one.waits_since)
            first.slot = min(free)
            self.go_on(first, now)

    def go_on(self, one: Slow, now: int) -> None:
        while one.queue and one.queue[0].stream.cancelled:
            self.dropped.append((one.queue.pop(0), "gone"))
            self.drop_to_start(one, "cancelled")
            if not one.queue:
                self.sequences.remove(one)
                return
        if one.queue:
            one.offered = one.queue.pop(0)
            self.offers.append(one)
        else:
            one.idle_since = now

    def drop_to_start(self, one: Slow, why: str) -> None:
        while one.queue and not one.queue[0].flags & SEQUENCE_START:
            self.dropped.append((one.queue.pop(0), why))

    def next_batch(self, now: int, instance: int) -> list[Row] | None:
        self.expire(now)
        self.down.discard(instance)
        self.fill(now)
        while True:
            mine = [one for one in self.offers if one.slot and one.slot[1] == instance]
            chosen, noticed = self.choose_direct(mine) if self.direct else self.choose_oldest(mine)
            for one in noticed + chosen:
                self.offers.remove(one)
            for one in noticed:
                assert one.offered is not None
                one.queue.insert(0, one.offered)
                one.offered = None
                self.go_on(one, now)
            self.fill(now)
            if chosen or not noticed:
                break
        return self.start(chosen) if chosen else None

    def choose_direct(self, mine: list[Slow]) -> tuple[list[Slow], list[Slow]]:
        noticed = [one for one in mine if one.offered and one.offered.stream.cancelled]
        rest = [one for one in mine if one not in noticed]
        return [one for one in rest if width(one) == width(rest[0])], noticed

    def choose_oldest(self, mine: list[Slow]) -> tuple[list[Slow], list[Slow]]:
        noticed = [one for one in mine if one.offered and one.offered.stream.cancelled]
        chosen: list[Slow] = []
        for one in mine:
            if one in noticed:
                continue
            if len(chosen) == self.rows or (chosen and width(one) != width(chosen[0])):
                break
            chosen.append(one)
        return chosen, noticed

    def start(self, chosen: list[Slow]) -> list[Row]:
        placed: dict[int, InferenceRequest] = {}
        for number, one in enumerate(chosen):
            assert one.slot is not None and one.offered is not None
            one.running, one.offered, one.begun = one.offered, None, True
            placed[one.slot[0] if self.direct else number] = one.running
        return [placed.get(row) for row in range(max(placed) + 1)]

    def done(self, requests: list[InferenceRequest], again: bool, now: int) -> None:
        for request in requests:
            one = next((s for s in self.sequences if s.running is request), None)
            if one is None:
                if again:
                    self.dropped.append((request, "lost"))
                continue
            one.running = None
            if again:
                one.queue.insert(0, request)
                self.go_on(one, now)
            elif request.flags & SEQUENCE_END:
                self.end(one)
            else:
                self.go_on(one, now)
        self.fill(now)

    def end(self, one: Slow) -> None:
        one.begun = False
        if one.queue:
            self.wait(one)
        else:
            self.sequences.remove(one)

    def lost(self, instance: int, now: int) -> None:
        self.offers = [one for one in self.offers if one.slot and one.slot[1] != instance]
        for one in [one for one in self.sequences if one.slot and one.slot[1] == instance]:
            if one.offered is not None:
                one.queue.insert(0, one.offered)
            one.offered = one.running = None
            if one.begun:
                self.drop_to_start(one, "lost")
                if not one.queue:
                    self.lost_keys[one.key] = now + self.idle_us
            self.end(one)
        self.down.add(instance)
        self.fill(now)


def width(one: Slow) -> int:
    """What tells the shapes of the test's requests apart."""
    assert one.offered is not None
    return one.offered.inputs[0].shape[1]
