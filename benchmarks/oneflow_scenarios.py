"""What is measured of OneFlow graphs: translated against OneFlow's own runtime, and that by itself."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import servers
from benchmarks.comparison import Bar, Row, compared, measured
from benchmarks.load import Window, repeat_window, summarise
from benchmarks.oneflow_models import runtime, saved_network, saved_style, write_resnet
from benchmarks.reference import UnavailableError, reason_in
from benchmarks.scenarios import Bench, Scenario, turns
from benchmarks.sockets import infer_request, socket_window
from tritium.backends.api import InstanceContext, TensorModel
from tritium.backends.oneflow import OneFlowBackend
from tritium.config.autocomplete import merge
from tritium.core.model_config import ModelConfig
from tritium.core.tensor import Array
from tritium.execution.cores import available_cores
from tritium.execution.launcher import WORKER_ROOT
from tritium.oneflow.reader import read_graph

_TIMING = Path(__file__).with_name("oneflow_timing.py")
_CLIENTS = 4


def style(bench: Bench) -> list[Row]:
    """The example's style network at 256x384, batch 1, on all cores."""
    return _engines(bench, "style network, 256x384", saved_style(bench.workspace), 8.0, 0.5)


def resnet18(bench: Bench) -> list[Row]:
    """flowvision's resnet18 at 224x224, batch 1, on all cores."""
    return _engines(bench, "resnet18, 224x224", _version(bench, saved_network("resnet18")), 2.0, 2.0)


def instances(bench: Bench) -> list[Row]:
    """A small ResNet on OneFlow's own runtime, by one worker and by two, at four clients over HTTP."""
    two, one = bench.repository("two"), bench.repository("one")
    inputs, expected = write_resnet(two, "resnet", 2)
    write_resnet(one, "resnet", 1)
    request = infer_request("resnet", {"INPUT_0": inputs[:1]}, expected[:1].nbytes)
    with servers.tritium(two) as ours, servers.tritium(one) as theirs:

        def window(server: servers.Server) -> Window:
            return socket_window(server, request, concurrency=_CLIENTS, seconds=bench.seconds)

        mine, other = turns(bench, lambda: window(ours), lambda: window(theirs))
    what = f"small ResNet, OneFlow's own runtime, c={_CLIENTS}: throughput of two instances against one"
    per_second = [w.per_second for w in mine], [w.per_second for w in other]
    return [compared(what, *per_second, "/s", Bar(1.6, "x"))]


ONEFLOW_SCENARIOS: Mapping[str, Scenario] = {
    "oneflow_style": style,
    "oneflow_resnet18": resnet18,
    "oneflow_instances": instances,
}


def _engines(bench: Bench, name: str, graph: Path, faster: float, load_s: float) -> list[Row]:
    loads = [_opened(graph)[1] for _ in range(bench.rounds)]
    model = _opened(graph)[0]
    inputs = {
        f"INPUT_{index}": np.random.default_rng(0).random(port.type.shape, dtype=np.float32)
        for index, port in enumerate(read_graph(graph).inputs)
    }

    def ours() -> Window:
        return repeat_window([lambda: _run(model, inputs)], seconds=bench.seconds)

    mine, other = turns(bench, ours, lambda: _own_window(graph, bench.seconds))
    model.close()
    what = f"{name}, batch 1: translated against OneFlow's own runtime"
    rate = compared(what, [w.per_second for w in mine], [w.per_second for w in other], "/s", Bar(faster, "x"))
    p50_ms = [sum(w.p50_us for w in side) / len(side) / 1000 for side in (mine, other)]
    return [
        replace(rate, note=f"median latency {p50_ms[0]:.1f} ms against {p50_ms[1]:.1f} ms"),
        measured(f"{name}: read, translate, load", loads, Bar(load_s, "s", at_most=True)),
    ]


def _version(bench: Bench, saved: Path) -> Path:
    """A saved graph at the place that it has in a repository."""
    version = bench.repository(saved.name) / "1"
    version.mkdir()
    (version / "model").symlink_to(saved / "model")
    return version / "model"


def _run(model: TensorModel, inputs: Mapping[str, Array]) -> None:
    model.run(inputs, ["OUTPUT_0"])


def _opened(graph: Path) -> tuple[TensorModel, float]:
    """The graph as the server opens it for one instance, and the seconds that took."""
    backend = OneFlowBackend()
    config = ModelConfig(name="m", backend="oneflow", default_model_filename=graph.name)
    began = time.perf_counter()
    description = backend.describe(config, graph)
    config = merge(config, description.inputs, description.outputs, True, default_max_batch_size=4).config
    context = InstanceContext(config, graph.parents[1], int(graph.parent.name), "m_0", available_cores())
    model = backend.open(context)
    return model, time.perf_counter() - began


def _own_window(graph: Path, seconds: float) -> Window:
    environment = runtime()
    saved = read_graph(graph)
    names = [",".join(port.name for port in ports) for ports in (saved.inputs, saved.outputs)]
    argv = [environment.python, _TIMING, WORKER_ROOT, environment.site_packages, graph, *names, seconds]
    done = subprocess.run(
        list(map(str, argv)), capture_output=True, text=True, timeout=seconds + 120, check=False
    )
    if done.returncode:
        raise UnavailableError(f"OneFlow failed on {graph.parent.name}: {reason_in(done.stderr)}")
    return summarise([json.loads(done.stdout)])
