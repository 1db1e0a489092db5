"""OneFlow graphs run by OneFlow's own runtime, in worker processes under its own interpreter.

What the worker does with a graph is in ``worker_root/tritium_worker/oneflow_host.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tritium.backends.api import WorkerBackend
from tritium.backends.conformance import check_conformance
from tritium.backends.oneflow import describe_model, read_model
from tritium.backends.oneflow_xrt import XRT_PARAMETER
from tritium.core.model_config import ModelConfig
from tritium.core.model_description import ModelDescription
from tritium.environments.interpreter import Interpreter
from tritium.environments.oneflow import OneFlowEnvironment, check_environment
from tritium.errors import ConfigError
from tritium.oneflow.batch import find_batch

MEMORY_PARAMETER = "TRITIUM_ONEFLOW_MEMORY_MB"
DEFAULT_MEMORY_MB = 2048
LOAD_TIMEOUT_S = 600.0
EXECUTION_TIMEOUT_S = 120.0  # graphs hang, if rarely; the slowest known batch takes a few seconds


class OneFlowReader:
    """Reads saved graphs for workers that run them by OneFlow itself."""

    def __init__(self, environment: OneFlowEnvironment) -> None:
        self._environment = environment

    def describe(self, config: ModelConfig, model_path: Path) -> ModelDescription:
        """As the translating engine, but operations may be any."""
        _check_parameters(config)
        graph = read_model(config, model_path, config.name)
        return describe_model(config, graph, find_batch(graph))

    def worker_arguments(self, config: ModelConfig, model_path: Path) -> Mapping[str, str]:
        """The ``oneflow`` argument of ``OneFlowHost``."""
        _check_parameters(config)
        check_environment(self._environment, f"model '{config.name}' is run by OneFlow's own runtime")
        graph = read_model(config, model_path, config.name)
        check_conformance(config, describe_model(config, graph, find_batch(graph)), graph.file)
        settings = {
            "site_packages": str(self._environment.site_packages),
            "memory_mb": _memory_mb(config),
            "max_batch_size": config.max_batch_size,
            "inputs": [port.name for port in graph.inputs],
            "outputs": [port.name for port in graph.outputs],
        }
        return {"oneflow": msgspec.json.encode(settings).decode()}


def oneflow_runtime(environment: OneFlowEnvironment) -> WorkerBackend:
    """The engine that runs graphs in ``environment``."""
    return WorkerBackend(
        "oneflow",
        oneflow_interpreter(environment),
        host="oneflow",
        default_filename="model",
        reader=OneFlowReader(environment),
        native=True,
        load_timeout_s=LOAD_TIMEOUT_S,
        execution_timeout_s=EXECUTION_TIMEOUT_S,
    )


def oneflow_interpreter(environment: OneFlowEnvironment) -> Callable[[ModelConfig, Path], Interpreter]:
    """What runs the workers of any model: the interpreter of ``environment``, if all of it is there."""

    def interpreter(config: ModelConfig, model_dir: Path) -> Interpreter:
        check_environment(environment, f"model '{config.name}' is run by OneFlow's own runtime")
        return Interpreter((str(environment.python),))

    return interpreter


def _check_parameters(config: ModelConfig) -> None:
    _memory_mb(config)
    if XRT_PARAMETER in config.parameters:
        raise ConfigError(
            f"model '{config.name}': parameter '{XRT_PARAMETER}' is for translated graphs, and this one is "
            "run by OneFlow's own runtime; remove the parameter"
        )


def _memory_mb(config: ModelConfig) -> int:
    parameter = config.parameters.get(MEMORY_PARAMETER)
    if parameter is None:
        return DEFAULT_MEMORY_MB
    text = parameter.string_value
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) < 1 << 24:
        raise ConfigError(
            f"model '{config.name}': parameter '{MEMORY_PARAMETER}' is '{text}'; write the megabytes that "
            "the graphs of an instance may take"
        )
    return int(text)
