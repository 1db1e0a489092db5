"""``model_warmup``: what each instance runs before its model is ready, so that no client waits for it."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tritium.config.initial_states import read_initial_states
from tritium.core.interfaces import Batch, ModelInstance, Outcome
from tritium.core.model import Model
from tritium.core.model_config import ModelWarmup, WarmupInput
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import CONFIG_DATATYPES, Buffer, DataType, Tensor
from tritium.errors import ConfigError, InternalError, InvalidArgumentError, ModelExecutionError
from tritium.scheduling.sequence_rehearsal import SequenceRehearsal

logger = logging.getLogger("tritium.repository")

_MAX_BYTES = 1 << 30  # of one input; a configuration may come with a load request
_LARGEST_INTEGER = 127  # of random ones, so that they fit every type and rarely are an index out of range
_DIRECTORY = "warmup"


@dataclass(slots=True)
class Sample:
    """A batch of equal requests of one row each, to be run ``count`` times."""

    name: str
    count: int
    size: int
    inputs: list[tuple[str, DataType, tuple[int, ...], Buffer]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A model, and what its scheduler would do with its sequences."""

    model: Model
    rehearsal: SequenceRehearsal | None

    def check(self, request: InferenceRequest) -> None:
        """As ``Model.check``, but for inputs that the server else makes, which are checked apart."""
        if self.rehearsal is None:
            self.model.check(request)
            return
        request.inputs, made = self.rehearsal.split(request.inputs)
        self.rehearsal.check(InferenceRequest(request.model_name, made, request.stream))
        self.model.check(request)
        request.inputs = [*request.inputs, *made]


async def warm_up(model: Model, directory: Path) -> None:
    """Run every sample of the configuration on every instance; they are counted in the statistics.

    Args:
        directory: the model's own.

    Raises:
        TritiumError: a sample does not fit the model, its data cannot be read, or the model failed.
    """
    if not model.config.model_warmup:
        return
    plan, samples = await asyncio.to_thread(_prepare, model, directory)
    async with asyncio.TaskGroup() as runs:
        tasks = [runs.create_task(_warm_instance(plan, each, samples)) for each in model.scheduler.instances]
    for failure in [task.result() for task in tasks]:
        if failure is not None:
            raise failure


def _prepare(model: Model, directory: Path) -> tuple[_Plan, list[Sample]]:
    """Blocking: reads files."""
    config = model.config
    batching, rehearsal = config.sequence_batching, None
    if batching is not None:
        rehearsal = SequenceRehearsal(config, batching, read_initial_states(config, directory))
    plan = _Plan(model, rehearsal)
    return plan, [_sample(plan, each, directory) for each in config.model_warmup]


async def _warm_instance(
    plan: _Plan, instance: ModelInstance, samples: Sequence[Sample]
) -> ModelExecutionError | None:
    """Run the samples one after the other: why one failed, if one did."""
    for sample in samples:
        for _ in range(sample.count):
            errors = await _run(plan, instance, [_request(plan, sample) for _ in range(sample.size)])
            if errors:
                text = f"failed to run warmup sample '{sample.name}' on '{instance.name}': {errors[0]}"
                return ModelExecutionError(text)
    return None


async def _run(plan: _Plan, instance: ModelInstance, requests: list[InferenceRequest]) -> list[str]:
    """Run a batch, and once more those of it that the model gives back: the texts of its errors."""
    errors: list[str] = []
    rehearsal = plan.rehearsal

    def sent(request: InferenceRequest, response: InferenceResponse, final: bool) -> None:
        if rehearsal is not None:
            rehearsal.answered(request, response)
        if response.error is not None:
            errors.append(str(response.error))

    if rehearsal is not None:
        for request in requests:
            rehearsal.begin(request)
    while requests:
        outcome = await _execute(plan.model, instance, requests, sent)
        for place, (request, response) in enumerate(zip(requests, outcome.responses, strict=True)):
            if place not in outcome.delivered | outcome.again:
                sent(request, response, True)
            if rehearsal is not None:
                (rehearsal.again if place in outcome.again else rehearsal.end)(request)
        requests = [request for place, request in enumerate(requests) if place in outcome.again]
    return errors


async def _execute(
    model: Model,
    instance: ModelInstance,
    requests: list[InferenceRequest],
    sent: Callable[[InferenceRequest, InferenceResponse, bool], None],
) -> Outcome:
    """Run one batch on ``instance``, beside its scheduler, and count it."""
    done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    now_ns = time.monotonic_ns()
    for request in requests:
        request.arrival_ns = now_ns
    batch = Batch(requests, len(requests), now_ns, lambda batch, outcome: done.set_result(outcome), sent)
    instance.execute(batch)
    instance.flush()
    outcome = await done
    model.statistics.record_batch(
        batch, outcome, now_ns=time.monotonic_ns(), wall_ms=time.time_ns() // 1_000_000
    )
    return outcome


def _sample(plan: _Plan, given: ModelWarmup, directory: Path) -> Sample:
    """Blocking: reads files, and makes sure that the model takes the request.

    Raises:
        TritiumError: it does not, or there is no data.
    """
    model = plan.model
    size = given.batch_size
    if size > max(1, model.config.max_batch_size):
        raise ConfigError(
            f"warmup sample '{given.name}' of {model.config.name} has batch_size {size}, expected at most "
            f"{max(1, model.config.max_batch_size)}, the model's max_batch_size"
        )
    if not size:
        logger.warning(
            "warmup sample '%s' of model '%s' has no batch_size, so nothing is run; write batch_size: 1",
            given.name, model.config.name,
        )  # fmt: skip
    sample = Sample(given.name, max(1, given.count), size)
    for name, data in given.inputs.items():
        datatype = CONFIG_DATATYPES.get(data.data_type)
        if datatype is None or not all(dim >= 0 for dim in data.dims):
            raise ConfigError(
                f"warmup sample '{given.name}' of {model.config.name}, input '{name}': write a data_type, "
                f"and dims without -1; found {data.data_type} and {list(data.dims)}"
            )
        shape = (1, *data.dims) if model.config.batching else tuple(data.dims)
        buffer = _data(data, datatype, shape, directory / _DIRECTORY, f"'{name}'")
        sample.inputs.append((name, datatype, shape, buffer))
    _request(plan, sample)
    return sample


def _request(plan: _Plan, sample: Sample) -> InferenceRequest:
    tensors = [Tensor(*parts) for parts in sample.inputs]
    request = InferenceRequest(plan.model.config.name, tensors, ResponseStream(lambda response, final: None))
    plan.check(request)  # gives inputs the shapes that the model sees
    return request


def _data(
    given: WarmupInput, datatype: DataType, shape: tuple[int, ...], directory: Path, where: str
) -> Buffer:
    elements = math.prod(shape)
    if elements * (datatype.itemsize or 4) > _MAX_BYTES:
        raise ConfigError(
            f"warmup input {where} has the shape {list(shape)}, which is more than {_MAX_BYTES} bytes; write "
            "smaller dims"
        )
    if given.input_data_file:
        return _read(directory / given.input_data_file, given.input_data_file)
    if given.random_data and datatype is not DataType.BYTES:
        return _random(datatype, shape)
    if given.zero_data or given.random_data:  # of BYTES, empty strings
        return bytes(elements * (datatype.itemsize or 4))
    raise InvalidArgumentError(
        f"[request id: <id_unknown>] warmup setting expects input {where} to have input_data_type set"
    )


def _read(path: Path, name: str) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"warmup file {_DIRECTORY}/{name} has more than {_MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InternalError(
            f"failed to open text file for read {_DIRECTORY}/{name}: {error.strerror}"
        ) from error


def _random(datatype: DataType, shape: tuple[int, ...]) -> Buffer:
    """Numbers from 0 to 1, or integers from 0 to 127; the same ones at each start."""
    dice = np.random.default_rng(0)
    if datatype is DataType.BF16:
        halves = dice.random(shape, dtype=np.float32).view(np.uint32) >> 16
        return halves.astype(datatype.numpy).tobytes()
    if datatype in (DataType.FP16, DataType.FP32, DataType.FP64):
        return dice.random(shape).astype(datatype.numpy).tobytes()
    largest = 1 if datatype is DataType.BOOL else _LARGEST_INTEGER
    return dice.integers(0, largest, shape, endpoint=True).astype(datatype.numpy).tobytes()
