from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import triton_python_backend_utils as pb_utils
from tritium_worker.process import PROCESS
from tritium_worker.request import InferenceRequest

TRITONSERVER_NAMES = [
    "TRITONSERVER_MEMORY_CPU",
    "TRITONSERVER_MEMORY_GPU",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_START",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_END",
    "TRITONSERVER_REQUEST_RELEASE_ALL",
    "TRITONSERVER_REQUEST_RELEASE_RESCHEDULE",
    "TRITONSERVER_RESPONSE_COMPLETE_FINAL",
]
CLASSES = [
    "InferenceRequest",
    "InferenceResponse",
    "Logger",
    "MetricFamily",
    "ModelConfig",
    "PreferredMemory",
    "Tensor",
    "TritonError",
    "TritonModelException",
]
FUNCTIONS = [
    "deserialize_bytes_tensor",
    "serialize_byte_tensor",
    "get_input_config_by_name",
    "get_output_config_by_name",
    "get_input_tensor_by_name",
    "get_output_tensor_by_name",
    "get_model_dir",
    "is_model_ready",
    "load_model",
    "unload_model",
    "numpy_to_triton_type",
    "triton_string_to_numpy",
    "triton_to_numpy_type",
    "using_decoupled_model_transaction_policy",
]
NAMES_OF_RELEASE_24_10 = [
    *TRITONSERVER_NAMES,
    *CLASSES,
    *FUNCTIONS,
    "TRITON_STRING_TO_NUMPY",
    "json",
    "np",
    "struct",
]


@pytest.mark.parametrize("name", NAMES_OF_RELEASE_24_10)
def test_has_every_name_of_tritons_module(name: str) -> None:
    assert hasattr(pb_utils, name)
    assert name in pb_utils.__all__


def test_constants_have_tritons_values() -> None:
    assert pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START == 1
    assert pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END == 2
    assert pb_utils.TRITONSERVER_REQUEST_RELEASE_ALL == 1
    assert pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE == 2
    assert pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL == 1


def test_hands_on_the_modules_that_models_take_from_it() -> None:
    assert (pb_utils.json, pb_utils.np, pb_utils.struct) == (json, np, struct)


def test_finds_tensors_by_name() -> None:
    tensors = [pb_utils.Tensor(name, np.zeros(1)) for name in "AB"]
    request = InferenceRequest._received(tensors, [], b"", None)
    response = pb_utils.InferenceResponse(tensors)
    assert pb_utils.get_input_tensor_by_name(request, "B") is tensors[1]
    assert pb_utils.get_output_tensor_by_name(response, "A") is tensors[0]
    assert pb_utils.get_input_tensor_by_name(request, "C") is None
    assert pb_utils.get_output_tensor_by_name(response, "C") is None


def test_finds_configurations_by_name() -> None:
    config = {"input": [{"name": "A"}], "output": [{"name": "B"}]}
    assert pb_utils.get_input_config_by_name(config, "A") == {"name": "A"}
    assert pb_utils.get_output_config_by_name(config, "B") == {"name": "B"}
    assert pb_utils.get_input_config_by_name(config, "B") is None
    assert pb_utils.get_output_config_by_name({}, "B") is None


@pytest.mark.parametrize(
    ("config", "decoupled"),
    [
        ({}, False),
        ({"model_transaction_policy": {}}, False),
        ({"model_transaction_policy": {"decoupled": True}}, True),
    ],
)
def test_tells_decoupled_models(config: dict[str, Any], decoupled: bool) -> None:
    assert pb_utils.using_decoupled_model_transaction_policy(config) is decoupled


def test_there_is_no_model_directory_before_a_model() -> None:
    PROCESS.version_dir = None
    with pytest.raises(pb_utils.TritonModelException, match="no model is loaded in this process"):
        pb_utils.get_model_dir()


@pytest.mark.parametrize(
    "use",
    [
        lambda: pb_utils.MetricFamily(name="n", description="d", kind=pb_utils.MetricFamily.GAUGE),
        lambda: pb_utils.load_model(model_name="x"),
        lambda: pb_utils.unload_model(model_name="x"),
        lambda: pb_utils.is_model_ready("x"),
    ],
)
def test_without_a_server_nothing_can_be_asked_of_it(use: Callable[[], Any]) -> None:
    with pytest.raises(pb_utils.TritonModelException, match="there is no server to ask"):
        use()


@pytest.mark.parametrize("arguments", [(7,), (0, "gpu0")])
def test_an_unknown_preferred_memory_is_refused(arguments: tuple[Any, ...]) -> None:
    assert pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_GPU, 0).preferred_memory_type == 1
    with pytest.raises(TypeError, match="expected TRITONSERVER_MEMORY_CPU"):
        pb_utils.PreferredMemory(*arguments)


def test_every_metric_kind_has_a_constant() -> None:
    kinds = {pb_utils.MetricFamily.COUNTER, pb_utils.MetricFamily.GAUGE, pb_utils.MetricFamily.HISTOGRAM}
    assert len(kinds) == 3
