from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.unit.builders import Answers, FakeInstance, request, tensor
from tritium.core.execution_config import RateLimiterResource
from tritium.core.interfaces import Batch
from tritium.core.request import InferenceRequest
from tritium.core.reshape import Reshape
from tritium.core.schedulers_config import QueuePolicy
from tritium.core.statistics import FailureReason, ModelStatistics
from tritium.errors import InternalError, UnavailableError
from tritium.scheduling.direct import DirectPolicy
from tritium.scheduling.dynamic_batcher import DynamicBatcher
from tritium.scheduling.ordering import ResponseOrder
from tritium.scheduling.policy import BatchPolicy
from tritium.scheduling.queue import QueueSettings
from tritium.scheduling.rate_limiter import LimitedInstances, RateLimiter
from tritium.scheduling.runner import BatchRunner


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    ns: int = 0

    def __call__(self) -> int:
        return self.ns


@dataclass
class Rig:
    """A runner with everything around it."""

    policy: BatchPolicy = field(default_factory=lambda: DirectPolicy(10))
    instances: list[FakeInstance] = field(default_factory=lambda: [FakeInstance()])
    reshape: Reshape | None = None
    order: ResponseOrder | None = None
    limited: LimitedInstances | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        self.statistics = ModelStatistics()
        self.clock = Clock()
        self.answers = Answers()
        self.runner = BatchRunner(
            self.policy,
            self.instances,
            self.statistics,
            output_reshape=self.reshape,
            order=self.order,
            limited=self.limited,
            unavailable=lambda: self.reason,
            now_ns=self.clock,
        )

    def enqueue(self, rows: int = 1, name: str = "") -> InferenceRequest:
        one = request(rows=rows, name=name, answers=self.answers, arrival_ns=self.clock.ns)
        self.runner.enqueue(one)
        return one


async def open_instance(rig: Rig) -> None:
    """Let the instance of a rig that could not run take a batch."""
    rig.instances[0].capacity = 1
    rig.runner.wake()
    await turn()


async def turn() -> None:
    """Let the loop run what is due."""
    await asyncio.sleep(0)


def test_a_request_runs_on_a_free_instance_and_is_answered() -> None:
    async def scenario() -> None:
        rig = Rig()
        one = rig.enqueue()
        await turn()
        assert [batch.requests for batch in rig.instances[0].batches] == [[one]]
        assert (rig.runner.pending, rig.runner.busy) == (0, True)
        rig.instances[0].finish()
        assert rig.answers.finals == [True]
        assert [t.name for t in rig.answers.responses[0].outputs] == ["OUT"]
        assert (rig.statistics.success.count, rig.runner.busy) == (1, False)

    asyncio.run(scenario())


def test_the_first_request_does_not_wait_for_the_loop_to_turn_and_the_next_ones_come_together() -> None:
    async def scenario() -> None:
        rig = Rig(instances=[FakeInstance(capacity=9)])
        sizes = []
        for _ in range(3):
            rig.enqueue()
            sizes.append(len(rig.instances[0].batches))
        await turn()
        assert sizes == [1, 1, 1]
        assert (len(rig.instances[0].batches), rig.instances[0].flushed) == (3, 3)

    asyncio.run(scenario())


class Watcher:
    """Does not care where the time of its request went."""

    def executed(self, *durations_ns: int) -> None: ...


@pytest.mark.parametrize("observer", [None, Watcher()])
def test_what_has_or_may_get_company_leaves_with_all_that_arrive_in_the_same_turn(
    observer: Watcher | None,
) -> None:
    async def scenario() -> None:
        policy = DynamicBatcher(8, queue=QueueSettings(10)) if observer is None else DirectPolicy(10)
        rig = Rig(policy=policy, instances=[FakeInstance(capacity=9)])
        instance, flushes = rig.instances[0], list[int]()
        instance.flush = lambda: flushes.append(len(instance.batches))  # type: ignore[method-assign] # counts
        for _ in range(3):
            rig.runner.enqueue(request(answers=rig.answers, observer=observer))
            assert not instance.batches
        await turn()
        assert [len(batch.requests) for batch in instance.batches] == ([3] if observer is None else [1, 1, 1])
        assert flushes == [len(instance.batches)]

    asyncio.run(scenario())


def test_what_only_waits_for_the_loop_to_turn_does_not_fill_the_queue() -> None:
    async def scenario() -> None:
        rig = Rig(policy=DirectPolicy(1))
        rig.enqueue()
        rig.enqueue()
        with pytest.raises(UnavailableError, match="Exceeds maximum queue size"):
            rig.enqueue()
        assert (len(rig.instances[0].batches), rig.runner.pending) == (1, 1)

    asyncio.run(scenario())


def test_an_eager_instance_gets_each_request_at_once() -> None:
    async def scenario() -> None:
        rig = Rig(instances=[FakeInstance(capacity=3)])
        rig.instances[0].eager = True
        for count in (1, 2, 3):
            rig.enqueue()
            assert len(rig.instances[0].batches) == count
        rig.enqueue()
        assert (len(rig.instances[0].batches), rig.runner.pending) == (3, 1)

    asyncio.run(scenario())


def test_requests_wait_while_every_instance_is_busy() -> None:
    async def scenario() -> None:
        rig = Rig(instances=[FakeInstance("a"), FakeInstance("b")])
        requests = [rig.enqueue() for _ in range(3)]
        await turn()
        assert [len(instance.batches) for instance in rig.instances] == [1, 1]
        assert rig.runner.pending == 1
        rig.instances[1].finish()
        await turn()
        assert rig.instances[1].batches[1].requests == [requests[2]]

    asyncio.run(scenario())


def test_the_instance_with_the_least_in_flight_gets_the_batch() -> None:
    async def scenario() -> None:
        rig = Rig(instances=[FakeInstance("a", capacity=3), FakeInstance("b", capacity=3)])
        for _ in range(4):
            rig.enqueue()
        await turn()
        assert [len(instance.batches) for instance in rig.instances] == [2, 2]

    asyncio.run(scenario())


def test_an_instance_that_cannot_run_gets_nothing_until_the_runner_is_woken() -> None:
    async def scenario() -> None:
        rig = Rig(instances=[FakeInstance(capacity=0)])
        rig.enqueue()
        await turn()
        assert (rig.instances[0].batches, rig.runner.pending, rig.runner.busy) == ([], 1, True)
        await open_instance(rig)
        assert len(rig.instances[0].batches) == 1

    asyncio.run(scenario())


def test_every_instance_is_told_when_no_more_batches_come_for_now() -> None:
    async def scenario() -> None:
        rig = Rig(instances=[FakeInstance("a", capacity=2), FakeInstance("b", capacity=2)])
        for _ in range(4):
            rig.enqueue()
        await turn()
        assert [instance.flushed for instance in rig.instances] == [2, 2]

    asyncio.run(scenario())


def test_a_batch_says_its_rows_and_when_it_left() -> None:
    async def scenario() -> None:
        rig = Rig(policy=DynamicBatcher(8, queue=QueueSettings(10)), instances=[FakeInstance(capacity=0)])
        rig.enqueue(rows=2)
        rig.enqueue(rows=3)
        rig.clock.ns = 5_000
        await open_instance(rig)
        (batch,) = rig.instances[0].batches
        assert (batch.rows, batch.dispatched_ns) == (5, 5_000)

    asyncio.run(scenario())


def test_a_failed_batch_fails_each_of_its_requests() -> None:
    async def scenario() -> None:
        rig = Rig(policy=DynamicBatcher(8, queue=QueueSettings(10)), instances=[FakeInstance(capacity=0)])
        rig.enqueue()
        rig.enqueue()
        await open_instance(rig)
        rig.instances[0].finish(error=InternalError("broken"))
        assert rig.answers.errors == ["broken", "broken"]
        assert rig.statistics.failures[FailureReason.BACKEND] == 2

    asyncio.run(scenario())


def test_outputs_get_the_shape_that_clients_see() -> None:
    async def scenario() -> None:
        rig = Rig(reshape=Reshape(True, {"OUT": ((2,), (1, 2))}))
        rig.enqueue(rows=3)
        await turn()
        rig.instances[0].finish()
        assert rig.answers.responses[0].outputs[0].shape == (3, 1, 2)

    asyncio.run(scenario())


def test_requests_wait_for_company_and_leave_when_the_delay_is_over() -> None:
    async def scenario() -> None:
        rig = Rig(policy=DynamicBatcher(8, max_queue_delay_us=50, queue=QueueSettings(10)))
        rig.enqueue()
        await turn()
        assert rig.instances[0].batches == []
        rig.enqueue()
        await turn()
        rig.clock.ns = 50_000
        left: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()
        rig.instances[0].on_batch = left.set_result
        batch = await asyncio.wait_for(left, 5)
        assert len(batch.requests) == 2

    asyncio.run(scenario())


def test_a_cancelled_request_is_counted_and_never_runs() -> None:
    async def scenario() -> None:
        rig = Rig(instances=[FakeInstance(capacity=0)])
        gone = rig.enqueue()
        gone.stream.cancel()
        await open_instance(rig)
        assert rig.instances[0].batches == []
        assert rig.statistics.failures[FailureReason.CANCELED] == 1
        assert not rig.runner.busy

    asyncio.run(scenario())


def test_the_queues_refusal_reaches_the_caller_and_is_no_failure() -> None:
    async def scenario() -> None:
        rig = Rig(policy=DirectPolicy(1), instances=[FakeInstance(capacity=0)])
        rig.enqueue()
        with pytest.raises(UnavailableError, match="Exceeds maximum queue size"):
            rig.enqueue()
        assert rig.statistics.fail.count == 0

    asyncio.run(scenario())


def test_requests_are_refused_while_no_instance_will_come_back() -> None:
    async def scenario() -> None:
        rig = Rig(reason="the model crashes")
        with pytest.raises(UnavailableError, match="the model crashes"):
            rig.enqueue()
        assert rig.runner.pending == 0

    asyncio.run(scenario())


def test_what_waits_can_be_failed_together() -> None:
    async def scenario() -> None:
        rig = Rig(instances=[FakeInstance(capacity=0)])
        rig.enqueue()
        rig.enqueue()
        rig.runner.fail_pending(UnavailableError("given up"))
        assert rig.answers.errors == ["given up", "given up"]
        assert rig.statistics.failures[FailureReason.REJECTED] == 2
        assert not rig.runner.busy

    asyncio.run(scenario())


def test_stopping_an_idle_runner_stops_its_instances() -> None:
    async def scenario() -> None:
        rig = Rig(instances=[FakeInstance("a"), FakeInstance("b")])
        await rig.runner.stop()
        assert all(instance.stopped for instance in rig.instances)

    asyncio.run(scenario())


def test_stopping_answers_everything_accepted_first_and_takes_nothing_more() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.enqueue()
        rig.enqueue()
        await turn()
        stopping = asyncio.ensure_future(rig.runner.stop())
        await turn()
        with pytest.raises(UnavailableError, match="model 'echo' is being unloaded"):
            rig.enqueue(name="late")
        rig.instances[0].finish()
        await turn()
        assert not rig.instances[0].stopped
        rig.instances[0].finish()
        await stopping
        assert rig.answers.finals == [True, True]
        assert rig.instances[0].stopped

    asyncio.run(scenario())


def test_stopping_ends_although_all_that_waits_was_cancelled() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.enqueue()
        rig.enqueue().stream.cancel()
        stopping = asyncio.ensure_future(rig.runner.stop())
        await turn()
        rig.instances[0].finish()
        await asyncio.wait_for(stopping, 5)
        assert rig.instances[0].stopped

    asyncio.run(scenario())


def test_stopping_ends_although_all_that_waits_was_failed() -> None:
    async def scenario() -> None:
        rig = Rig(instances=[FakeInstance(capacity=0)])
        rig.enqueue()
        stopping = asyncio.ensure_future(rig.runner.stop())
        await turn()
        rig.runner.fail_pending(UnavailableError("given up"))
        await asyncio.wait_for(stopping, 5)

    asyncio.run(scenario())


def test_a_batch_of_nothing_but_cancelled_requests_makes_room_for_the_next() -> None:
    class CancelledFirst(DirectPolicy):
        """Gives an empty batch before the real one, as a policy may whose requests were all cancelled."""

        def __init__(self) -> None:
            super().__init__(10)
            self.empty = [True]

        def next_batch(self, now_us: int) -> list[InferenceRequest] | None:
            return [] if self.empty and self.empty.pop() else super().next_batch(now_us)

    async def scenario() -> None:
        rig = Rig(policy=CancelledFirst())
        one = rig.enqueue()
        await turn()
        assert rig.instances[0].batches[0].requests == [one]

    asyncio.run(scenario())


def test_a_timer_that_waits_ends_with_the_runner() -> None:
    async def scenario() -> None:
        rig = Rig(policy=DynamicBatcher(8, max_queue_delay_us=10**9, queue=QueueSettings(10)))
        rig.enqueue()
        await turn()
        rig.runner.fail_pending(UnavailableError("given up"))
        await rig.runner.stop()
        assert rig.instances[0].stopped

    asyncio.run(scenario())


def timed(timeout_us: int, delay_us: int = 0) -> DynamicBatcher:
    """A batcher whose requests may wait ``timeout_us``."""
    policy = QueuePolicy(default_timeout_microseconds=timeout_us)
    return DynamicBatcher(8, queue=QueueSettings(10, default_policy=policy), max_queue_delay_us=delay_us)


def test_a_request_that_waited_too_long_is_refused_although_no_instance_is_free() -> None:
    async def scenario() -> None:
        rig = Rig(policy=timed(2_000), instances=[FakeInstance(capacity=0)])
        rig.enqueue()
        await turn()
        assert rig.answers.errors == []
        rig.clock.ns = 2_000_000
        refused = asyncio.get_running_loop().create_future()
        rig.answers.on_answer = lambda: refused.set_result(None)
        await asyncio.wait_for(refused, 10)
        assert rig.answers.errors == ["Request timeout expired"]
        assert rig.statistics.failures[FailureReason.REJECTED] == 1
        assert not rig.runner.busy

    asyncio.run(scenario())


def test_a_request_that_waited_too_long_does_not_run_although_its_timer_is_late() -> None:
    async def scenario() -> None:
        rig = Rig(policy=timed(2_000_000), instances=[FakeInstance(capacity=0)])
        rig.enqueue()
        rig.clock.ns = 2_000_000_000
        await open_instance(rig)
        assert rig.answers.errors == ["Request timeout expired"]
        assert rig.instances[0].batches == []

    asyncio.run(scenario())


def test_a_time_out_that_comes_before_the_delay_is_over_is_kept() -> None:
    async def scenario() -> None:
        rig = Rig(policy=timed(2_000, 10**9))
        rig.enqueue()
        await turn()
        rig.clock.ns = 2_000_000
        refused = asyncio.get_running_loop().create_future()
        rig.answers.on_answer = lambda: refused.set_result(None)
        await asyncio.wait_for(refused, 10)
        assert rig.instances[0].batches == []

    asyncio.run(scenario())


def test_stopping_ends_when_what_waits_has_run_out_of_time() -> None:
    async def scenario() -> None:
        rig = Rig(policy=timed(2_000), instances=[FakeInstance(capacity=0)])
        rig.enqueue()
        stopping = asyncio.ensure_future(rig.runner.stop())
        await turn()
        rig.clock.ns = 2_000_000
        await asyncio.wait_for(stopping, 10)
        assert rig.answers.errors == ["Request timeout expired"]

    asyncio.run(scenario())


def test_answers_keep_the_order_of_their_requests() -> None:
    async def scenario() -> None:
        instances = [FakeInstance("a"), FakeInstance("b")]
        rig = Rig(instances=instances, order=ResponseOrder(10))
        rig.enqueue(rows=1)
        rig.enqueue(rows=2)
        await turn()
        instances[1].finish()
        assert rig.answers.responses == []
        instances[0].finish()
        assert [one.outputs[0].shape[0] for one in rig.answers.responses] == [1, 2]
        assert rig.statistics.success.count == 2

    asyncio.run(scenario())


def test_no_more_batches_run_than_answers_may_be_held_back() -> None:
    async def scenario() -> None:
        instances = [FakeInstance("a"), FakeInstance("b", capacity=5)]
        rig = Rig(instances=instances, order=ResponseOrder(2))
        for _ in range(3):
            rig.enqueue()
        await turn()
        instances[1].finish()
        await turn()
        assert rig.runner.pending == 1
        instances[0].finish()
        await turn()
        assert rig.runner.pending == 0

    asyncio.run(scenario())


def test_a_request_cancelled_in_the_queue_is_counted_when_the_batch_before_it_is_done() -> None:
    async def scenario() -> None:
        rig = Rig(policy=DynamicBatcher(8, queue=QueueSettings(1)))
        rig.enqueue()
        await turn()
        rig.enqueue().stream.cancel()
        assert rig.runner.pending == 0
        rig.enqueue().stream.cancel()
        rig.instances[0].finish()
        assert rig.statistics.failures[FailureReason.CANCELED] == 2

    asyncio.run(scenario())


def limited_rig(limiter: RateLimiter, policy: BatchPolicy | None = None) -> Rig:
    """A rig of its own model, whose instance needs one R for a batch."""
    claim = limiter.register([RateLimiterResource("R", count=1)], 1)
    claims = LimitedInstances(limiter, {"echo_0": claim})
    return Rig(
        policy=DirectPolicy(10) if policy is None else policy,
        instances=[FakeInstance(capacity=3)],
        limited=claims,
    )


def test_models_that_share_a_resource_take_turns() -> None:
    async def scenario() -> None:
        limiter = RateLimiter({"r": 1})
        rigs = [limited_rig(limiter), limited_rig(limiter)]
        for rig in rigs:
            rig.enqueue()
            rig.enqueue()
        await turn()
        ran = []
        for _ in range(4):
            (running,) = (number for number, rig in enumerate(rigs) if rig.instances[0].in_flight)
            ran.append(running)
            rigs[running].instances[0].finish()
            await turn()
        assert ran == [0, 1, 0, 1]

    asyncio.run(scenario())


def test_a_turn_that_is_not_used_is_given_back() -> None:
    async def scenario() -> None:
        limiter = RateLimiter({"r": 1})
        patient = limited_rig(limiter, DynamicBatcher(8, max_queue_delay_us=10**9, queue=QueueSettings(10)))
        other = limited_rig(limiter)
        patient.enqueue()
        other.enqueue()
        await turn()
        assert (len(patient.instances[0].batches), len(other.instances[0].batches)) == (0, 1)

    asyncio.run(scenario())


def test_a_model_that_is_gone_leaves_its_resources() -> None:
    async def scenario() -> None:
        limiter = RateLimiter({"r": 1})
        going, staying = limited_rig(limiter), limited_rig(limiter)
        going.enqueue()
        staying.enqueue()
        stopping = asyncio.ensure_future(going.runner.stop())
        await turn()
        going.instances[0].finish()
        await asyncio.wait_for(stopping, 10)
        await turn()
        assert len(staying.instances[0].batches) == 1

    asyncio.run(scenario())


def test_an_arrival_is_stamped_by_when_the_model_took_it() -> None:
    async def scenario() -> None:
        rig = Rig(policy=DynamicBatcher(8, max_queue_delay_us=10**9, queue=QueueSettings(10)))
        rig.clock.ns = 7_000_999
        rig.runner.enqueue(request(tensor(np.zeros((1, 2), np.float32)), arrival_ns=7_000_999))
        assert rig.policy.next_wakeup_us() == 7_000 + 10**9

    asyncio.run(scenario())
