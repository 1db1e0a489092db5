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

from tritium.core.interfaces import Batch, ModelInstance, Outcome
from tritium.core.model import Model
from tritium.core.model_config import ModelWarmup, WarmupInput
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import CONFIG_DATATYPES, Buffer, DataType, Tensor
from tritium.errors import ConfigError, InternalError, InvalidArgumentError, ModelExecutionError

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


async def warm_up(model: Model, directory: Path) -> None:
    """Run every sample of the configuration on every instance; they are counted in the statistics.

    Args:
        directory: the model's own.

    Raises:
        TritiumError: a sample does not fit the model, its data cannot be read, or the model failed.
    """
    given = model.config.model_warmup
    if not given:
        return
    samples = await asyncio.to_thread(lambda: [_sample(model, each, directory) for each in given])
    async with asyncio.TaskGroup() as runs:
        tasks = [runs.create_task(_warm_instance(model, each, samples)) for each in model.scheduler.instances]
    for failure in [task.result() for task in tasks]:
        if failure is not None:
            raise failure


async def _warm_instance(
    model: Model, instance: ModelInstance, samples: Sequence[Sample]
) -> ModelExecutionError | None:
    """Run the samples one after the other: why one failed, if one did."""
    for sample in samples:
        for _ in range(sample.count):
            requests = [_request(model, sample) for _ in range(sample.size)]
            errors = await _run(model, instance, requests)
            if errors:
                text = f"failed to run warmup sample '{sample.name}' on '{instance.name}': {errors[0]}"
                return ModelExecutionError(text)
    return None


async def _run(model: Model, instance: ModelInstance, requests: list[InferenceRequest]) -> list[str]:
    """Run a batch, and once more those of it that the model gives back: the texts of its errors."""
    errors: list[str] = []

    def sent(request: InferenceRequest, response: InferenceResponse, final: bool) -> None:
        if response.error is not None:
            errors.append(str(response.error))

    while requests:
        outcome = await _execute(model, instance, requests, sent)
        errors += [
            str(response.error)
            for place, response in enumerate(outcome.responses)
            if response.error is not None and place not in outcome.delivered | outcome.again
        ]
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


def _sample(model: Model, given: ModelWarmup, directory: Path) -> Sample:
    """Blocking: reads files, and makes sure that the model takes the request.

    Raises:
        TritiumError: it does not, or there is no data.
    """
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
    model.check(_request(model, sample, checked=False))
    return sample


def _request(model: Model, sample: Sample, *, checked: bool = True) -> InferenceRequest:
    tensors = [Tensor(*parts) for parts in sample.inputs]
    request = InferenceRequest(model.config.name, tensors, ResponseStream(lambda response, final: None))
    if checked:
        model.check(request)  # gives inputs the shapes that the model sees
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
