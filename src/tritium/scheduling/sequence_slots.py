"""Which requests of one instance's sequences run together: the two strategies, each for one instance. Pure.

A sequence has one slot of one instance. It *offers* its next request when nothing of it runs, so that of each
sequence at most one request is offered or running, and its requests run in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from tritium.core.request import InferenceRequest
from tritium.core.statistics import BatchReleases
from tritium.scheduling.dynamic_batcher import DynamicBatcher
from tritium.scheduling.queue import QueueSettings

Row = InferenceRequest | None
Signature = Callable[[InferenceRequest], Hashable]  # those with the same one may run together


class SlotStrategy(Protocol):
    """Holds what the sequences of one instance offer."""

    def offer(self, request: InferenceRequest, slot: int, now_us: int) -> None:
        """The next request of the sequence in ``slot``."""
        ...

    def next_batch(self, now_us: int) -> list[Row] | None:
        """The rows to run now, None in a row that is empty; or None while nothing should run yet."""
        ...

    def next_wakeup_us(self) -> int | None:
        """When ``next_batch`` may change its answer although nothing was offered; None for never."""
        ...

    def take_cancelled(self) -> list[InferenceRequest]:
        """Offered requests that left because their client had gone."""
        ...

    def __bool__(self) -> bool:
        """Whether anything is offered."""
        ...

    def clear(self) -> None:
        """Forget all offers."""
        ...


class DirectSlots:
    """The direct strategy: a slot is a row of the batch, the same one as long as its sequence lives.

    A batch has a row for every slot up to the last that takes part; rows of slots that have nothing to run,
    or a request of another shape than the one that has waited longest, are empty. It leaves at once unless
    ``minimum_slot_utilization`` asks for company: then when that part of the slots has something to run, or
    the oldest request has waited ``max_queue_delay_us``.
    """

    def __init__(
        self,
        slots: int,
        *,
        minimum_slot_utilization: float = 0.0,
        max_queue_delay_us: int = 0,
        signature: Signature | None = None,
    ) -> None:
        self._signature = signature
        self._enough = minimum_slot_utilization * slots
        self._delay_us = max_queue_delay_us if minimum_slot_utilization else 0
        self._offers: dict[int, tuple[InferenceRequest, Hashable, int]] = {}  # by slot, oldest first
        self._cancelled: list[InferenceRequest] = []

    def offer(self, request: InferenceRequest, slot: int, now_us: int) -> None:
        """The next request of the sequence in ``slot``."""
        signature = None if self._signature is None else self._signature(request)
        self._offers[slot] = request, signature, now_us

    def next_batch(self, now_us: int) -> list[Row] | None:
        """The rows to run now, in slot order."""
        self._drop_cancelled()
        if not self._offers:
            return None
        _, signature, since_us = next(iter(self._offers.values()))
        if len(self._offers) < self._enough and now_us - since_us < self._delay_us:
            return None
        taken = [slot for slot, offer in self._offers.items() if offer[1] == signature]
        rows: list[Row] = [None] * (max(taken) + 1)
        for slot in taken:
            rows[slot] = self._offers.pop(slot)[0]
        return rows

    def next_wakeup_us(self) -> int | None:
        """When the oldest offer will have waited long enough."""
        return next(iter(self._offers.values()))[2] + self._delay_us if self._offers else None

    def take_cancelled(self) -> list[InferenceRequest]:
        """Offered requests that left because their client had gone."""
        taken, self._cancelled = self._cancelled, []
        return taken

    def clear(self) -> None:
        """Forget all offers."""
        self._offers.clear()

    def __bool__(self) -> bool:
        return bool(self._offers)

    def _drop_cancelled(self) -> None:
        gone = [slot for slot, offer in self._offers.items() if offer[0].stream.cancelled]
        self._cancelled += [self._offers.pop(slot)[0] for slot in gone]


class OldestCandidates:
    """The oldest strategy: what the instance's sequences offer is batched dynamically, the oldest first.

    Args:
        candidates: slots; the batcher never holds more requests.
        signature, releases: as for ``DynamicBatcher``.
    """

    def __init__(
        self,
        candidates: int,
        *,
        max_batch_size: int,
        preferred_batch_sizes: Sequence[int] = (),
        max_queue_delay_us: int = 0,
        signature: Signature | None = None,
        releases: BatchReleases | None = None,
    ) -> None:
        self._batcher = DynamicBatcher(
            max_batch_size,
            queue=QueueSettings(candidates),
            preferred_batch_sizes=preferred_batch_sizes,
            max_queue_delay_us=max_queue_delay_us,
            signature=signature,
            releases=releases,
        )

    def offer(self, request: InferenceRequest, slot: int, now_us: int) -> None:
        """The next request of the sequence in ``slot``."""
        self._batcher.add(request, now_us)

    def next_batch(self, now_us: int) -> list[Row] | None:
        """The requests to run now, oldest offer first."""
        batch = self._batcher.next_batch(now_us)
        return None if batch is None else [*batch]

    def next_wakeup_us(self) -> int | None:
        """When the dynamic batcher will have waited long enough."""
        return self._batcher.next_wakeup_us()

    def take_cancelled(self) -> list[InferenceRequest]:
        """Offered requests that left because their client had gone."""
        return self._batcher.take_cancelled()

    def clear(self) -> None:
        """Forget all offers."""
        self._batcher.take_all()
        self._batcher.take_cancelled()

    def __bool__(self) -> bool:
        return bool(len(self._batcher))
