"""``backend: "oneflow"``: which of its two engines runs a graph.

onnxruntime  the graph is translated and runs in this process; no OneFlow is needed
oneflow      OneFlow's own runtime, in worker processes; it has to be installed
auto         the first where it can, else the second
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from tritium.backends.api import BackendChoice, Engine
from tritium.backends.oneflow import OneFlowBackend, check_packages, engine_of, read_model
from tritium.backends.oneflow_runtime import oneflow_runtime
from tritium.backends.oneflow_xrt import check_xrt
from tritium.core.model_config import ModelConfig
from tritium.environments.oneflow import OneFlowEnvironment, check_environment, find_environment
from tritium.errors import UnsupportedError
from tritium.oneflow.translate import check_coverage, translate

logger = logging.getLogger("tritium.backends")


def oneflow_backend(settings: Mapping[str, str]) -> BackendChoice:
    """The backend; ``settings`` may say where OneFlow's own runtime is: ``environment``."""
    environment = find_environment(settings)

    def choose(config: ModelConfig, model_path: Path) -> Engine:
        engine = engine_of(config)
        if engine == "oneflow":
            check_environment(environment, f"model '{config.name}' asks for engine 'oneflow'")
        if engine == "oneflow" or (engine == "auto" and not _translates(config, model_path, environment)):
            return oneflow_runtime(environment)
        return OneFlowBackend()

    return BackendChoice("oneflow", choose)


def _translates(config: ModelConfig, model_path: Path, environment: OneFlowEnvironment) -> bool:
    """Whether the graph can be translated; if not, OneFlow's own runtime is there to run it.

    Raises:
        UnsupportedError: neither; the text lists what cannot be translated, and how to get the runtime.
    """
    check_xrt(config, engine_of(config))
    check_packages(config)
    graph = read_model(config, model_path, config.name)
    try:
        check_coverage(graph)
        if not environment.missing():
            translate(graph)
    except UnsupportedError as uncovered:
        check_environment(environment, f"model '{config.name}': {uncovered}; or let OneFlow run it itself")
        logger.info("model '%s' is run by OneFlow's own runtime: %s", config.name, uncovered)
        return False
    return True
