"""OneFlow graphs, as ``oneflow.save`` writes them: translated to ONNX and run by ONNX Runtime or OpenVINO.

OneFlow itself is not needed. The model is the directory ``<version>/model``; its inputs are called INPUT_0,
INPUT_1 and so on, its outputs OUTPUT_0 and so on, in the order of the call.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from tritium.backends.api import InstanceContext, TensorModel
from tritium.backends.conformance import Side, check_conformance
from tritium.backends.oneflow_xrt import check_xrt, open_translated, packages_for
from tritium.backends.saved_batch import SavedBatchModel
from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput
from tritium.core.model_description import ModelDescription, TensorSpec
from tritium.errors import ConfigError, UnsupportedError
from tritium.oneflow.batch import Batch, find_batch
from tritium.oneflow.graph import Graph, Port
from tritium.oneflow.reader import read_graph
from tritium.oneflow.translate import check_coverage, translate

logger = logging.getLogger("tritium.backends")

ENGINE_PARAMETER = "engine"
ENGINES = ("auto", "onnxruntime", "oneflow")
_PREFIXES: dict[Side, str] = {"input": "INPUT_", "output": "OUTPUT_"}
# The words of OneFlow's own serving backend.
_RANGES: dict[Side, str] = {
    "input": "input index should be in range [0, input_size)",
    "output": "output index should be in the range [0, output_size)",
}


class OneFlowBackend:
    """Serves ``model``, a directory with model.mlir and a directory for each parameter."""

    name = "oneflow"

    def describe(self, config: ModelConfig, model_path: Path) -> ModelDescription:
        """The graph's inputs and outputs; the first dimension is variable where rows can be batched.

        Raises:
            ConfigError: the graph is damaged, or what the configuration says does not fit it.
            UnsupportedError: it has operations that cannot be translated, or a package is missing.
        """
        check_xrt(config, engine_of(config))
        check_packages(config)
        graph = read_model(config, model_path, config.name)
        check_coverage(graph)
        batch = find_batch(graph)
        description = describe_model(config, graph, batch)
        if config.batching and not batch.variable:
            logger.warning(
                "model '%s' runs batches in parts of %d rows, as its graph was saved: %s",
                config.name, batch.saved, batch.reason,
            )  # fmt: skip
        return description

    def open(self, context: InstanceContext) -> TensorModel:
        """Translate the graph, and make a session of the instance's own.

        Raises:
            TritiumError: as ``describe``, or ONNX Runtime refuses the model.
        """
        config = context.config
        check_xrt(config, engine_of(config))
        check_packages(config)
        graph = read_model(config, context.model_path, context.instance_name)
        translated = translate(graph)
        check_conformance(config, describe_model(config, graph, translated.batch), graph.file)
        content = translated.model.SerializeToString()
        if config.batching and not translated.batch.variable:
            saved = replace(context, config=_saved_config(config, graph))
            return SavedBatchModel(open_translated(saved, content, graph.file), translated.batch.saved)
        return open_translated(context, content, graph.file)


def engine_of(config: ModelConfig) -> str:
    """The engine that the configuration asks for.

    Raises:
        ConfigError: there is no such engine.
    """
    parameter = config.parameters.get(ENGINE_PARAMETER)
    if parameter is None:
        return ENGINES[0]
    if parameter.string_value not in ENGINES:
        example = f'parameters {{ key: "{ENGINE_PARAMETER}" value {{ string_value: "{ENGINES[1]}" }} }}'
        raise ConfigError(
            f"model '{config.name}': parameter '{ENGINE_PARAMETER}' is '{parameter.string_value}' but must "
            f"be one of {', '.join(ENGINES)}; write {example}, or leave it out"
        )
    return parameter.string_value


def check_packages(config: ModelConfig) -> None:
    """Whether what translates and runs graphs is installed.

    Raises:
        UnsupportedError: it is not.
    """
    needed = packages_for(config)
    missing = [package for package in needed if find_spec(package) is None]
    if missing:
        raise UnsupportedError(
            f"model '{config.name}': the oneflow backend needs the packages {' and '.join(needed)}, and "
            f"{' and '.join(missing)} cannot be found; install them: pip install 'tritium-server[oneflow]'"
        )


def read_model(config: ModelConfig, model_path: Path, instance_name: str) -> Graph:
    """The saved graph; ``instance_name`` is for the error text.

    Raises:
        ConfigError: it is missing or damaged.
    """
    shown = f"{model_path.parent.name}/{model_path.name}"
    if not model_path.is_dir():
        raise ConfigError(
            f"model '{config.name}': unable to find '{shown}' for model instance '{instance_name}'; save the "
            "graph into that directory: oneflow.save(graph, directory)"
        )
    try:
        return read_graph(model_path)
    except ConfigError as error:
        raise ConfigError(f"model '{config.name}': {error}") from error


def describe_model(config: ModelConfig, graph: Graph, batch: Batch) -> ModelDescription:
    """The tensors as ``config`` may serve them; its names must follow the convention."""
    _check_names(config, "input", config.input, len(graph.inputs))
    _check_names(config, "output", config.output, len(graph.outputs))
    if config.batching and not batch.saved:
        raise ConfigError(
            f"model '{config.name}': max_batch_size is {config.max_batch_size}, but {graph.file} has no "
            f"batch dimension: {batch.reason}; write max_batch_size: 0 and give the full shapes as dims"
        )
    rows = batch.variable or config.batching
    return ModelDescription(
        _specs("input", graph.inputs, rows=rows), _specs("output", graph.outputs, rows=rows)
    )


def _check_names(
    config: ModelConfig, side: Side, tensors: Sequence[ModelInput | ModelOutput], count: int
) -> None:
    prefix = _PREFIXES[side]
    for tensor in tensors:
        where = f"model '{config.name}', {side} '{tensor.name}'"
        advice = f"the model has {count} {side}s; write {prefix}0" + (
            f" to {prefix}{count - 1}" if count > 1 else ""
        )
        if not tensor.name.startswith(prefix):
            raise ConfigError(f"{where}: {side} name should start with {prefix}; {advice}")
        index = tensor.name.removeprefix(prefix)
        if re.fullmatch(r"0|[1-9][0-9]{0,8}", index) is None:
            raise ConfigError(
                f"{where}: {side} name should follow naming convention: {prefix}<index>; {advice}"
            )
        if int(index) >= count:
            raise ConfigError(f"{where}: {_RANGES[side]}; {advice}")


def _specs(side: Side, ports: Sequence[Port], *, rows: bool) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            f"{_PREFIXES[side]}{index}",
            port.type.element.config_name,
            (-1, *port.type.shape[1:]) if rows else port.type.shape,
        )
        for index, port in enumerate(ports)
    )


def _saved_config(config: ModelConfig, graph: Graph) -> ModelConfig:
    """The configuration of the translated model, which takes the saved number of rows only."""
    return replace(
        config,
        max_batch_size=0,
        input=tuple(
            ModelInput(name=spec.name, data_type=spec.data_type, dims=spec.dims)
            for spec in _specs("input", graph.inputs, rows=False)
        ),
        output=tuple(
            ModelOutput(name=spec.name, data_type=spec.data_type, dims=spec.dims)
            for spec in _specs("output", graph.outputs, rows=False)
        ),
    )
