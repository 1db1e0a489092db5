"""What is measured: one function per scenario, each returning its rows."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import models, servers
from benchmarks.comparison import Bar, Row, compared, in_turns, measured
from benchmarks.load import Window, perf_window
from benchmarks.openvino_engine import openvino_engine
from benchmarks.reference import Program, UnavailableError, perf_analyzer, real_triton, reason_in
from benchmarks.servers import Server, ServerFailedError
from benchmarks.sessions import session_window
from benchmarks.sockets import infer_request, socket_window

SMALL_ELEMENTS = 16
LARGE_ELEMENTS = 3_145_728  # 12.6 MB of FP32

_CHECKOUT = Path(__file__).resolve().parent.parent
_MB = 1_000_000
_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Bench:
    """How long to measure, and where things are kept."""

    cache: Path
    workspace: Path  # a fresh directory
    rounds: int
    seconds: float  # of one window

    def repository(self, name: str) -> Path:
        """A new, empty model repository."""
        path = self.workspace / name
        path.mkdir()
        return path


Scenario = Callable[[Bench], list[Row]]


def small_identity(bench: Bench) -> list[Row]:
    """A ``model.py`` that answers FP32 [1, 16] with itself, by perf_analyzer, against the real Triton."""
    repository = bench.repository("small")
    models.write_identity(repository, "small", SMALL_ELEMENTS)
    tool, triton = perf_analyzer(bench.cache), real_triton(bench.cache)
    rows = []
    with servers.tritium(repository) as ours, servers.real_triton(triton, repository) as theirs:
        for concurrency in (8, 32):
            mine, other = perf_turns(bench, tool, (ours, "small"), (theirs, "small"), concurrency)
            what = f"model.py identity, 64 B, c={concurrency}: throughput against Triton"
            rows.append(throughput_row(what, mine, other, Bar(1.5, "x")))
        mine, other = perf_turns(bench, tool, (ours, "small"), (theirs, "small"), 1)
    bar = Bar(1.0, "x", at_most=True)
    what = "model.py identity, 64 B, c=1: {} latency against Triton"
    rows.append(
        compared(
            what.format("average"), [w.average_us for w in mine], [w.average_us for w in other], "us", bar
        )
    )
    rows.append(
        compared(what.format("median"), [w.p50_us for w in mine], [w.p50_us for w in other], "us", bar)
    )
    return rows


def large_identity(bench: Bench) -> list[Row]:
    """The same ``model.py`` with 12.6 MB each way, by plain sockets, against the real Triton."""
    repository = bench.repository("large")
    models.write_identity(repository, "large", LARGE_ELEMENTS)
    data = np.arange(LARGE_ELEMENTS, dtype=np.float32).reshape(1, -1)
    request = infer_request("large", {"INPUT0": data}, data)
    rows = []
    triton = real_triton(bench.cache)
    with servers.tritium(repository) as ours, servers.real_triton(triton, repository) as theirs:
        for concurrency in (1, 4):

            def window(server: Server, concurrency: int = concurrency) -> Window:
                return socket_window(server, request, concurrency=concurrency, seconds=bench.seconds)

            mine, other = turns(bench, lambda: window(ours), lambda: window(theirs))
            what = f"model.py identity, 12.6 MB, c={concurrency}: throughput against Triton"
            rows.append(throughput_row(what, mine, other, Bar(1.2, "x")))
    return rows


def multi_style(bench: Bench) -> list[Row]:
    """Style transfer at 256x256, two instances of one thread, against ``session.run`` in two threads."""
    repository = bench.repository("style")
    network = models.write_multi_style(repository, "multi_style")
    random = np.random.default_rng(seed=1)
    inputs = {name: random.random(shape, dtype=np.float32) for name, shape in models.STYLE_SHAPES.items()}
    return _against_bare(bench, "multi_style", repository, network, inputs, inputs["image"].nbytes)


def translated_style(bench: Bench) -> list[Row]:
    """The same for the example that OneFlow saved, against the ONNX model that it is translated to."""
    repository = bench.repository("translated")
    network = models.write_translated_style(repository, "fast_neural_style")
    image = np.random.default_rng(seed=1).random((1, 3, 256, 256), dtype=np.float32) * 255
    inputs = {"INPUT_0": image}
    return _against_bare(bench, "fast_neural_style", repository, network, inputs, image.nbytes)


def _against_bare(
    bench: Bench,
    model: str,
    repository: Path,
    network: Path,
    inputs: Mapping[str, npt.NDArray[np.float32]],
    answer_bytes: int,
) -> list[Row]:
    """A model of two one-thread instances at two clients, against ``session.run`` of its ONNX file."""
    request = infer_request(model, inputs, answer_bytes)
    seconds = 2 * bench.seconds
    with servers.tritium(repository) as ours:
        mine, other = turns(
            bench,
            lambda: socket_window(ours, request, concurrency=2, seconds=seconds),
            lambda: session_window(network, inputs, concurrency=2, seconds=seconds),
        )
    what = f"{model}, 256x256, c=2, 2 x 1 thread: throughput against bare session.run"
    return [throughput_row(what, mine, other, Bar(0.95, "x"))]


def dynamic_batching(bench: Bench) -> list[Row]:
    """A perceptron at 32 clients, with dynamic batching against without, both by tritium."""
    repository = bench.repository("mlp")
    models.write_mlp(repository, "batched", dynamic_batching=True)
    models.write_mlp(repository, "single", dynamic_batching=False)
    tool = perf_analyzer(bench.cache)
    with servers.tritium(repository) as ours:
        for name, expected in (("batched", True), ("single", False)):
            if ("dynamic_batching" in ours.get_json(f"/v2/models/{name}/config")) != expected:
                raise ServerFailedError(f"/v2/models/{name}/config: dynamic_batching is not as the file says")
        mine, other = perf_turns(bench, tool, (ours, "batched"), (ours, "single"), 32)
    what = "ONNX MLP, c=32: throughput with dynamic batching against without"
    return [throughput_row(what, mine, other, Bar(3.0, "x"))]


def xrt_openvino(bench: Bench) -> list[Row]:
    """Translated OneFlow graphs by OpenVINO against ONNX Runtime."""
    return openvino_engine(bench.repository("openvino"), bench.rounds, bench.seconds)


def start(bench: Bench) -> list[Row]:
    """From starting the process to ready with one ONNX model, and the memory it then holds, idle."""
    one_model, no_model = bench.repository("one"), bench.repository("none")
    models.write_mlp(one_model, "mlp", dynamic_batching=True)
    seconds, loaded, empty = [], [], []
    for _ in range(bench.rounds + 1):
        with servers.tritium(one_model) as ours:
            seconds.append(ours.seconds_to_ready)
            time.sleep(_SETTLE_S)
            loaded.append(ours.resident_bytes() / _MB)
    with servers.tritium(no_model) as ours:
        time.sleep(_SETTLE_S)
        empty.append(ours.resident_bytes() / _MB)
    bar = Bar(120.0, "MB", at_most=True)
    return [
        # The first start fills the page cache and is not counted.
        measured("start to ready, one ONNX model", seconds[1:], Bar(1.5, "s", at_most=True)),
        measured("idle memory of the server process, no model", empty, bar),
        measured("idle memory of the server process, one ONNX model of 15 MB", loaded[1:], bar),
    ]


def download(bench: Bench) -> list[Row]:
    """Bytes that ``pip install`` fetches: this project's wheel and its core dependencies'."""
    target = bench.workspace / "wheels"
    pip = [sys.executable, "-m", "pip"]
    _pip([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(_CHECKOUT)])
    own = [str(path) for path in target.glob("*.whl")]
    _pip([*pip, "download", "--quiet", "--only-binary=:all:", "--dest", str(target), *own])
    total = sum(path.stat().st_size for path in target.glob("*.whl"))
    return [measured("wheels of a core install, downloaded", [total / _MB], Bar(45.0, "MB", at_most=True))]


SCENARIOS: Mapping[str, Scenario] = {
    "small": small_identity,
    "large": large_identity,
    "style": multi_style,
    "translated": translated_style,
    "batching": dynamic_batching,
    "openvino": xrt_openvino,
    "start": start,
    "download": download,
}


def perf_turns(
    bench: Bench,
    tool: Program,
    ours: tuple[Server, str],
    theirs: tuple[Server, str],
    concurrency: int,
    protocol: str = "http",
) -> tuple[list[Window], list[Window]]:
    """Turns of perf_analyzer on two (server, model) pairs."""

    def window(side: tuple[Server, str]) -> Window:
        server, model = side
        return perf_window(
            tool, server, model, concurrency=concurrency, seconds=bench.seconds, protocol=protocol
        )

    return turns(bench, lambda: window(ours), lambda: window(theirs))


def turns(
    bench: Bench, ours: Callable[[], Window], theirs: Callable[[], Window]
) -> tuple[list[Window], list[Window]]:
    """One window each that is thrown away, then ``bench.rounds`` in turns."""
    in_turns(1, ours, theirs)
    return in_turns(bench.rounds, ours, theirs)


def throughput_row(what: str, ours: Sequence[Window], theirs: Sequence[Window], bar: Bar) -> Row:
    return compared(what, [w.per_second for w in ours], [w.per_second for w in theirs], "/s", bar)


def _pip(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"pip {argv[3]} failed: {reason_in(done.stderr)}")
