"""``backend: "oneflow_python"``: what ``oneflow.save`` wrote of an eager model, run by OneFlow itself.

The directory ``<version>/model`` holds one of

pickled_data  an ``nn.Module``, or a state dict for the module that ``model.py`` beside the directory builds.
              It is a pickle, and reading one runs code, so ``--backend-config`` has to allow it.
model.mlir    a graph: served as engine ``oneflow`` of the backend ``oneflow`` serves it

What the worker does with a pickle is in ``worker_root/tritium_worker/oneflow_module_host.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tritium.backends.api import BackendChoice, Engine, WorkerBackend
from tritium.backends.oneflow import ENGINE_PARAMETER
from tritium.backends.oneflow_runtime import (
    EXECUTION_TIMEOUT_S,
    LOAD_TIMEOUT_S,
    MEMORY_PARAMETER,
    oneflow_interpreter,
    oneflow_runtime,
)
from tritium.backends.oneflow_xrt import XRT_PARAMETER
from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput
from tritium.core.model_description import ModelDescription, TensorSpec
from tritium.environments.oneflow import OneFlowEnvironment, check_environment, find_environment
from tritium.errors import ConfigError, UnsupportedError

BACKEND = "oneflow_python"
ALLOW_PICKLE = "allow-pickle"
PICKLE = "pickled_data"
GRAPH = "model.mlir"
TYPES = ("FP32", "FP64", "FP16", "INT64", "INT32", "INT8", "UINT8", "BOOL")  # those that OneFlow 0.9.0 has


def oneflow_python_backend(settings: Mapping[str, str]) -> BackendChoice:
    """The backend; ``settings`` are ``environment``, as of the backend oneflow, and ``allow-pickle``."""
    environment = find_environment(settings)
    allowed = settings.get(ALLOW_PICKLE) == "true"

    def choose(config: ModelConfig, model_path: Path) -> Engine:
        _check_engine(config)
        graph = (model_path / GRAPH).is_file()
        if not graph:
            _check_pickle(config, model_path, allowed=allowed)
        check_environment(environment, f"model '{config.name}' is run by OneFlow itself")
        return oneflow_runtime(environment) if graph else _module_backend(environment)

    return BackendChoice(BACKEND, choose)


class ModuleReader:
    """Takes inputs and outputs from the configuration: a module does not say what it takes and gives."""

    def __init__(self, environment: OneFlowEnvironment) -> None:
        self._environment = environment

    def describe(self, config: ModelConfig, model_path: Path) -> ModelDescription:
        """The tensors of ``config``, which must give all of each.

        Raises:
            ConfigError: it does not, or asks for what a module cannot do.
        """
        _check_config(config)
        return ModelDescription(_specs(config, config.input), _specs(config, config.output))

    def worker_arguments(self, config: ModelConfig, model_path: Path) -> Mapping[str, str]:
        """The ``oneflow`` argument of ``OneFlowModuleHost``."""
        _check_config(config)
        settings = {
            "site_packages": str(self._environment.site_packages),
            "max_batch_size": config.max_batch_size,
            "inputs": [_tensor(tensor) for tensor in _in_order("INPUT_", config.input)],
            "outputs": [_tensor(tensor) for tensor in _in_order("OUTPUT_", config.output)],
        }
        return {"oneflow": msgspec.json.encode(settings).decode()}


def _module_backend(environment: OneFlowEnvironment) -> WorkerBackend:
    return WorkerBackend(
        BACKEND,
        oneflow_interpreter(environment),
        host=BACKEND,
        default_filename="model",
        reader=ModuleReader(environment),
        native=True,
        load_timeout_s=LOAD_TIMEOUT_S,
        execution_timeout_s=EXECUTION_TIMEOUT_S,
    )


def _check_engine(config: ModelConfig) -> None:
    parameter = config.parameters.get(ENGINE_PARAMETER)
    if parameter is not None and parameter.string_value != "oneflow":
        raise ConfigError(
            f"model '{config.name}': parameter '{ENGINE_PARAMETER}' is '{parameter.string_value}', but "
            f"backend '{BACKEND}' is always run by OneFlow itself; remove the parameter, or save an "
            'nn.Graph and write backend: "oneflow"'
        )


def _check_pickle(config: ModelConfig, model_path: Path, *, allowed: bool) -> None:
    """Whether there is a pickle and it may be read."""
    shown = f"{model_path.parent.name}/{model_path.name}"
    if not (model_path / PICKLE).is_file():
        raise ConfigError(
            f"model '{config.name}': '{shown}' holds neither {PICKLE} nor {GRAPH}; save the model into that "
            "directory: oneflow.save(module, directory), oneflow.save(module.state_dict(), directory) or "
            "oneflow.save(graph, directory)"
        )
    if not allowed:
        raise UnsupportedError(
            f"model '{config.name}': {shown}/{PICKLE} is a pickle, and reading a pickle runs whatever code "
            "is in it; if you trust all that can be loaded from this repository, start the server with "
            f"--backend-config={BACKEND},{ALLOW_PICKLE}=true; if not, save an nn.Graph, which holds no "
            'code, and write backend: "oneflow"'
        )


def _check_config(config: ModelConfig) -> None:
    """Whether the configuration says everything, and nothing that a module cannot follow."""
    problem = next(_problems(config), None)
    if problem is not None:
        raise ConfigError(f"model '{config.name}': {problem}")


def _problems(config: ModelConfig) -> Iterator[str]:
    for parameter in (XRT_PARAMETER, MEMORY_PARAMETER):
        if parameter in config.parameters:
            yield f"parameter '{parameter}' is for saved graphs, and this is a module; remove the parameter"
    if config.model_transaction_policy is not None and config.model_transaction_policy.decoupled:
        yield "a module gives one response to a request; remove model_transaction_policy"
    for side, tensors in (("input", config.input), ("output", config.output)):
        if not tensors:
            yield (
                f"a module does not say what its {side}s are, so config.pbtxt must; write for example "
                f'{side} {{ name: "{side.upper()}_0" data_type: TYPE_FP32 dims: [ 3 ] }}'
            )
        for tensor in tensors:
            yield from _tensor_problems(side, tensor)


def _tensor_problems(side: str, tensor: ModelInput | ModelOutput) -> Iterator[str]:
    where = f"{side} '{tensor.name}'"
    if not (tensor.name and tensor.dims) or tensor.data_type == "TYPE_INVALID":
        yield f"{where}: a module does not say it, so config.pbtxt must give name, data_type and dims"
    elif tensor.data_type.removeprefix("TYPE_") not in TYPES:
        yield f"{where}: OneFlow has no {tensor.data_type}; its types are TYPE_{', TYPE_'.join(TYPES)}"
    if isinstance(tensor, ModelInput) and tensor.optional:
        yield f"{where} is optional, but a module is called with all of its inputs; remove optional"


def _in_order(prefix: str, tensors: Sequence[ModelInput | ModelOutput]) -> Sequence[ModelInput | ModelOutput]:
    """The order of the call: by number where all are named ``<prefix><i>``, else as they are written."""
    numbers = [re.fullmatch(rf"{prefix}([0-9]{{1,9}})", tensor.name) for tensor in tensors]
    if not all(numbers):
        return tensors
    return sorted(tensors, key=lambda tensor: int(tensor.name.removeprefix(prefix)))


def _tensor(tensor: ModelInput | ModelOutput) -> dict[str, object]:
    """What the worker needs to know: the shape is that of a row where the model batches."""
    shape = tensor.dims if tensor.reshape is None else tensor.reshape.shape
    return {"name": tensor.name, "data_type": tensor.data_type, "shape": shape}


def _specs(config: ModelConfig, tensors: Sequence[ModelInput | ModelOutput]) -> tuple[TensorSpec, ...]:
    rows = (-1,) if config.batching else ()
    return tuple(TensorSpec(tensor.name, tensor.data_type, (*rows, *tensor.dims)) for tensor in tensors)
