"""ONNX models in memory on OpenVINO's CPU device, a compiled model and a request for each instance.

OpenVINO computes 64-bit integers with 32 bits: integers of a request that do not fit are refused.
"""

# openvino re-exports names of its extension module, which pyright cannot look into.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, cast

import numpy as np

from tritium.backends.api import Arrays, InstanceContext
from tritium.backends.onnxruntime_settings import threads_elsewhere
from tritium.backends.scalars import scalar_names
from tritium.core.model_config import ModelConfig, ModelInput
from tritium.core.tensor import Array
from tritium.errors import ConfigError, InvalidArgumentError, ModelExecutionError

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, InferRequest, Model, Output

_INT32 = np.iinfo(np.int32)
# They follow an index that is out of range, and may end the process.
_UNCHECKED = ("GatherND", "GatherElements")


class OpenVinoModel:
    """One compiled model. Outputs are copied out of the request, which the next run overwrites."""

    def __init__(self, context: InstanceContext, compiled: CompiledModel) -> None:
        config = context.config
        self._request: InferRequest | None = compiled.create_infer_request()
        inputs = {name for port in compiled.inputs if not len(port.partial_shape) for name in port.names}
        outputs = {name for port in compiled.outputs if not len(port.partial_shape) for name in port.names}
        self._scalar_inputs = scalar_names(config, config.input, inputs)
        self._scalar_outputs = scalar_names(config, config.output, outputs)

    def run(self, inputs: Arrays, output_names: Sequence[str]) -> Arrays:
        """One run. Outputs are new arrays that the caller owns.

        Raises:
            InvalidArgumentError: an INT64 element does not fit into 32 bits.
            ModelExecutionError: OpenVINO refused or failed; the text is its own.
        """
        request = self._request
        if request is None:
            raise ModelExecutionError("the model is closed")
        feed = {name: self._encode(name, array) for name, array in inputs.items()}
        try:
            request.infer(feed)
        except Exception as error:
            raise ModelExecutionError(_one_line(error)) from error
        return {name: self._decode(name, np.array(request.get_tensor(name).data)) for name in output_names}

    def close(self) -> None:
        """Free the request; the compiled model and its memory go with it."""
        self._request = None

    def _encode(self, name: str, array: Array) -> Array:
        if name in self._scalar_inputs and array.shape == (1,):
            array = array.reshape(())
        if array.dtype == np.int64 and array.size:
            _check_range(name, int(array.min()), int(array.max()))
        return array

    def _decode(self, name: str, array: Array) -> Array:
        return array.reshape((1,)) if name in self._scalar_outputs and array.ndim == 0 else array


def is_installed() -> bool:
    """Whether the package is there."""
    return find_spec("openvino") is not None


def open_content(context: InstanceContext, content: bytes, file: str) -> OpenVinoModel:
    """Compile an ONNX model in memory for the instance's share of the cores.

    Args:
        file: what error texts call the model.

    Raises:
        ConfigError: OpenVINO refuses the model, or a parameter is not for it.
    """
    config = context.config
    threads = threads_elsewhere(config, context.intra_op_threads, "OpenVINO")
    try:
        core = _core()
        model = core.read_model(content)
        _check_operations(config, model, file)
        ranked = {name for port in model.inputs if len(port.partial_shape) for name in port.names}
        model.reshape({port.name: _shape(config, port) for port in config.input if port.name in ranked})
        compiled = core.compile_model(model, "CPU", _properties(threads))
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"model '{config.name}': OpenVINO cannot compile {file}: {_one_line(error)}; remove the "
            "parameter xrt, so that ONNX Runtime runs it"
        ) from error
    return OpenVinoModel(context, compiled)


def _core() -> Core:
    """OpenVINO, imported without the package by which it reports each import to its makers."""
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules.setdefault("openvino_telemetry", None)  # None: an import of it fails
    try:
        from openvino import Core
    finally:
        if modules.get("openvino_telemetry") is None:
            modules.pop("openvino_telemetry", None)
    return Core()


def _check_operations(config: ModelConfig, model: Model, file: str) -> None:
    """Refuse what OpenVINO 2026.4 runs wrongly or not safely; found by experiment."""
    operations = model.get_ops()
    reason = ""
    if any(port.get_element_type().get_type_name() == "f64" for op in operations for port in op.outputs()):
        reason = "computes in FP64, where OpenVINO's results are wrong"
    elif any(op.get_type_name() in _UNCHECKED and _depends_on_input(op.input_value(1)) for op in operations):
        reason = "has gathers by indices of the request, which OpenVINO does not hold to their range"
    if reason:
        raise ConfigError(
            f"model '{config.name}': {file} {reason}; remove the parameter xrt, so that ONNX Runtime runs it"
        )


def _depends_on_input(output: Output) -> bool:
    waiting, seen = [output.get_node()], set[str]()
    while waiting:
        node = waiting.pop()
        if node.get_type_name() == "Parameter":
            return True
        if node.get_name() not in seen:
            seen.add(node.get_name())
            waiting += [value.get_node() for value in node.input_values()]
    return False


def _shape(config: ModelConfig, port: ModelInput) -> list[int | tuple[int, int]]:
    """The shapes that the configuration allows, as narrow as it is; a pair is a range."""
    dims = port.dims if port.reshape is None else port.reshape.shape
    rows = [1 if config.max_batch_size == 1 else (1, config.max_batch_size)] if config.batching else []
    return [*rows, *dims]


def _properties(threads: int) -> dict[str, str | int | bool]:
    return {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # each instance would pin its threads to the same cores
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the processor has it
    }


def _check_range(name: str, least: int, most: int) -> None:
    for value in (least, most):
        if not _INT32.min <= value <= _INT32.max:
            raise InvalidArgumentError(
                f"input '{name}': it holds {value}, and OpenVINO computes with integers from {_INT32.min} to "
                f"{_INT32.max}; send smaller ones, or have the model served without the parameter xrt"
            )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
