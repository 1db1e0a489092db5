from __future__ import annotations

import asyncio

import pytest

from tests.unit.builders import Answers, FakeInstance
from tests.unit.scheduling.sequence_builders import direct, oldest, part
from tritium.core.model_config import RateLimiterResource
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.core.statistics import FailureReason, ModelStatistics
from tritium.errors import InvalidArgumentError, WorkerDiedError
from tritium.scheduling.ordering import ResponseOrder
from tritium.scheduling.rate_limiter import LimitedInstances, RateLimiter
from tritium.scheduling.sequence_batcher import SequenceBatcher
from tritium.scheduling.sequence_runner import SequenceRunner


class Waited(Answers):
    """Answers to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def __call__(self, response: InferenceResponse, final: bool) -> None:
        super().__call__(response, final)
        self.came.set()


class Rig:
    """A runner with everything around it, and a clock that stands still until it is set."""

    def __init__(
        self,
        policy: SequenceBatcher | None = None,
        instances: int = 1,
        order: ResponseOrder | None = None,
        limiter: RateLimiter | None = None,
    ) -> None:
        self.now_us = self.looks = 0
        self.instances = [FakeInstance(f"echo_{index}") for index in range(instances)]
        self.statistics = ModelStatistics()
        self.answers = Waited()
        policy = oldest(instances=instances) if policy is None else policy
        self.runner = SequenceRunner(
            policy,
            self.instances,
            self.statistics,
            order=order,
            limited=None if limiter is None else self._claims(limiter),
            now_ns=self._now_ns,
        )

    def _now_ns(self) -> int:
        self.looks += 1
        return self.now_us * 1000

    def _claims(self, limiter: RateLimiter) -> LimitedInstances:
        needs = [RateLimiterResource("R", count=1)]
        return LimitedInstances(limiter, {each.name: limiter.register(needs, 1) for each in self.instances})

    @property
    def running(self) -> list[list[str]]:
        """The ids of the requests that each instance has been given, batch by batch."""
        return [[row.id for batch in each.batches for row in batch.requests] for each in self.instances]

    def enqueue(self, key: int, flags: str = "", timeout_us: int = 0) -> InferenceRequest:
        one = part(key, flags, answers=self.answers, at_us=self.now_us, timeout_us=timeout_us)
        self.runner.enqueue(one)
        return one


async def turn() -> None:
    """Let the loop run what is due, timers that are overdue included."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_each_instance_gets_the_requests_of_its_sequences() -> None:
    async def scenario() -> None:
        rig = Rig(instances=2)
        first, second = rig.enqueue(1, "S"), rig.enqueue(2, "S")
        await turn()
        assert [[b.requests for b in i.batches] for i in rig.instances] == [[[first]], [[second]]]
        rig.instances[1].finish()
        third = rig.enqueue(2)
        await turn()
        assert rig.instances[1].batches[-1].requests == [third]
        rig.instances[0].finish()
        rig.instances[1].finish()
        assert rig.answers.finals == [True] * 3
        assert not rig.runner.busy

    asyncio.run(scenario())


def test_empty_rows_are_not_answered_and_count_for_the_size_of_the_batch_only() -> None:
    async def scenario() -> None:
        rig = Rig(direct(slots=3))
        rig.enqueue(1, "S")
        await turn()
        rig.instances[0].finish()
        rig.enqueue(2, "S")
        await turn()
        batch = rig.instances[0].batches[-1]
        assert (len(batch.requests), batch.rows) == (2, 2)
        rig.instances[0].finish()
        assert (rig.statistics.inference_count, rig.statistics.success.count) == (2, 2)
        assert sorted(rig.statistics.batches) == [1, 2]
        assert len(rig.answers.responses) == 2

    asyncio.run(scenario())


def test_a_sequence_that_idles_makes_room_by_timer() -> None:
    async def scenario() -> None:
        rig = Rig(oldest(candidates=1, idle_us=1000))
        rig.enqueue(1, "S")
        rig.enqueue(2, "S")
        await turn()
        rig.instances[0].finish()
        await turn()
        assert len(rig.instances[0].batches) == 1
        rig.now_us = 1000
        came = asyncio.Event()
        rig.instances[0].on_batch = lambda batch: came.set()
        await asyncio.wait_for(came.wait(), 30)
        assert [r.id for r in rig.instances[0].batches[-1].requests] == ["2S"]

    asyncio.run(scenario())


def test_a_time_out_in_the_backlog_is_answered_although_the_instance_is_busy() -> None:
    async def scenario() -> None:
        rig = Rig(oldest(candidates=1))
        rig.enqueue(1, "S")
        rig.enqueue(2, "S", timeout_us=1000)
        await turn()
        rig.now_us = 1000
        await asyncio.wait_for(rig.answers.came.wait(), 30)
        assert rig.answers.errors == ["timeout of the corresponding sequence has been expired"]
        assert rig.statistics.failures[FailureReason.REJECTED] == 1

    asyncio.run(scenario())


def test_a_cancelled_request_is_counted_and_not_answered() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.enqueue(1, "S")
        await turn()
        gone, behind = rig.enqueue(1), rig.enqueue(1)
        gone.stream.cancel()
        rig.instances[0].finish()
        await turn()
        assert len(rig.instances[0].batches) == 1
        assert rig.statistics.failures[FailureReason.CANCELED] == 2
        assert len(rig.answers.errors) == 1
        assert "before this one was cancelled" in rig.answers.errors[0]
        assert behind.stream.closed

    asyncio.run(scenario())


def test_a_request_that_is_given_back_is_answered_once() -> None:
    async def scenario() -> None:
        rig = Rig()
        one = rig.enqueue(1, "S")
        await turn()
        rig.instances[0].finish(again=frozenset({0}))
        await turn()
        assert rig.answers.responses == []
        assert [batch.requests for batch in rig.instances[0].batches] == [[one], [one]]
        rig.instances[0].finish()
        assert rig.answers.finals == [True]
        assert rig.statistics.success.count == 1

    asyncio.run(scenario())


def test_a_lost_worker_ends_its_sequences() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.enqueue(1, "S")
        await turn()
        rig.enqueue(1)
        rig.runner.lost(rig.instances[0])
        rig.instances[0].finish(error=WorkerDiedError("died"))
        await turn()
        assert rig.answers.errors[0] == "died"
        assert "sequence 1 of model 'echo' was lost" in rig.answers.errors[1]
        assert not rig.runner.busy

    asyncio.run(scenario())


def test_stopping_runs_what_waits_without_waiting_for_idle_sequences() -> None:
    async def scenario() -> None:
        rig = Rig(oldest(candidates=1))
        for key in (1, 2):
            rig.enqueue(key, "S")
        await turn()
        rig.instances[0].finish()
        stop = asyncio.create_task(rig.runner.stop())
        await turn()
        rig.instances[0].finish()
        await asyncio.wait_for(stop, 30)
        assert rig.answers.finals == [True, True]
        assert rig.instances[0].stopped

    asyncio.run(scenario())


def test_a_request_that_breaks_the_rules_is_refused_at_once() -> None:
    async def scenario() -> None:
        rig = Rig()
        with pytest.raises(InvalidArgumentError, match="must specify the START flag"):
            rig.enqueue(1)
        assert not rig.runner.busy

    asyncio.run(scenario())


def test_answers_leave_in_the_order_of_the_requests_where_that_is_asked_for() -> None:
    async def scenario() -> None:
        rig = Rig(instances=2, order=ResponseOrder(10))
        first, second = rig.enqueue(1, "S"), rig.enqueue(2, "S")
        await turn()
        rig.instances[1].finish()
        assert not second.stream.closed
        rig.instances[0].finish()
        assert first.stream.closed and second.stream.closed

    asyncio.run(scenario())


def test_a_request_that_leaves_without_an_answer_holds_up_nobody() -> None:
    async def scenario() -> None:
        rig = Rig(instances=2, order=ResponseOrder(10))
        gone, behind = rig.enqueue(1, "S"), rig.enqueue(2, "S")
        await turn()
        rig.instances[1].finish()
        gone.stream.cancel()
        rig.instances[0].finish(again=frozenset({0}))
        await turn()
        assert behind.stream.closed
        assert not rig.runner.busy

    asyncio.run(scenario())


def test_no_more_runs_than_the_order_can_hold() -> None:
    async def scenario() -> None:
        rig = Rig(instances=2, order=ResponseOrder(1))
        rig.enqueue(1, "S")
        rig.enqueue(2, "S")
        await turn()
        assert [len(instance.batches) for instance in rig.instances] == [1, 0]
        rig.instances[0].finish()
        await turn()
        assert [len(instance.batches) for instance in rig.instances] == [1, 1]

    asyncio.run(scenario())


def test_instances_of_a_limited_model_run_in_turns_and_idle_ones_ask_for_none() -> None:
    async def scenario() -> None:
        limiter = RateLimiter({"r": 1})
        rig, other = Rig(instances=3, limiter=limiter), Rig(limiter=limiter)
        rig.enqueue(1, "S")
        rig.enqueue(2, "S")
        await turn()
        other.enqueue(3, "SE")
        await turn()
        assert (rig.running, other.running) == ([["1S"], [], []], [[]]), "the pool is empty"
        rig.instances[0].finish()
        await turn()
        assert (rig.running, other.running) == ([["1S"], ["2S"], []], [[]])
        rig.enqueue(1, "E")
        rig.instances[1].finish()
        await turn()
        assert (rig.running, other.running) == ([["1S"], ["2S"], []], [["3SE"]])
        other.instances[0].finish()
        await turn()
        assert rig.running == [["1S", "1E"], ["2S"], []]
        rig.instances[0].finish()
        assert rig.answers.finals == [True] * 3

    asyncio.run(scenario())


def test_limited_instances_that_wait_for_company_do_not_wake_each_other() -> None:
    async def scenario() -> None:
        rig = Rig(oldest(instances=3, delay_us=10**9), instances=3, limiter=RateLimiter({"r": 1}))
        for key in range(3):
            rig.enqueue(key + 1, "S")
        await turn()
        looks = rig.looks
        for _ in range(20):
            await turn()
        assert rig.looks == looks, "nothing happened, so nobody looked"
        assert rig.running == [[], [], []]
        rig.now_us += 10**9
        for done in range(3):
            rig.runner.wake()
            await turn()
            assert sum(map(len, rig.running)) == done + 1
            next(each for each in rig.instances if each.in_flight).finish()
        assert len(rig.answers.finals) == 3

    asyncio.run(scenario())


def test_a_turn_that_comes_when_its_request_was_cancelled_goes_to_the_next() -> None:
    async def scenario() -> None:
        rig = Rig(instances=2, limiter=(limiter := RateLimiter({"r": 1})))
        other = Rig(limiter=limiter)
        rig.enqueue(1, "S")
        await turn()
        late = rig.enqueue(2, "SE")
        await turn()
        other.enqueue(3, "SE")
        late.stream.cancel()
        rig.instances[0].finish()
        await turn()
        await turn()
        assert (rig.running, other.running) == ([["1S"], []], [["3SE"]])
        assert rig.statistics.failures[FailureReason.CANCELED] == 1
        other.instances[0].finish()

    asyncio.run(scenario())


def test_the_turn_of_a_worker_that_died_goes_to_another_and_a_new_one_gets_its_own() -> None:
    async def scenario() -> None:
        rig = Rig(instances=2, limiter=RateLimiter({"r": 1}))
        rig.enqueue(1, "S")
        rig.enqueue(2, "S")
        await turn()
        assert rig.running == [["1S"], []]
        first = rig.instances[0]
        first.capacity = 0
        rig.runner.lost(first)
        first.finish(error=WorkerDiedError("it died"))
        await turn()
        assert rig.running == [["1S"], ["2S"]]
        rig.instances[1].finish()
        rig.enqueue(4, "SE")
        rig.enqueue(5, "SE")
        await turn()
        assert rig.running == [["1S"], ["2S", "4SE"]]
        first.capacity = 1
        rig.runner.wake()
        await turn()
        for _ in range(2):
            for each in rig.instances:
                if each.in_flight:
                    each.finish()
            await turn()
        assert rig.running == [["1S", "5SE"], ["2S", "4SE"]]

    asyncio.run(scenario())
