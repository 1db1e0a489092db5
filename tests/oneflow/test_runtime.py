"""Graphs run by OneFlow's own runtime in worker processes, against what eager OneFlow computed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("onnx", reason="onnx holds the translation")
pytest.importorskip("onnxruntime", reason="onnxruntime runs it")

from tests.harness.http import infer_binary, wait_until
from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import GOOD, ServerProcess, alive
from tests.oneflow.references import FIXED, assert_same, checked_request, network_names, references
from tests.unit.builders import Answers
from tritium.backends.oneflow import ENGINE_PARAMETER
from tritium.core.model import Model
from tritium.execution.launcher import Launcher
from tritium.repository.loader import LoadOptions, ModelLoader
from tritium.repository.peers import Peers
from tritium.repository.prepare import PrepareOptions
from tritium.repository.scan import scan_model

pytestmark = pytest.mark.slow

LIMIT_S = 60.0
USE_LIMIT_S = 300.0
# What cannot be rewritten for another batch size runs in parts; all others have a graph of each size.
IN_PARTS = {"attention", "attention_tied", "matrices", "norms", "shapes", "swin_tiny", "vit_tiny"}


def write_model(
    root: Path, name: str, saved: Path, *, engine: str = "oneflow", batch: int = 8, extra: str = ""
) -> Path:
    """A model of the repository ``root`` with a copy of a saved graph."""
    directory = root / name
    shutil.copytree(saved / "model", directory / "1" / "model")
    (directory / "config.pbtxt").write_text(
        f'backend: "oneflow"\nmax_batch_size: {batch}\n'
        f'parameters {{ key: "{ENGINE_PARAMETER}" value {{ string_value: "{engine}" }} }}\n{extra}'
    )
    return directory


async def with_model(directory: Path, use: Callable[[Model], Awaitable[None]]) -> None:
    """Load a model, use it, unload it."""
    launcher = Launcher()
    loader = ModelLoader(LoadOptions(PrepareOptions(), 100, 5.0), launcher, Peers())
    try:
        entry = scan_model(directory)
        (model,) = (await loader.load(entry, await loader.draft(entry), lambda _: None)).values()
        assert isinstance(model, Model), model
        try:
            await asyncio.wait_for(use(model), USE_LIMIT_S)
        finally:
            await model.scheduler.stop()
    finally:
        launcher.close()


async def answered(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """What ``model`` answers to one request."""
    done = asyncio.Event()
    answers = Answers()

    def on_response(response: Any, final: bool) -> None:
        answers(response, final)
        done.set()

    model.enqueue(checked_request(model, inputs, on_response), 0)
    await done.wait()
    assert not answers.errors, answers.errors
    return {tensor.name: tensor.array() for tensor in answers.responses[0].outputs}


@pytest.mark.parametrize("name", network_names("TINY", "NETWORKS", "UNCOVERED"))
def test_a_network_computes_what_eager_oneflow_computed(
    name: str, networks: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved = networks / name
    directory = write_model(tmp_path, name, saved, batch=0 if name == "scalars" else 8)

    async def compare(model: Model) -> None:
        for size, (inputs, expected) in references(saved).items():
            outputs = await answered(model, inputs)
            assert set(outputs) == set(expected)
            for key, array in expected.items():
                assert_same(outputs[key], array, f"{key} at batch {size}")

    asyncio.run(with_model(directory, compare))
    parts = any("batches run in parts of" in record.getMessage() for record in caplog.records)
    assert parts is (name in IN_PARTS) or name in FIXED


def test_automatic_is_the_runtime_where_a_graph_cannot_be_translated(networks: Path, tmp_path: Path) -> None:
    directory = write_model(tmp_path, "logarithm", networks / "logarithm", engine="auto")

    async def look(model: Model) -> None:
        inputs, expected = references(networks / "logarithm")[4]
        assert_same((await answered(model, inputs))["OUTPUT_0"], expected["OUTPUT_0"], "OUTPUT_0")
        assert workers(psutil.Process())

    asyncio.run(with_model(directory, look))


def workers(server: psutil.Process) -> list[psutil.Process]:
    """Worker processes that run OneFlow's interpreter."""
    return [child for child in server.children() if "tritium-oneflow" in " ".join(child.cmdline())]


def test_small_batches_are_run_together_and_large_ones_in_parts(networks: Path, tmp_path: Path) -> None:
    saved = networks / "resnet"
    small = 'parameters { key: "TRITIUM_ONEFLOW_MEMORY_MB" value { string_value: "1" } }\n'
    directory = write_model(tmp_path, "resnet", saved, extra=small + "dynamic_batching { }\n")
    inputs, expected = references(saved)[8]

    async def ask(model: Model) -> None:
        rows = [{"INPUT_0": inputs["INPUT_0"][index : index + 1]} for index in range(8)]
        results = await asyncio.gather(*(answered(model, row) for row in rows))
        joined = np.concatenate([result["OUTPUT_0"] for result in results])
        assert_same(joined, expected["OUTPUT_0"], "eight requests")
        assert_same((await answered(model, inputs))["OUTPUT_0"], expected["OUTPUT_0"], "one request")

    asyncio.run(with_model(directory, ask))


@pytest.fixture
def repository(tmp_path: Path, networks: Path) -> Path:
    """A repository with the python model ``echo``."""
    root = tmp_path / "repository"
    write_python_model(root, "echo", PLAIN)
    return root


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    servers: list[ServerProcess] = []

    def start(root: Path, *flags: str) -> ServerProcess:
        server = ServerProcess(root, *flags, log=tmp_path / "log")
        servers.append(server.__enter__())
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def asked(server: ServerProcess, model: str, inputs: dict[str, Any]) -> Any:
    """The first output of a request over HTTP, or the reply that says why not."""
    tensors = [(name, "FP32", array.shape, array.tobytes()) for name, array in inputs.items()]
    body, headers = infer_binary(tensors)
    reply = server.infer(model, body, headers)
    if reply.status != 200:
        return reply
    (output,) = reply.json["outputs"]
    return np.array(output["data"], np.float32).reshape(output["shape"])


StartServer = Callable[..., ServerProcess]


def test_two_instances_have_cores_of_their_own_and_a_killed_worker_comes_back(
    start_server: StartServer, repository: Path, networks: Path
) -> None:
    write_model(repository, "resnet", networks / "resnet", extra="instance_group { count: 2 kind: KIND_CPU }")
    inputs, expected = references(networks / "resnet")[4]
    server = start_server(repository)
    first, second = workers(psutil.Process(server.process.pid))
    if len(os.sched_getaffinity(0)) > 1:
        assert not set(first.cpu_affinity()) & set(second.cpu_affinity())
    for worker in (first, second):
        worker.send_signal(signal.SIGKILL)
        wait_until(lambda pid=worker.pid: not alive(pid), LIMIT_S, "the worker is gone")
    assert_same(asked(server, "resnet", inputs), expected["OUTPUT_0"], "after two kills")
    wait_until(lambda: server.ready("resnet"), LIMIT_S, "the model is ready again")
    assert server.metrics()['tritium_worker_restarts_total{model="resnet",reason="signal",version="1"}'] == 2
    server.assert_three_ok()


def test_a_worker_that_is_stopped_is_replaced(
    start_server: StartServer, repository: Path, networks: Path
) -> None:
    write_model(repository, "resnet", networks / "resnet")
    inputs, expected = references(networks / "resnet")[1]
    server = start_server(repository, "--worker-stopped-limit-secs", "0.5")
    (worker,) = workers(psutil.Process(server.process.pid))
    worker.send_signal(signal.SIGSTOP)
    wait_until(lambda: not alive(worker.pid), LIMIT_S, "the stopped worker is gone")
    wait_until(lambda: server.ready("resnet"), LIMIT_S, "the model is ready again")
    assert_same(asked(server, "resnet", inputs), expected["OUTPUT_0"], "after the replacement")
    server.assert_three_ok()


def test_a_batch_that_hangs_is_ended_by_the_watchdog(
    start_server: StartServer, repository: Path, networks: Path
) -> None:
    limit = 'parameters { key: "TRITIUM_EXECUTION_TIMEOUT_SECS" value { string_value: "0.05" } }\n'
    write_model(repository, "style", networks / "style_256x384", extra=limit, batch=1)
    inputs, _ = references(networks / "style_256x384")[1]
    server = start_server(repository)
    (worker,) = workers(psutil.Process(server.process.pid))
    reply = asked(server, "style", inputs)  # takes some tenths of a second, which stands for ever here
    assert reply.status in (500, 503, 504), reply.body
    assert "exceeded its limit of 0.05 s" in reply.error
    wait_until(lambda: not alive(worker.pid), LIMIT_S, "the worker is gone")
    wait_until(lambda: server.ready("style"), LIMIT_S, "the model is ready again")
    server.assert_three_ok()


def test_a_graph_that_ends_the_runtime_is_a_load_error_with_its_last_words(
    start_server: StartServer, repository: Path, networks: Path
) -> None:
    directory = write_model(repository, "logarithm", networks / "logarithm")
    text = (directory / "1" / "model" / "model.mlir").read_text()
    (directory / "1" / "model" / "model.mlir").write_text(text.replace("oneflow.log1p", "oneflow.nonsense"))
    server = start_server(repository, "--no-exit-on-error")
    wait_until(lambda: "nonsense" in server.output(), LIMIT_S, "the error is shown")
    assert "was not loaded" not in server.output()
    shown = server.output()
    assert 'exited with status 1 after it wrote: loc("model.mlir"' in shown, shown[-3000:]
    assert not server.ready("logarithm")
    assert server.infer("echo", GOOD).status == 200


def test_a_graph_saved_on_a_gpu_runs_on_the_cpu(networks: Path, tmp_path: Path) -> None:
    saved = networks / "resnet"
    directory = write_model(tmp_path, "resnet", saved)
    file = directory / "1" / "model" / "model.mlir"
    text = file.read_text()
    file.write_text(text.replace('device_tag = "cpu"', 'device_tag = "cuda"'))
    assert file.read_text() != text

    async def compare(model: Model) -> None:
        inputs, expected = references(saved)[2]
        assert_same((await answered(model, inputs))["OUTPUT_0"], expected["OUTPUT_0"], "OUTPUT_0")

    asyncio.run(with_model(directory, compare))
