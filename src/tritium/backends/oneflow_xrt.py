"""Parameter ``xrt`` of the oneflow backend: what runs a translated graph.

Without it ONNX Runtime does, on the CPU; ``openvino`` is OpenVINO on the CPU, ``tensorrt`` ONNX Runtime's
TensorRT provider on a GPU.
"""

from __future__ import annotations

from importlib.util import find_spec

from tritium.backends import onnxruntime, openvino
from tritium.backends.api import InstanceContext, TensorModel
from tritium.core.model_config import ModelConfig
from tritium.errors import ConfigError, UnsupportedError

XRT_PARAMETER = "xrt"
OPENVINO, TENSORRT = "openvino", "tensorrt"
# The engines beside which each may be asked for; ``auto`` is to leave the parameter ``engine`` out.
_ENGINES = {OPENVINO: ("auto",), TENSORRT: ("auto", "onnxruntime")}
_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")


def check_xrt(config: ModelConfig, engine: str) -> None:
    """Whether the parameter has a value that can be served here.

    Args:
        engine: the value of the parameter ``engine``.

    Raises:
        ConfigError: it has not; the text says what to write.
        UnsupportedError: a package is missing.
    """
    value = _value(config)
    if not value:
        return
    where = f"model '{config.name}': parameter '{XRT_PARAMETER}' is '{value}'"
    if value not in _ENGINES:
        raise ConfigError(
            f"{where} but must be one of {', '.join(_ENGINES)}; write "
            f'parameters {{ key: "{XRT_PARAMETER}" value {{ string_value: "{OPENVINO}" }} }}, or leave it out'
        )
    if engine not in _ENGINES[value]:
        raise ConfigError(f"{where}, which is not for engine '{engine}'; remove one of the two parameters")
    if value == OPENVINO and not openvino.is_installed():
        raise UnsupportedError(
            f"{where}, which needs the package openvino; install it: "
            "pip install 'tritium-server[openvino]', or remove the parameter"
        )
    if value == TENSORRT:
        _check_tensorrt(where)


def packages_for(config: ModelConfig) -> tuple[str, ...]:
    """The packages that run a translated graph, but for those that ``check_xrt`` looks for."""
    return ("onnx",) if _value(config) == OPENVINO else ("onnx", "onnxruntime")


def open_translated(context: InstanceContext, content: bytes, file: str) -> TensorModel:
    """An instance for a translated graph, on what the configuration, already checked, asks for.

    Args:
        content: the ONNX model.
        file: what error texts call it.

    Raises:
        TritiumError: it refuses the model.
    """
    value = _value(context.config)
    if value == OPENVINO:
        return openvino.open_content(context, content, file)
    if value == TENSORRT:
        return onnxruntime.open_content(context, content, file, providers=_PROVIDERS)
    return onnxruntime.open_content(context, content, file)


def _value(config: ModelConfig) -> str:
    parameter = config.parameters.get(XRT_PARAMETER)
    return "" if parameter is None else parameter.string_value or "(empty)"


def _check_tensorrt(where: str) -> None:
    if find_spec("onnxruntime") is None:
        return  # said with the other packages
    available = onnxruntime.available_providers()
    if _PROVIDERS[0] not in available:
        raise ConfigError(
            f"{where}, which needs onnxruntime's {_PROVIDERS[0]}, but this onnxruntime has only "
            f"{', '.join(available)}; install onnxruntime-gpu and TensorRT on a machine with an NVIDIA GPU, "
            f'write "{OPENVINO}", or remove the parameter'
        )
