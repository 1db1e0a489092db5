"""What a ``model.py`` imports as ``pb_utils``: Triton's python API, in the names that tritium has."""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, Optional

import numpy as np

from tritium_worker.byte_strings import deserialize_bytes_tensor, serialize_byte_tensor
from tritium_worker.dtypes import (
    TRITON_STRING_TO_NUMPY,
    numpy_to_triton_type,
    triton_string_to_numpy,
    triton_to_numpy_type,
)
from tritium_worker.errors import TritonError, TritonModelException
from tritium_worker.logger import Logger
from tritium_worker.metrics import Metric, MetricFamily
from tritium_worker.model_config import ModelConfig
from tritium_worker.models import is_model_ready, load_model, unload_model
from tritium_worker.process import PROCESS
from tritium_worker.request import RELEASE_ALL, RELEASE_RESCHEDULE, InferenceRequest, PreferredMemory
from tritium_worker.response import InferenceResponse
from tritium_worker.sender import FINAL
from tritium_worker.tensor import Tensor

__all__ = [
    "TRITONSERVER_MEMORY_CPU",
    "TRITONSERVER_MEMORY_GPU",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_END",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_START",
    "TRITONSERVER_REQUEST_RELEASE_ALL",
    "TRITONSERVER_REQUEST_RELEASE_RESCHEDULE",
    "TRITONSERVER_RESPONSE_COMPLETE_FINAL",
    "TRITON_STRING_TO_NUMPY",
    "InferenceRequest",
    "InferenceResponse",
    "Logger",
    "Metric",
    "MetricFamily",
    "ModelConfig",
    "PreferredMemory",
    "Tensor",
    "TritonError",
    "TritonModelException",
    "deserialize_bytes_tensor",
    "get_input_config_by_name",
    "get_input_tensor_by_name",
    "get_model_dir",
    "get_output_config_by_name",
    "get_output_tensor_by_name",
    "is_model_ready",
    "json",
    "load_model",
    "np",
    "numpy_to_triton_type",
    "serialize_byte_tensor",
    "struct",
    "triton_string_to_numpy",
    "triton_to_numpy_type",
    "unload_model",
    "using_decoupled_model_transaction_policy",
]

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_REQUEST_RELEASE_ALL = RELEASE_ALL
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = RELEASE_RESCHEDULE
TRITONSERVER_RESPONSE_COMPLETE_FINAL = FINAL
TRITONSERVER_MEMORY_CPU = 0
TRITONSERVER_MEMORY_GPU = 1


def get_input_tensor_by_name(inference_request: InferenceRequest, name: str) -> Optional[Tensor]:
    """The input called ``name``; None where the client left out an optional one."""
    for tensor in inference_request.inputs():
        if tensor.name() == name:
            return tensor
    return None


def get_output_tensor_by_name(inference_response: InferenceResponse, name: str) -> Optional[Tensor]:
    """The output called ``name``, None if there is none."""
    for tensor in inference_response.output_tensors():
        if tensor.name() == name:
            return tensor
    return None


def get_input_config_by_name(model_config: Dict[str, Any], name: str) -> Optional[Dict[str, Any]]:
    """The configuration of the input called ``name``, None if there is none."""
    return _config_by_name(model_config, "input", name)


def get_output_config_by_name(model_config: Dict[str, Any], name: str) -> Optional[Dict[str, Any]]:
    """The configuration of the output called ``name``, None if there is none."""
    return _config_by_name(model_config, "output", name)


def _config_by_name(model_config: Dict[str, Any], kind: str, name: str) -> Optional[Dict[str, Any]]:
    for properties in model_config.get(kind, ()):
        if properties["name"] == name:
            found: Dict[str, Any] = properties
            return found
    return None


def using_decoupled_model_transaction_policy(model_config: Dict[str, Any]) -> bool:
    """Whether the configuration lets a request have any number of responses."""
    return bool(model_config.get("model_transaction_policy", {}).get("decoupled", False))


def get_model_dir() -> str:
    """The version directory of the model in this process.

    Raises:
        TritonModelException: no model is loaded.
    """
    if PROCESS.version_dir is None:
        raise TritonModelException("get_model_dir: no model is loaded in this process.")
    return PROCESS.version_dir
