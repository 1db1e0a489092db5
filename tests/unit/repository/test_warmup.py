from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.builders import FakeInstance, FakeScheduler, answer_all, echo_config, model, model_input
from tests.unit.scheduling.sequence_builders import CONTROLS
from tritium.core.interfaces import Batch
from tritium.core.model import Model
from tritium.core.model_config import (
    ModelWarmup,
    SequenceBatching,
    SequenceState,
    StrategyOldest,
    WarmupInput,
)
from tritium.core.request import SEQUENCE_END, SEQUENCE_START
from tritium.core.response import InferenceResponse
from tritium.core.tensor import Array, DataType, Tensor
from tritium.errors import InternalError, TritiumError
from tritium.repository.warmup import warm_up

ZERO = WarmupInput("TYPE_FP32", (2,), zero_data=True)


class Instance(FakeInstance):
    """Answers as soon as the loop turns, with an error if it is to fail."""

    fails = False

    def execute(self, batch: Batch) -> None:
        super().execute(batch)
        asyncio.get_running_loop().call_soon(self.finish, -1, InternalError("no") if self.fails else None)


def warmed(*samples: ModelWarmup, instances: int = 1, **config: Any) -> Model:
    scheduler = FakeScheduler()
    scheduler.instances = [Instance(f"echo_{index}") for index in range(instances)]
    return model(echo_config(model_warmup=samples, **config), scheduler=scheduler)


def sample(data: WarmupInput = ZERO, *, size: int = 1, count: int = 0, name: str = "IN") -> ModelWarmup:
    return ModelWarmup("s", size, {name: data}, count)


def run(found: Model, directory: Path = Path()) -> list[Batch]:
    """The batches of the first instance."""
    asyncio.run(warm_up(found, directory))
    first = found.scheduler.instances[0]
    assert isinstance(first, FakeInstance)
    return first.batches


def arrays(found: Model, directory: Path = Path()) -> list[Array]:
    return [one.inputs[0].array() for batch in run(found, directory) for one in batch.requests]


def refusal(found: Model, directory: Path = Path()) -> str:
    with pytest.raises(TritiumError) as caught:
        run(found, directory)
    return str(caught.value)


def test_a_batch_of_equal_requests_runs_as_often_as_it_says() -> None:
    found = warmed(sample(size=3, count=2))
    batches = run(found)
    assert [(len(batch.requests), batch.rows) for batch in batches] == [(3, 3), (3, 3)]
    assert batches[0].requests[0].inputs[0].array().tolist() == [[0, 0]]
    statistics = found.statistics
    assert (statistics.inference_count, statistics.execution_count, statistics.success.count) == (6, 2, 6)


def test_every_instance_runs_it() -> None:
    found = warmed(sample(), instances=3)
    run(found)
    assert [len(one.batches) for one in found.scheduler.instances] == [1, 1, 1]  # type: ignore[attr-defined]


def test_without_a_count_it_runs_once_and_without_a_size_never() -> None:
    assert len(run(warmed(sample()))) == 1
    assert run(warmed(sample(size=0))) == []
    assert run(warmed()) == []


@pytest.mark.parametrize(
    ("kind", "dtype", "largest"), [("FP32", np.float32, 1), ("INT8", np.int8, 127), ("BOOL", np.bool_, 1)]
)
def test_random_data_is_of_the_inputs_type(kind: str, dtype: type, largest: int) -> None:
    data = WarmupInput(f"TYPE_{kind}", (50,), random_data=True)
    (found,) = arrays(warmed(sample(data), input=(model_input(data_type=kind),)))
    assert found.dtype == dtype
    assert found.shape == (1, 50)
    assert 0 <= found.min() < found.max() <= largest


@pytest.mark.parametrize("random", [False, True])
def test_strings_are_empty(random: bool) -> None:
    strings = WarmupInput("TYPE_STRING", (2,), zero_data=not random, random_data=random)
    (found,) = arrays(warmed(sample(strings), input=(model_input(data_type="STRING"),)))
    assert found.tolist() == [[b"", b""]]


def test_half_precision_is_random_too() -> None:
    data = WarmupInput("TYPE_BF16", (9,), random_data=True)
    (found,) = arrays(warmed(sample(data), input=(model_input(data_type="BF16"),)))
    numbers = (found.astype(np.uint32) << 16).view(np.float32)
    assert ((numbers >= 0) & (numbers <= 1)).all() and numbers.max() > 0


def test_data_are_read_from_the_models_warmup_directory(tmp_path: Path) -> None:
    (tmp_path / "warmup").mkdir()
    (tmp_path / "warmup" / "raw").write_bytes(np.array([3, 4], np.float32).tobytes())
    data = WarmupInput("TYPE_FP32", (2,), input_data_file="raw")
    assert arrays(warmed(sample(data)), tmp_path)[0].tolist() == [[3, 4]]


def test_a_model_without_batching_gets_the_shape_as_it_is_written() -> None:
    (found,) = arrays(warmed(sample(), max_batch_size=0))
    assert found.shape == (2,)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (warmed(sample(name="X")), "unexpected inference input 'X' for model 'echo'"),
        (
            warmed(ModelWarmup("s", 1)),
            "expected 1 inputs but got 0 inputs for model 'echo'. Got input(s) [], but missing",
        ),
        (
            warmed(sample(WarmupInput("TYPE_FP32", (2,)))),
            "[request id: <id_unknown>] warmup setting expects input 'IN' to have input_data_type set",
        ),
        (
            warmed(sample(WarmupInput("TYPE_FP32", (2,), input_data_file="nofile"))),
            "failed to open text file for read warmup/nofile: No such file or directory",
        ),
        (
            warmed(sample(WarmupInput("TYPE_FP32", (-1,), zero_data=True))),
            "input 'IN': write a data_type, and dims without -1; found TYPE_FP32 and [-1]",
        ),
        (
            warmed(sample(size=9)),
            "warmup sample 's' of echo has batch_size 9, expected at most 8, the model's max_batch_size",
        ),
        (
            warmed(sample(WarmupInput("TYPE_FP32", (1 << 40,), zero_data=True))),
            "input 'IN' has the shape [1, 1099511627776], which is more than 1073741824 bytes; write smaller",
        ),
    ],
)
def test_a_sample_that_cannot_be_run_says_why(found: Model, text: str, tmp_path: Path) -> None:
    assert text in refusal(found, tmp_path)
    assert found.statistics.execution_count == 0


def test_a_model_that_fails_its_warm_up_is_named() -> None:
    found = warmed(sample(count=5))
    (instance,) = found.scheduler.instances
    assert isinstance(instance, Instance)
    instance.fails = True
    assert refusal(found) == "failed to run warmup sample 's' on 'echo_0': no"
    assert len(instance.batches) == 1


class Rescheduling(FakeInstance):
    """Gives the first request of its first two batches back, and sends its first number as the state."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []  # of the first request of each batch

    def execute(self, batch: Batch) -> None:
        super().execute(batch)
        first = batch.requests[0]
        self.seen.append({t.name: t.array().tolist() for t in first.inputs} | {"flags": first.flags})
        state = Tensor("sum_out", DataType.FP32, (1, 1), first.inputs[0].buffer[:4])
        batch.sent(first, InferenceResponse([state]), False)
        outcome = answer_all(batch)
        outcome.again = frozenset({0}) if len(self.batches) < 3 else frozenset()
        self.in_flight -= 1
        asyncio.get_running_loop().call_soon(batch.done, batch, outcome)


def test_requests_that_the_model_gives_back_run_again() -> None:
    found = warmed(sample(size=2))
    found.scheduler.instances = [instance := Rescheduling()]  # type: ignore[misc]
    run(found)
    assert [len(batch.requests) for batch in instance.batches] == [2, 1, 1]


STATE = SequenceState("sum_in", "sum_out", "TYPE_FP32", (1,))


def sequences(*samples: ModelWarmup, iterative: bool = False, **rest: Any) -> Model:
    batching = SequenceBatching(
        oldest=StrategyOldest(4), control_input=CONTROLS, iterative_sequence=iterative, state=(STATE,)
    )
    return warmed(*samples, sequence_batching=batching, **rest)


def test_each_request_to_a_model_with_sequences_is_a_whole_sequence() -> None:
    (batch,) = run(sequences(sample(size=2)))
    assert [one.correlation_id for one in batch.requests] == [1, 2]
    for number, one in enumerate(batch.requests, 1):
        assert one.flags == SEQUENCE_START | SEQUENCE_END
        assert {t.name: t.array().tolist() for t in one.inputs} == {
            "IN": [[0, 0]],
            "START": [[1]],
            "READY": [[1]],
            "END": [[True]],
            "ID": [[number]],
            "sum_in": [[0]],
        }


def test_a_sample_may_give_what_the_server_else_makes() -> None:
    start = WarmupInput("TYPE_INT32", (1,), zero_data=True)
    total = WarmupInput("TYPE_FP32", (1,), random_data=True)
    (batch,) = run(sequences(ModelWarmup("s", 1, {"IN": ZERO, "START": start, "sum_in": total})))
    seen = {t.name: t.array().tolist() for t in batch.requests[0].inputs}
    assert sorted(seen) == ["END", "ID", "IN", "READY", "START", "sum_in"]
    assert seen["START"] == [[0]]
    assert seen["sum_in"][0][0] > 0


@pytest.mark.parametrize(
    ("name", "kind", "dims", "text"),
    [
        ("START", "FP32", 1, "inference input 'START' data-type is 'FP32', but model 'echo' expects 'INT32'"),
        (
            "sum_in",
            "FP32",
            2,
            "unexpected shape for input 'sum_in' for model 'echo'. Expected [-1,1], got [1,2]",
        ),
        ("sum_out", "FP32", 1, "unexpected inference input 'sum_out' for model 'echo'"),
    ],
)
def test_what_the_server_makes_must_be_given_as_it_makes_it(
    name: str, kind: str, dims: int, text: str
) -> None:
    given = WarmupInput(f"TYPE_{kind}", (dims,), zero_data=True)
    optional = (model_input(), model_input("more", optional=True))
    assert text in refusal(sequences(ModelWarmup("s", 1, {"IN": ZERO, name: given}), input=optional))


def test_a_request_that_is_given_back_goes_on_with_its_state_and_without_its_start() -> None:
    data = WarmupInput("TYPE_FP32", (2,), random_data=True)
    found = sequences(sample(data), iterative=True)
    found.scheduler.instances = [instance := Rescheduling()]  # type: ignore[misc]
    run(found)
    first = instance.seen[0]["IN"][0][0]
    assert [one["flags"] for one in instance.seen] == [SEQUENCE_START, 0, 0]
    assert [one["START"] for one in instance.seen] == [[[1]], [[0]], [[0]]]
    assert [one["sum_in"] for one in instance.seen] == [[[0]], [[first]], [[first]]]


def test_a_state_that_does_not_fit_fails_the_warm_up() -> None:
    class Wrong(Instance):
        def execute(self, batch: Batch) -> None:
            FakeInstance.execute(self, batch)
            outcome = answer_all(batch)
            outcome.responses[0].outputs = [Tensor("sum_out", DataType.FP32, (1, 2), bytes(8))]
            asyncio.get_running_loop().call_soon(batch.done, batch, outcome)

    found = sequences(sample())
    found.scheduler.instances = [Wrong()]  # type: ignore[misc]
    assert "gave the state 'sum_out' as FP32 [1, 2], expected FP32 [1, 1]" in refusal(found)
