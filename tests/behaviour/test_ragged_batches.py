"""Requests of different shapes in one batch: what the model sees and what each client gets back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from tests.harness.http import infer_json
from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import ServerProcess

CONFIG = """
backend: "onnxruntime"
max_batch_size: 4
input { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] allow_ragged_batch: true }
output { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "ENDS" data_type: TYPE_FP32 dims: [ 1 ] }
batch_input {
  kind: BATCH_ACCUMULATED_ELEMENT_COUNT target_name: "ENDS_OF_IN" data_type: TYPE_FP32 source_input: "IN"
}
batch_output { target_name: "OUT" kind: BATCH_SCATTER_WITH_INPUT_SHAPE source_input: "IN" }
dynamic_batching { preferred_batch_size: 3 max_queue_delay_microseconds: 20000000 }
instance_group { count: 1 }
"""
COUNTING = """
class TritonPythonModel:
    def execute(self, requests):
        return [answer(np.full(values(r).shape, len(requests), np.float32)) for r in requests]
"""


def write_ragged_model(repository: Path) -> None:
    """OUT is twice IN, all elements of the batch in one dimension; ENDS is what batch_input told."""
    import onnx
    from onnx import TensorProto, helper

    def info(name: str, *shape: str | int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("Add", ["IN", "IN"], ["OUT"]),
        helper.make_node("Unsqueeze", ["ENDS_OF_IN", "axes"], ["ENDS"]),
    ]
    inputs = [info("IN", "n"), info("ENDS_OF_IN", "requests")]
    outputs = [info("OUT", "n"), info("ENDS", "requests", 1)]
    graph = helper.make_graph(nodes, "ragged", inputs, outputs, [axes])
    (repository / "ragged" / "1").mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(repository / "ragged" / "1" / "model.onnx"))
    (repository / "ragged" / "config.pbtxt").write_text(CONFIG)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("ragged")
    models = root / "models"
    write_python_model(models, "echo", PLAIN)
    write_ragged_model(models)
    batching = "dynamic_batching { preferred_batch_size: 3 max_queue_delay_microseconds: 20000000 }"
    write_python_model(models, "python", COUNTING, max_batch_size=4, extra=batching)
    config = models / "python" / "config.pbtxt"
    config.write_text(config.read_text().replace("dims: [-1] }", "dims: [-1] allow_ragged_batch: true }", 1))
    with ServerProcess(models, log=root / "log") as running:
        yield running
        running.assert_three_ok()


def ask(api: Any, address: str, model: str, length: int, outputs: list[str]) -> list[np.ndarray[Any, Any]]:
    data = np.full((1, length), length, np.float32)
    tensor = api.InferInput("IN", data.shape, "FP32")
    tensor.set_data_from_numpy(data)
    with api.InferenceServerClient(address) as client:
        result = client.infer(model, [tensor])
    return [result.as_numpy(name) for name in outputs]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_requests_of_different_lengths_run_together(server: ServerProcess, protocol: str) -> None:
    api: Any = {"http": tritonclient.http, "grpc": tritonclient.grpc}[protocol]
    address = f"127.0.0.1:{server.http_port if protocol == 'http' else server.grpc_port}"
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda length: ask(api, address, "ragged", length, ["OUT", "ENDS"]), (1, 2, 5)))
    for length, (doubled, _) in zip((1, 2, 5), found, strict=True):
        assert doubled.tolist() == [[2.0 * length] * length]
    assert max(ends.item() for _, ends in found) == 8


def test_a_python_model_is_given_them_as_requests(server: ServerProcess) -> None:
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda n: server.infer("python", infer_json([0.0] * n)), (1, 2, 3)))
    assert [reply.json["outputs"][0]["data"] for reply in replies] == [[3.0] * n for n in (1, 2, 3)]
