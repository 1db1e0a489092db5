"""Tests for ``tritium.execution.batch_traffic``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest

from tests.unit.builders import Answers, request
from tritium.core.interfaces import Batch, Outcome
from tritium.errors import InternalError
from tritium.execution.batch_traffic import BatchTraffic
from tritium.execution.call_role import CallRole
from tritium.execution.wire import WireCodec
from tritium.execution.worker import Worker
from tritium.worker_root.tritium_worker import frames
from tritium.worker_root.tritium_worker.frames import Buffer

NO_TENSORS = (b"[[],[]]", b"", (), (), frames.ANSWERED)


@dataclass
class FakeWorker:
    """Keeps what is queued, and how it is told to send it."""

    name: str = "m_0"
    board: None = None
    inputs: None = None
    outputs: None = None
    queued: list[Buffer] = field(default_factory=list)
    flushes: list[str] = field(default_factory=list)

    def queue(self, buffers: list[Buffer]) -> None:
        self.queued += buffers

    def flush(self) -> None:
        self.flushes.append("now")

    def flush_soon(self) -> None:
        self.flushes.append("soon")


class Rig:
    """Traffic with a worker that is told what it answers."""

    def __init__(self, *, side_by_side: bool = False, in_order: bool = True) -> None:
        self.executed: list[int] = []
        self.done: list[Outcome] = []
        self.role = CallRole(lambda: self.traffic.set_capacity())
        self.traffic = BatchTraffic(
            lambda: "m_0",
            WireCodec(),
            self.role,
            on_available=lambda: None,
            on_executed=self.executed.append,
        )
        self.worker = FakeWorker()
        self.modes = {"side_by_side": side_by_side, "in_order": in_order}

    def open(self) -> None:
        self.traffic.open(cast(Worker, self.worker), deadline=None, **self.modes)

    def send(self, count: int = 1) -> None:
        requests = [request(answers=Answers()) for _ in range(count)]
        self.traffic.execute(Batch(requests, count, 0, lambda batch, outcome: self.done.append(outcome)))
        self.traffic.flush()

    def answer(self, flight_id: int, count: int = 1, ns: int = 0) -> None:
        times = frames.TIMES.pack(0, ns, 0)
        buffers = frames.encode_batch(frames.RESULT, flight_id, [NO_TENSORS] * count, times)
        self.traffic.on_result(memoryview(b"".join(buffers))[frames.HEAD.size :])


def test_a_batch_goes_to_the_worker_and_its_result_comes_back() -> None:
    rig = Rig()
    rig.open()
    rig.send(count=2)
    assert (rig.traffic.in_flight, len(rig.traffic.flights)) == (1, 1)
    assert frames.HEAD.unpack_from(rig.worker.queued[0])[1] == frames.EXECUTE
    rig.answer(1, count=2)
    assert (rig.traffic.in_flight, len(rig.done[0].responses), rig.executed) == (0, 2, [2])


def test_a_result_of_the_wrong_size_is_the_workers_fault() -> None:
    rig = Rig()
    rig.open()
    rig.send()
    with pytest.raises(InternalError, match="worker 'm_0' answered 3 of 1 requests"):
        rig.answer(1, count=3)


def test_what_comes_while_there_is_no_worker_is_sent_to_the_next_one() -> None:
    rig = Rig()
    assert rig.traffic.capacity == 0
    rig.send()
    assert rig.worker.queued == []
    rig.open()
    rig.traffic.release()
    assert rig.worker.queued and rig.worker.flushes == ["now"]


def test_a_worker_that_is_closed_to_new_batches_still_answers_old_ones() -> None:
    rig = Rig()
    rig.open()
    rig.send()
    rig.traffic.close()
    sent = len(rig.worker.queued)
    rig.send()
    assert (rig.traffic.capacity, len(rig.worker.queued)) == (0, sent)
    rig.answer(1)
    assert (len(rig.done), rig.traffic.capacity) == (1, 0)


def test_draining_ends_with_the_last_result() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.open()
        rig.send()
        drained = asyncio.ensure_future(rig.traffic.drain())
        await asyncio.sleep(0)
        assert not drained.done()
        rig.answer(1)
        await drained

    asyncio.run(scenario())


def test_quick_batches_are_taken_in_advance_unless_the_model_may_wait_for_itself() -> None:
    rig = Rig()
    rig.open()
    assert rig.traffic.capacity == 1
    for number in range(1, 50):
        rig.send()
        rig.answer(number, ns=450_000)
    assert rig.traffic.capacity == 3
    rig.role.asks()
    rig.role.asked()
    assert rig.traffic.capacity == 1


def test_batches_of_coroutines_are_sent_in_groups() -> None:
    rig = Rig(side_by_side=True)
    rig.open()
    assert rig.traffic.eager and rig.traffic.capacity > 100
    for _ in range(16):
        rig.send()
    assert rig.worker.flushes == ["now", *["soon"] * 7, "now", *["soon"] * 7]


def test_coroutines_that_take_whole_batches_are_not_eager() -> None:
    rig = Rig(side_by_side=True, in_order=False)
    rig.open()
    assert not rig.traffic.eager
    rig.send()
    rig.send()
    assert rig.worker.flushes == ["now", "now"]
