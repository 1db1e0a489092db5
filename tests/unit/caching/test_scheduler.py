from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.builders import Answers, FakeScheduler, echo, request, tensor
from tritium.caching.entry import Entry
from tritium.caching.interface import CacheCounts, Found
from tritium.caching.key import KeyMaker
from tritium.caching.local import LocalCache
from tritium.caching.scheduler import OFF_LOOP_BYTES, CachedScheduler
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.core.statistics import ModelStatistics
from tritium.errors import InternalError, UnavailableError


class SlowCache:
    """Answers lookups when it is told to."""

    shared = True
    entries = None
    utilisation = None

    def __init__(self) -> None:
        self.counts = CacheCounts()
        self.waiting: list[Found] = []
        self.kept: list[Entry] = []

    def lookup(self, key: bytes, found: Found) -> None:
        self.waiting.append(found)

    def at_hand(self, key: bytes) -> Entry | None:
        raise AssertionError("it has nothing at hand")

    def insert(self, key: bytes, entry: Entry) -> None:
        self.kept.append(entry)

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class Rig:
    """A cached scheduler with everything around it; its clock ticks by one each time it is looked at."""

    def __init__(
        self,
        cache: LocalCache | SlowCache | None = None,
        run: Callable[[InferenceRequest], None] | None = echo,
    ) -> None:
        self.inner = FakeScheduler(run)
        self.statistics = ModelStatistics()
        self.ticks = 0
        self.scheduler = CachedScheduler(
            self.inner,
            cache or LocalCache(1 << 20),
            KeyMaker(b"m", frozenset(("OUT",))),
            self.statistics,
            self._tick,
        )

    def _tick(self) -> int:
        self.ticks += 1
        return self.ticks

    def ask(self, *numbers: float) -> tuple[InferenceRequest, Answers]:
        answers = Answers()
        asked = request(tensor([*numbers]), answers=answers)
        self.scheduler.enqueue(asked)
        return asked, answers


def test_a_question_is_run_once() -> None:
    rig = Rig()
    replies = [rig.ask(1.0, 2.0)[1] for _ in range(3)]
    assert len(rig.inner.requests) == 1
    assert [r.responses[0].outputs[0].array().tolist() for r in replies] == [[1.0, 2.0]] * 3
    assert [r.finals for r in replies] == [[True]] * 3


def test_other_questions_are_run() -> None:
    rig = Rig()
    rig.ask(1.0)
    rig.ask(2.0)
    assert len(rig.inner.requests) == 2


def test_statistics_tell_hits_from_misses() -> None:
    rig = Rig()
    rig.ask(1.0)
    rig.ask(1.0)
    found = rig.statistics
    assert (found.cache_miss.count, found.cache_hit.count) == (1, 1)
    assert (found.success.count, found.queue.count, found.inference_count) == (1, 1, 0)
    assert found.cache_miss.ns == 2  # the lookup, and keeping the response
    assert found.cache_hit.ns == 1


def test_what_is_at_hand_is_recalled_for_requests_of_a_form_that_was_seen() -> None:
    rig, form = Rig(), object()
    rig.scheduler.enqueue(request(tensor([1.0]), form=form))
    response = rig.scheduler.recall(form, [tensor([1.0]).buffer])
    assert response is not None
    assert response.outputs[0].array().tolist() == [1.0]
    assert rig.scheduler.recall(form, [tensor([2.0]).buffer]) is None
    assert rig.scheduler.recall(object(), [tensor([1.0]).buffer]) is None
    found = rig.statistics
    assert (found.cache_miss.count, found.cache_hit.count, found.success.count) == (1, 1, 1)
    assert (found.cache_hit.ns, len(rig.inner.requests)) == (1, 1)


def test_nothing_is_recalled_that_takes_long_or_that_others_keep() -> None:
    rig, form = Rig(), object()
    rig.scheduler.enqueue(request(tensor([1.0]), form=form))
    assert rig.scheduler.recall(form, [bytes(OFF_LOOP_BYTES + 1)]) is None
    rig = Rig(SlowCache())
    rig.scheduler.enqueue(request(tensor([1.0]), form=form))
    assert rig.scheduler.recall(form, [tensor([1.0]).buffer]) is None


def test_errors_and_empty_responses_are_not_kept() -> None:
    rig = Rig(run=lambda r: r.stream.fail(InternalError("no")))
    assert rig.ask(1.0)[1].errors == ["no"]
    assert rig.ask(1.0)[1].errors == ["no"]
    assert len(rig.inner.requests) == 2
    empty = Rig(run=lambda r: r.stream.send(InferenceResponse(empty=True), final=True))
    empty.ask(1.0)
    empty.ask(1.0)
    assert len(empty.inner.requests) == 2


def test_a_refusal_of_the_queue_reaches_the_caller() -> None:
    def refuse(request: InferenceRequest) -> None:
        raise UnavailableError("full")

    rig = Rig(run=refuse)
    with pytest.raises(UnavailableError, match="full"):
        rig.ask(1.0)
    assert not rig.scheduler.busy


def test_a_refusal_that_shows_later_fails_the_stream() -> None:
    def refuse(request: InferenceRequest) -> None:
        raise UnavailableError("full")

    cache = SlowCache()
    rig = Rig(cache, refuse)
    _, answers = rig.ask(1.0)
    assert (rig.scheduler.busy, rig.scheduler.pending) == (True, 1)
    cache.waiting[0](None)
    assert answers.errors == ["full"]
    assert not rig.scheduler.busy


def test_cancelling_and_pausing_reach_whoever_runs_the_request() -> None:
    rig, answers = Rig(run=None), Answers()
    asked = request(tensor([1.0]), answers=answers)
    client = asked.stream
    rig.scheduler.enqueue(asked)
    told: list[object] = []
    asked.stream.attach(7, told.append, lambda slot, paused: told.append((slot, paused)))
    client.pause(True)
    client.cancel()
    assert told == [(7, True), 7]
    assert asked.stream.cancelled


def test_a_request_that_was_cancelled_during_the_lookup_runs_as_cancelled() -> None:
    cache = SlowCache()
    rig = Rig(cache, run=None)
    asked, _ = rig.ask(1.0)
    asked.stream.cancel()
    cache.waiting[0](None)
    assert rig.inner.requests[0].stream.cancelled


def test_a_large_request_is_digested_off_the_loop() -> None:
    async def run() -> list[Answers]:
        rig = Rig(LocalCache(1 << 24))
        replies = [Answers(), Answers()]
        for answers in replies:
            large = tensor(np.zeros(OFF_LOOP_BYTES, np.float32))
            rig.scheduler.enqueue(request(large, answers=answers))
            assert rig.scheduler.pending == 1
            await rig.scheduler.stop()
        assert len(rig.inner.requests) == 1
        return replies

    assert [answers.finals for answers in asyncio.run(run())] == [[True], [True]]


def test_stopping_waits_for_lookups() -> None:
    async def run() -> tuple[list[str], list[bool]]:
        cache = SlowCache()
        rig = Rig(cache)
        _, answers = rig.ask(1.0)
        stopping = asyncio.ensure_future(rig.scheduler.stop())
        await asyncio.sleep(0)
        stopped = [rig.inner.stopped]
        cache.waiting[0](None)
        await stopping
        assert len(cache.kept) == 1
        return answers.errors, [*stopped, rig.inner.stopped]

    assert asyncio.run(run()) == ([], [False, True])
