"""``tritium check --verify``: the two engines of a OneFlow model on the same random inputs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from tritium.backends.oneflow import ENGINE_PARAMETER
from tritium.cli.static_check import Finding, warnings_of
from tritium.core.model import Model
from tritium.core.model_config import ModelConfig, ModelInput, ModelParameter
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import CONFIG_DATATYPES, Array, Tensor
from tritium.errors import TritiumError
from tritium.execution.launcher import Launcher
from tritium.options import ServerOptions
from tritium.repository.loader import LoadOptions, ModelLoader
from tritium.repository.peers import Peers
from tritium.repository.prepare import PrepareOptions, draft
from tritium.repository.scan import ModelEntry

LIMIT = 1e-4  # of the largest element
LIMIT_FP16 = 5e-3  # half precision has steps of up to 1e-3, and the engines may round each sum otherwise
BACKEND = "oneflow"
_BATCHES = (1, 2, 5)
_ENGINES = ("onnxruntime", "oneflow")

Outputs = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far the engines are apart: relative to the largest element of an output."""

    name: str
    version: int
    difference: float = 0.0
    limit: float = LIMIT
    output: str = ""  # where the difference is largest, measured by its limit
    problem: str = ""  # why nothing could be compared

    @property
    def fine(self) -> bool:
        """Whether the engines agree."""
        return not self.problem and self.difference <= self.limit

    def including(self, output: str, found: Array, expected: Array) -> Comparison:
        """The same, or with this output if it is further beyond what is allowed to it."""
        difference = relative_difference(found, expected)
        limit = LIMIT_FP16 if expected.dtype == np.float16 else LIMIT
        if self.output and difference / limit <= self.difference / self.limit:
            return self
        return replace(self, difference=difference, limit=limit, output=output)

    def line(self) -> str:
        """For people."""
        what = f"{self.name} version {self.version}"
        if self.problem:
            return f"FAIL {what}: cannot be verified: {self.problem}"
        found = f"the largest relative difference is {self.difference:.1e}, in {self.output}"
        bound = "" if self.fine else f"; expected at most {self.limit:.0e}"
        return (
            f"{'same' if self.fine else 'FAIL'} {what}: translated and run by OneFlow itself, {found}{bound}"
        )


async def verify_models(
    entries: Mapping[str, ModelEntry], findings: Sequence[Finding], prepare: PrepareOptions
) -> list[Comparison]:
    """Compare the engines of each OneFlow model that has no error, one model at a time."""
    defaults = ServerOptions()
    launcher = Launcher()
    loader = ModelLoader(
        LoadOptions(prepare, defaults.max_queue_size, defaults.worker_stopped_limit_s), launcher, Peers()
    )
    try:
        return [
            await compare(loader, entries[finding.name], version, prepare)
            for finding in findings
            if finding.error is None and finding.backend == BACKEND
            for version in finding.versions
        ]
    finally:
        launcher.close()


async def compare(
    loader: ModelLoader, entry: ModelEntry, version: int, prepare: PrepareOptions
) -> Comparison:
    """Load a model by both engines and run them on random inputs, at several batch sizes."""
    models: list[Model] = []
    with warnings_of("tritium"):
        try:
            found = await asyncio.to_thread(draft, entry, prepare)
            for engine in _ENGINES:
                config = _single(found.config, engine)
                models.append(await loader.load_version(entry, version, replace(found, config=config)))
            return await _compare(models, Comparison(entry.name, version))
        except TritiumError as error:
            return Comparison(entry.name, version, problem=str(error))
        finally:
            for model in models:
                await model.scheduler.stop()


def _single(config: ModelConfig, engine: str) -> ModelConfig:
    """``config`` for one instance of ``engine``."""
    parameters = {**config.parameters, ENGINE_PARAMETER: ModelParameter(engine)}
    groups = tuple(replace(group, count=1) for group in config.instance_group[:1])
    return replace(config, parameters=parameters, instance_group=groups)


async def _compare(models: Sequence[Model], result: Comparison) -> Comparison:
    config = models[0].config
    random = np.random.default_rng(0)
    sizes = [size for size in _BATCHES if size <= config.max_batch_size] if config.batching else [0]
    for rows in sizes:
        inputs = {tensor.name: random_input(tensor, rows, random) for tensor in config.input}
        translated, own = [await _ask(model, inputs, rows) for model in models]
        for name, array in own.items():
            result = result.including(name, translated[name], array)
    return result


def random_input(tensor: ModelInput, rows: int, random: np.random.Generator) -> Array:
    """Numbers around 0, or 0 and 1 where they may be indices; ``rows`` is 0 for models that do not batch."""
    shape = [1 if size < 0 else size for size in tensor.dims]
    dtype = CONFIG_DATATYPES[tensor.data_type].numpy
    full = (rows, *shape) if rows else tuple(shape)
    if dtype.kind == "f":
        return random.standard_normal(full).astype(dtype)
    return random.integers(0, 2, full).astype(dtype)


def relative_difference(found: Array, expected: Array) -> float:
    """The largest difference, relative to the largest expected element (to 1 where that is below 1e-6)."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return inf
    if not expected.size:
        return 0.0
    wide, reference = found.astype(np.float64), expected.astype(np.float64)
    same = (wide == reference) | (np.isnan(wide) & np.isnan(reference))
    with np.errstate(invalid="ignore"):
        differences = np.where(same, 0.0, np.abs(wide - reference))
    if np.isnan(differences).any():
        return inf
    largest = float(np.abs(np.where(np.isfinite(reference), reference, 0.0)).max())
    return float(differences.max()) / (largest if largest > 1e-6 else 1.0)


async def _ask(model: Model, inputs: Mapping[str, Array], rows: int) -> Outputs:
    answer: asyncio.Future[InferenceResponse] = asyncio.get_running_loop().create_future()

    def on_response(response: InferenceResponse, final: bool) -> None:
        if not answer.done():
            answer.set_result(response)

    tensors = [Tensor.from_array(name, array) for name, array in inputs.items()]
    request = InferenceRequest(
        model.config.name, tensors, ResponseStream(on_response), batch_size=max(1, rows)
    )
    model.check(request)
    model.enqueue(request, time.perf_counter_ns())
    response = await answer
    if response.error is not None:
        raise response.error
    return {tensor.name: tensor.array().copy() for tensor in response.outputs}
