"""What tests of several packages build: configurations, requests, models, stand-ins for instances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tritium.core.interfaces import Batch, Outcome
from tritium.core.model import Model
from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.statistics import ModelStatistics
from tritium.core.tensor import Array, Tensor
from tritium.errors import TritiumError


def model_input(
    name: str = "IN", data_type: str = "FP32", dims: tuple[int, ...] = (-1,), **rest: Any
) -> ModelInput:
    return ModelInput(name, f"TYPE_{data_type}", dims=dims, **rest)


def model_output(
    name: str = "OUT", data_type: str = "FP32", dims: tuple[int, ...] = (-1,), **rest: Any
) -> ModelOutput:
    return ModelOutput(name, f"TYPE_{data_type}", dims=dims, **rest)


def echo_config(name: str = "echo", max_batch_size: int = 8, **rest: Any) -> ModelConfig:
    """One FP32 input IN and one FP32 output OUT, of any length."""
    parts: dict[str, Any] = {"input": (model_input(),), "output": (model_output(),), **rest}
    return ModelConfig(name=name, max_batch_size=max_batch_size, backend="python", **parts)


def tensor(array: Array | list[Any], name: str = "IN") -> Tensor:
    """A tensor of these elements; a list becomes FP32."""
    return Tensor.from_array(name, np.asarray(array, np.float32) if isinstance(array, list) else array)


@dataclass
class Answers:
    """Collects what a stream delivers."""

    responses: list[InferenceResponse] = field(default_factory=list)
    finals: list[bool] = field(default_factory=list)
    on_answer: Callable[[], None] | None = None

    def __call__(self, response: InferenceResponse, final: bool) -> None:
        self.responses.append(response)
        self.finals.append(final)
        if self.on_answer is not None:
            self.on_answer()

    @property
    def errors(self) -> list[str]:
        return [str(response.error) for response in self.responses if response.error is not None]


def request(
    *inputs: Tensor, rows: int = 1, name: str = "", answers: Answers | None = None, **rest: Any
) -> InferenceRequest:
    """A request of ``rows`` rows; without inputs it has IN, FP32[rows,2]."""
    given = list(inputs) or [tensor(np.zeros((rows, 2), np.float32))]
    stream = ResponseStream(answers if answers is not None else Answers())
    return InferenceRequest("echo", given, stream, id=name, batch_size=rows, **rest)


def answer_all(batch: Batch, error: TritiumError | None = None, **times: int) -> Outcome:
    """An outcome that gives every request its inputs back, or ``error``."""
    responses = [
        InferenceResponse(
            [] if error else [Tensor("OUT", t.datatype, t.shape, t.buffer) for t in r.inputs], error
        )
        for r in batch.requests
    ]
    outcome = Outcome(responses)
    for name, ns in times.items():
        setattr(outcome, name, ns)
    return outcome


class FakeInstance:
    """Keeps what it is given until ``finish`` is called."""

    def __init__(self, name: str = "echo_0", capacity: int = 1) -> None:
        self.name = name
        self.in_flight = 0
        self.capacity = capacity
        self.side_by_side = False
        self.eager = False
        self.batches: list[Batch] = []
        self.flushed = 0  # batches given before the last flush
        self.on_batch: Callable[[Batch], None] | None = None
        self.stopped = False

    def execute(self, batch: Batch) -> None:
        self.in_flight += 1
        self.batches.append(batch)
        if self.on_batch is not None:
            self.on_batch(batch)

    def flush(self) -> None:
        self.flushed = len(self.batches)

    def finish(
        self, index: int = -1, error: TritiumError | None = None, again: frozenset[int] = frozenset()
    ) -> None:
        batch = self.batches[index]
        self.in_flight -= 1
        outcome = answer_all(batch, error)
        outcome.again = again
        batch.done(batch, outcome)

    async def stop(self) -> None:
        self.stopped = True


class FakeScheduler:
    """Hands every request to ``run``, or keeps it."""

    def __init__(self, run: Callable[[InferenceRequest], None] | None = None) -> None:
        self.requests: list[InferenceRequest] = []
        self.instances: list[FakeInstance] = []
        self.pending = 0
        self.busy = False
        self.stopped = False
        self._run = run

    def enqueue(self, request: InferenceRequest) -> None:
        self.requests.append(request)
        if self._run is not None:
            self._run(request)

    async def stop(self) -> None:
        self.stopped = True


def echo(request: InferenceRequest) -> None:
    """Answer with the inputs, as OUT (or OUT<n>)."""
    outputs = [Tensor(t.name.replace("IN", "OUT"), t.datatype, t.shape, t.buffer) for t in request.inputs]
    request.stream.send(InferenceResponse(outputs), final=True)


def model(
    config: ModelConfig | None = None,
    *,
    version: int = 1,
    scheduler: FakeScheduler | None = None,
    document: Mapping[str, Any] | None = None,
    labels: Mapping[str, tuple[str, ...]] | None = None,
    ready: bool = True,
) -> Model:
    """A loaded model that echoes."""
    return Model(
        config or echo_config(),
        version,
        scheduler or FakeScheduler(echo),
        ModelStatistics(),
        document or {},
        labels or {},
        lambda: ready,
    )
