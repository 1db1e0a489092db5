from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest

from tests.unit.builders import Answers, FakeScheduler, echo_config, model, request, tensor
from tritium.core.interfaces import Batch, Outcome
from tritium.core.model import Model
from tritium.core.model_config import ModelConfig, ModelTransactionPolicy
from tritium.core.request import SEQUENCE_START, InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.core.statistics import FailureReason, ModelStatistics
from tritium.core.tensor import Tensor
from tritium.errors import ErrorCode, InvalidArgumentError, UnavailableError
from tritium.scheduling.ensemble import Ensemble, EnsembleShape
from tritium.scheduling.ensemble_member import EnsembleMember
from tritium.scheduling.step_graph import GraphStep, StepGraph

Scenario = Callable[["Rig"], None]


class Rig:
    """An ensemble over models that keep their requests; ``steps`` are (input tensors, output tensor)."""

    def __init__(
        self, *steps: tuple[tuple[str, ...], str], decoupled: tuple[int, ...] = (), limit: int = 64
    ) -> None:
        self.schedulers = [FakeScheduler() for _ in steps]
        self.models = [
            model(self._config(index, reads, index in decoupled), scheduler=self.schedulers[index])
            for index, (reads, _) in enumerate(steps)
        ]
        graph = StepGraph(
            "pipe",
            ["IN"],
            ["OUT"],
            [GraphStep(reads, (made,), index in decoupled) for index, (reads, made) in enumerate(steps)],
        )
        members = [
            EnsembleMember(
                self.models[index],
                tuple((f"IN{place}" if place else "IN", name, 2) for place, name in enumerate(reads)),
                ((made, "OUT"),),
            )
            for index, (reads, made) in enumerate(steps)
        ]
        self.statistics = ModelStatistics()
        clock = partial(next, count(1_000, 1_000))
        self.ensemble = Ensemble(
            graph, members, self.statistics, EnsembleShape({"OUT": 2}), limit=limit, now_ns=clock
        )
        self.answers = Answers()

    @staticmethod
    def _config(index: int, reads: tuple[str, ...], decoupled: bool) -> ModelConfig:
        base = echo_config(f"m{index}")
        inputs = tuple(
            type(base.input[0])(f"IN{place}" if place else "IN", "TYPE_FP32", dims=(-1,))
            for place in range(len(reads))
        )
        policy = ModelTransactionPolicy(decoupled)
        return echo_config(f"m{index}", input=inputs, model_transaction_policy=policy)

    def ask(self, given: Tensor | None = None, **options: Any) -> InferenceRequest:
        asked = request(given or tensor([[1, 2]]), answers=self.answers, **options)
        self.ensemble.enqueue(asked)
        return asked

    def asked(self, step: int, place: int = -1) -> InferenceRequest:
        return self.schedulers[step].requests[place]

    def answer(self, step: int, *values: float, place: int = -1, final: bool = True, **times: Any) -> None:
        """The step's model answers, and counts it as a runner does."""
        one = self.asked(step, place)
        outcome = Outcome([InferenceResponse([tensor([[*values]], "OUT")])], **times)
        one.stream.send(outcome.responses[0], final=final)
        if final:
            batch = Batch([one], 1, one.arrival_ns + 10, lambda *_: None)
            self.models[step].statistics.record_batch(batch, outcome, now_ns=one.arrival_ns + 20, wall_ms=1)

    def end(self, step: int, place: int = -1) -> None:
        self.asked(step, place).stream.send(InferenceResponse(empty=True), final=True)

    def values(self) -> list[list[float]]:
        return [r.outputs[0].array().reshape(-1).tolist() for r in self.answers.responses if r.outputs]


def run(scenario: Scenario, rig: Callable[[], Rig]) -> None:
    async def main() -> None:
        scenario(rig())

    asyncio.run(main())


def chain(**options: Any) -> Rig:
    return Rig((("IN",), "x"), (("x",), "OUT"), **options)


def fork() -> Rig:
    return Rig((("IN",), "a"), (("IN",), "b"), (("a", "b"), "OUT"))


def stream(**options: Any) -> Rig:
    return Rig((("IN",), "x"), (("x",), "OUT"), decoupled=(0,), **options)


def test_a_steps_output_is_the_next_ones_input_without_a_copy() -> None:
    def scenario(rig: Rig) -> None:
        rig.ask(given := tensor([[1, 2]]), name="r1", priority=3, timeout_us=9, correlation_id=5, flags=1)
        first = rig.asked(0)
        assert first.inputs[0].buffer is given.buffer
        assert (first.model_name, first.id, first.priority, first.timeout_us) == ("m0", "r1", 3, 9)
        assert (first.correlation_id, first.flags, first.requested_outputs) == (5, SEQUENCE_START, ("OUT",))
        made = tensor([[3, 4]], "OUT")
        first.stream.send(InferenceResponse([made]), final=True)
        assert rig.asked(1).inputs[0].buffer is made.buffer
        rig.answer(1, 5, 6)
        assert rig.values() == [[5, 6]]
        assert rig.answers.responses[0].parameters == {
            "sequence_id": 5,
            "sequence_start": True,
            "sequence_end": False,
        }
        assert not rig.ensemble.busy

    run(scenario, chain)


def test_branches_run_side_by_side_and_meet() -> None:
    def scenario(rig: Rig) -> None:
        rig.ask()
        assert [len(s.requests) for s in rig.schedulers] == [1, 1, 0]
        rig.answer(1, 2)
        rig.answer(0, 1)
        assert [t.array().reshape(-1).tolist() for t in rig.asked(2).inputs] == [[1], [2]]
        rig.answer(2, 3)
        assert rig.answers.finals == [True]

    run(scenario, fork)


def test_a_failing_step_fails_the_request_in_its_own_words_and_cancels_the_others() -> None:
    def scenario(rig: Rig) -> None:
        rig.ask()
        rig.asked(0).stream.fail(InvalidArgumentError("told so"))
        assert rig.answers.errors == ["in ensemble 'pipe', told so"]
        assert rig.answers.responses[0].error is not None
        assert rig.answers.responses[0].error.code is ErrorCode.INVALID_ARG
        assert rig.asked(1).stream.cancelled
        rig.answer(1, 1)
        assert len(rig.answers.responses) == 1
        assert rig.schedulers[2].requests == []
        assert rig.statistics.failures[FailureReason.OTHER] == 1
        assert rig.statistics.success.count == 0

    run(scenario, fork)


def test_a_step_that_the_model_refuses_fails_the_request() -> None:
    def scenario(rig: Rig) -> None:
        rig.ask()
        rig.asked(0).stream.send(InferenceResponse([]), final=True)
        assert (
            "in ensemble 'pipe', [request id: <id_unknown>] expected 1 inputs but got 0"
            in (rig.answers.errors[0])
        )

    run(scenario, chain)


def test_a_client_that_leaves_cancels_every_step() -> None:
    def scenario(rig: Rig) -> None:
        asked = rig.ask()
        asked.stream.cancel()
        assert rig.asked(0).stream.cancelled
        assert rig.asked(1).stream.cancelled
        assert not rig.ensemble.busy
        assert rig.statistics.failures[FailureReason.CANCELED] == 1
        rig.answer(0, 1)
        rig.answer(1, 1)
        assert rig.schedulers[2].requests == []

    run(scenario, fork)


def test_a_request_whose_client_has_left_before_it_starts_asks_nobody() -> None:
    def scenario(rig: Rig) -> None:
        gone = request(answers=rig.answers)
        gone.stream.cancel()
        rig.ensemble.enqueue(gone)
        assert rig.schedulers[0].requests == []
        assert not rig.ensemble.busy

    run(scenario, chain)


def test_statistics_are_the_sums_of_the_steps() -> None:
    def scenario(rig: Rig) -> None:
        rig.ask(tensor([[1], [2], [3]]), rows=3)
        rig.answer(0, 1, compute_input_ns=1, compute_infer_ns=10, compute_output_ns=100)
        assert rig.statistics.success.count == 0
        rig.answer(1, 1, compute_input_ns=2, compute_infer_ns=20, compute_output_ns=200)
        found = rig.statistics
        assert (found.success.count, found.inference_count, found.execution_count) == (1, 3, 1)
        assert (found.queue.ns, found.compute_input.ns) == (20, 3)
        assert (found.compute_infer.ns, found.compute_output.ns) == (30, 300)
        assert [*found.batches] == [3]

    run(scenario, chain)


def test_each_result_of_a_decoupled_step_becomes_a_response_in_order() -> None:
    def scenario(rig: Rig) -> None:
        rig.ask()
        for value in (0, 1):
            rig.answer(0, value, final=False)
        rig.answer(1, 11, place=1)
        assert rig.values() == []
        rig.answer(1, 10, place=0)
        assert rig.values() == [[10], [11]]
        assert rig.answers.finals == [False, False]
        rig.end(0)
        assert rig.answers.responses[-1].empty
        assert rig.answers.finals == [False, False, True]

    run(scenario, stream)


def test_the_last_response_says_so_when_it_is_known_to_be_the_last() -> None:
    def scenario(rig: Rig) -> None:
        rig.ask()
        rig.answer(0, 0, final=False)
        rig.end(0)
        rig.answer(1, 10)
        assert rig.answers.finals == [True]

    run(scenario, stream)


def test_a_decoupled_step_waits_while_more_is_made_than_worked_off() -> None:
    def scenario(rig: Rig) -> None:
        rig.ask()
        told: list[bool] = []
        source = rig.asked(0).stream
        source.attach(7, lambda slot: None, lambda slot, paused: told.append(paused))
        rig.answer(0, 0, final=False)
        assert told == []
        rig.answer(0, 1, final=False)
        assert told == [True]
        assert len(rig.schedulers[1].requests) == 1
        rig.answer(1, 10)
        assert told == [True, False]
        assert len(rig.schedulers[1].requests) == 2

    run(scenario, partial(stream, limit=1))


def test_a_decoupled_step_waits_for_a_slow_client() -> None:
    def scenario(rig: Rig) -> None:
        asked = rig.ask()
        told: list[bool] = []
        rig.asked(0).stream.attach(7, lambda slot: None, lambda slot, paused: told.append(paused))
        asked.stream.pause(True)
        asked.stream.pause(False)
        assert told == [True, False]

    run(scenario, stream)


def test_what_a_request_waits_for_is_known_while_it_waits() -> None:
    def scenario(rig: Rig) -> None:
        asked = rig.ask()
        assert [(m.config.name, r) for m, r in rig.ensemble.asks(asked)] == [("m0", rig.asked(0))]
        rig.answer(0, 1)
        assert [m.config.name for m, _ in rig.ensemble.asks(asked)] == ["m1"]
        rig.answer(1, 1)
        assert rig.ensemble.asks(asked) == ()

    run(scenario, chain)


def test_it_holds_its_models_until_it_has_stopped() -> None:
    async def main() -> None:
        rig = chain()
        released: list[str] = []
        for one in rig.models:
            one.when_unused(partial(released.append, one.config.name))
        rig.ask()
        stopping = asyncio.ensure_future(rig.ensemble.stop())
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="is being unloaded"):
            rig.ensemble.enqueue(request())
        assert released == []
        rig.answer(0, 1)
        rig.answer(1, 1)
        await stopping
        assert released == ["m0", "m1"]

    asyncio.run(main())


def test_it_is_ready_when_every_step_is() -> None:
    def made(*ready: bool) -> Ensemble:
        models: list[Model] = [model(ready=one) for one in ready]
        members = [
            EnsembleMember(one, (("IN", source, 2),), ((made, "OUT"),))
            for one, source, made in zip(models, ("IN", "x"), ("x", "OUT"), strict=True)
        ]
        graph = StepGraph("e", ["IN"], ["OUT"], [GraphStep(("IN",), ("x",)), GraphStep(("x",), ("OUT",))])
        return Ensemble(graph, members, ModelStatistics(), EnsembleShape({"OUT": 2}), limit=1)

    async def main() -> None:
        assert made(True, True).is_ready()
        assert not made(True, False).is_ready()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("shape", "rank", "seen"),
    [((2,), 2, (1, 2)), ((1, 2), 1, (2,)), ((3, 2), 1, (3, 2)), ((3, 2), 2, (3, 2))],
)
def test_a_batch_of_one_comes_and_goes_where_models_differ_in_it(
    shape: tuple[int, ...], rank: int, seen: tuple[int, ...]
) -> None:
    async def main() -> None:
        scheduler = FakeScheduler()
        taker = model(echo_config(max_batch_size=8 if rank == 2 else 0), scheduler=scheduler)
        graph = StepGraph("e", ["IN"], ["OUT"], [GraphStep(("IN",), ("OUT",))])
        member = EnsembleMember(taker, (("IN", "IN", rank),), (("OUT", "OUT"),))
        ensemble = Ensemble(graph, [member], ModelStatistics(), EnsembleShape({"OUT": len(shape)}), limit=1)
        answers = Answers()
        given = Tensor("IN", tensor([[1.0]]).datatype, shape, b"\0" * 4 * shape[0] * (*shape, 1)[1])
        ensemble.enqueue(request(given, answers=answers))
        if seen == (3, 2) and rank == 1:
            assert "Expected [-1], got [3,2]" in answers.errors[0]
            return
        assert scheduler.requests[0].inputs[0].shape == seen
        made = Tensor("OUT", given.datatype, seen, given.buffer)
        scheduler.requests[0].stream.send(InferenceResponse([made]), final=True)
        assert answers.responses[0].outputs[0].shape == shape

    asyncio.run(main())


def test_who_asks_an_ensemble_asks_its_models() -> None:
    def scenario(rig: Rig) -> None:
        told: list[str] = []
        rig.models[0].asked = lambda: told.append("m0")
        rig.models[1].asked = lambda: told.append("m1")
        rig.ensemble.asked()
        assert told == ["m0", "m1"]

    run(scenario, chain)
