"""Graphs saved by the real OneFlow, translated and served, against what eager OneFlow computed.

The small ones in ``saved/`` are kept in the repository. All networks of ``networks.py`` are saved anew and
compared where TRITIUM_ONEFLOW_TESTS=1 is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx holds the translation")
pytest.importorskip("onnxruntime", reason="onnxruntime runs it")

from tests.oneflow.references import FIXED, assert_same, enqueue, network_names
from tests.unit.builders import Answers
from tritium.backends import openvino
from tritium.backends.api import InstanceContext
from tritium.backends.oneflow import OneFlowBackend
from tritium.config.autocomplete import can_batch, merge
from tritium.core.model_config import ModelConfig, ModelParameter
from tritium.core.tensor import Array
from tritium.execution.launcher import Launcher
from tritium.export.oneflow import to_onnx
from tritium.oneflow.batch import find_batch
from tritium.oneflow.reader import read_graph
from tritium.repository.loader import LoadOptions, ModelLoader
from tritium.repository.manager import ModelRepositoryManager
from tritium.repository.peers import Peers
from tritium.repository.prepare import PrepareOptions
from tritium.server import InferenceServer

SAVED = Path(__file__).parent / "saved"
FIXTURES = sorted(path.name for path in SAVED.iterdir() if path.is_dir())
# Computed in FP64, as variances are, or gathering by indices of the request.
NOT_BY_OPENVINO = {"types", "casts", "reductions", "choices"}
BY_OPENVINO = {"xrt": ModelParameter("openvino")}


@pytest.mark.parametrize("name", FIXTURES)
def test_a_kept_graph_computes_what_eager_oneflow_computed(name: str, tmp_path: Path) -> None:
    compare(SAVED / name, tmp_path, variable=name not in FIXED)


@pytest.mark.slow
@pytest.mark.parametrize("name", network_names("TINY", "NETWORKS"))
def test_a_network_computes_what_eager_oneflow_computed(name: str, networks: Path, tmp_path: Path) -> None:
    compare(networks / name, tmp_path, variable=name not in FIXED)


@pytest.mark.parametrize("name", [name for name in FIXTURES if name not in NOT_BY_OPENVINO])
def test_a_kept_graph_computes_the_same_by_openvino(name: str, tmp_path: Path) -> None:
    if not openvino.is_installed():
        pytest.skip('OpenVINO is in the extra "openvino"')
    compare(SAVED / name, tmp_path, variable=name not in FIXED, parameters=BY_OPENVINO, slack=10)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in network_names() if name not in NOT_BY_OPENVINO])
def test_a_network_computes_the_same_by_openvino(name: str, networks: Path, tmp_path: Path) -> None:
    if not openvino.is_installed():
        pytest.skip('OpenVINO is in the extra "openvino"')
    compare(networks / name, tmp_path, variable=name not in FIXED, parameters=BY_OPENVINO, slack=10)


def compare(
    saved: Path,
    directory: Path,
    *,
    variable: bool,
    parameters: Mapping[str, ModelParameter] | None = None,
    slack: int = 1,
) -> None:
    """Serve ``saved`` by the backend and compare it at each batch size of its reference."""
    (directory / "1").mkdir()
    (directory / "1" / "model").symlink_to(saved / "model")
    graph = read_graph(saved / "model")
    batch = find_batch(graph)
    assert batch.variable is variable, batch.reason
    backend = OneFlowBackend()
    config = ModelConfig(
        name="m",
        backend="oneflow",
        default_model_filename="model",
        max_batch_size=8 if batch.saved else 0,
        parameters=parameters or {},
    )
    described = backend.describe(config, directory / "1" / "model")
    tensors = (*described.inputs, *described.outputs)
    config = merge(
        config, described.inputs, described.outputs, can_batch(tensors), default_max_batch_size=4
    ).config
    model = backend.open(InstanceContext(config, directory, 1, "m_0", 1))
    with np.load(saved / "reference.npz") as reference:
        for size in sorted({int(key.partition("/")[0]) for key in reference.files}):
            inputs = {f"INPUT_{i}": reference[f"{size}/input/{i}"] for i in range(len(graph.inputs))}
            names = [f"OUTPUT_{i}" for i in range(len(graph.outputs))]
            outputs = model.run(inputs, names)
            for index, name in enumerate(names):
                assert_same(
                    outputs[name], reference[f"{size}/output/{index}"], f"{name} at batch {size}", slack
                )
    model.close()


def test_the_exported_model_stands_alone_and_says_whether_its_batch_may_vary() -> None:
    import onnx
    from onnxruntime import InferenceSession

    for name in FIXTURES:
        model = to_onnx(SAVED / name / "model")
        onnx.checker.check_model(model, full_check=True)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        assert (metadata["tritium.batch"] == "variable") == (name not in FIXED)
    session = InferenceSession(
        to_onnx(str(SAVED / "many_tensors" / "model")).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    assert [(i.name, i.shape) for i in session.get_inputs()] == [
        (f"INPUT_{i}", ["batch", 4]) for i in range(3)
    ]


def repository(directory: Path, configs: Mapping[str, str]) -> Path:
    """A model repository with the kept graphs of these names; an empty text writes no config.pbtxt."""
    for name, text in configs.items():
        (directory / name / "1").mkdir(parents=True)
        (directory / name / "1" / "model").symlink_to(SAVED / name / "model")
        if text:
            (directory / name / "config.pbtxt").write_text(text)
    return directory


async def serve(
    root: Path, requests: Mapping[str, list[dict[str, Array]]]
) -> dict[str, list[dict[str, Any]]]:
    """Load ``root`` into an InferenceServer and answer ``requests``, all of a model at once."""
    launcher = Launcher()
    loader = ModelLoader(LoadOptions(PrepareOptions(), 100, 5.0), launcher, Peers())
    manager = ModelRepositoryManager([root], loader, config_name=None, load_threads=2)
    server = InferenceServer(manager, server_id="triton", strict_readiness=True)
    answered: dict[str, list[dict[str, Any]]] = {}
    try:
        await manager.load_all()
        server.open()
        assert server.ready, [v.reason for v in manager.versions()]
        for name, all_inputs in requests.items():
            answers = [Answers() for _ in all_inputs]
            for inputs, answer in zip(all_inputs, answers, strict=True):
                enqueue(server, name, inputs, answer)
            await manager.get(name, None).scheduler.stop()
            assert [answer.errors for answer in answers] == [[]] * len(answers)
            answered[name] = [{t.name: t.array() for t in answer.responses[0].outputs} for answer in answers]
    finally:
        await manager.stop()
        launcher.close()
    return answered


def reference_inputs(name: str, size: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """The inputs of a kept graph by name, and the outputs that OneFlow computed."""
    with np.load(SAVED / name / "reference.npz") as reference:
        sides = [
            {
                f"{side.upper()}_{key.rpartition('/')[2]}": reference[key]
                for key in reference.files
                if key.startswith(f"{size}/{side}/")
            }
            for side in ("input", "output")
        ]
    return sides[0], sides[1]


def test_saved_graphs_are_served_with_and_without_a_configuration(tmp_path: Path) -> None:
    given = (
        'backend: "oneflow" max_batch_size: 3 '
        'input { name: "INPUT_0" data_type: TYPE_FP32 dims: [ 3 ] } '
        'output { name: "OUTPUT_0" data_type: TYPE_FP32 dims: [ 3 ] }'
    )
    configs = {"classifier": "", "many_tensors": "", "attention": "", "types": "", "batch_mixing": given}
    root = repository(tmp_path, configs)
    sizes = {name: 2 if name == "batch_mixing" else 4 for name in configs}
    pairs = {name: reference_inputs(name, size) for name, size in sizes.items()}
    requests = {name: [inputs, inputs] for name, (inputs, _) in pairs.items()}
    answered = asyncio.run(serve(root, requests))
    for name, (_, expected) in pairs.items():
        for outputs in answered[name]:
            assert set(outputs) == set(expected)
            for key, array in expected.items():
                assert_same(outputs[key], array, f"{name} {key}")


def test_several_instances_are_served_by_openvino(tmp_path: Path) -> None:
    if not openvino.is_installed():
        pytest.skip('OpenVINO is in the extra "openvino"')
    given = 'backend: "oneflow" parameters { key: "xrt" value { string_value: "openvino" } } '
    given += "instance_group { count: 2 }"
    root = repository(tmp_path, {"attention": given})
    inputs, expected = reference_inputs("attention", 4)
    for outputs in asyncio.run(serve(root, {"attention": [inputs] * 6}))["attention"]:
        for key, array in expected.items():
            assert_same(outputs[key], array, key)


def test_a_graph_that_mixes_rows_runs_in_parts_of_its_saved_batch(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "model").symlink_to(SAVED / "batch_mixing" / "model")
    backend = OneFlowBackend()
    config = ModelConfig(name="m", default_model_filename="model", max_batch_size=8)
    described = backend.describe(config, tmp_path / "1" / "model")
    full = merge(config, described.inputs, described.outputs, True, default_max_batch_size=4).config
    model = backend.open(InstanceContext(full, tmp_path, 1, "m_0", 1))
    rows = np.arange(15, dtype=np.float32).reshape(5, 3)
    result = model.run({"INPUT_0": rows}, ["OUTPUT_0"])["OUTPUT_0"]
    # Parts of two rows lose their mean; the fifth row meets a row of zeros.
    assert result.tolist() == [[-1.5] * 3, [1.5] * 3, [-1.5] * 3, [1.5] * 3, [6.0, 6.5, 7.0]]
