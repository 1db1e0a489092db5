"""gRPC, and models that ask others or run as coroutines, against the real Triton."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import tritonclient.http as http

from benchmarks import models, servers
from benchmarks.comparison import Bar, Row, compared, measured
from benchmarks.grpc_load import call_window, idle_connections
from benchmarks.load import Window
from benchmarks.loop_sockets import loop_window
from benchmarks.reference import perf_analyzer, real_triton
from benchmarks.scenarios import (
    LARGE_ELEMENTS,
    SMALL_ELEMENTS,
    Bench,
    Scenario,
    perf_turns,
    throughput_row,
    turns,
)
from benchmarks.servers import Server
from benchmarks.sockets import infer_request
from benchmarks.worker_start import seconds_to_loaded

_NAP_S = 0.01
_ANSWERS = 100
_CONNECTIONS = 1000
_IDLE_S = 10
_CACHED_ELEMENTS = 256  # 1 KB
_CACHE_CLIENTS = 32
_NAPPERS = 100
_FIRST_ID = 1 << 40  # far from the ids that perf_analyzer makes up


def grpc(bench: Bench) -> list[Row]:
    """The identity ``model.py`` over gRPC: unary, by streams, and with 12.6 MB each way."""
    repository = bench.repository("grpc")
    models.write_identity(repository, "small", SMALL_ELEMENTS)
    models.write_identity(repository, "large", LARGE_ELEMENTS)
    tool, triton = perf_analyzer(bench.cache), real_triton(bench.cache)
    rows = []
    with servers.tritium(repository) as ours, servers.real_triton(triton, repository) as theirs:
        small = (ours, "small"), (theirs, "small")
        for concurrency in (8, 32):
            mine, other = perf_turns(bench, tool, *small, concurrency, "grpc")
            what = f"model.py identity over gRPC, 64 B, c={concurrency}: throughput against Triton"
            rows.append(throughput_row(what, mine, other, Bar(2.0, "x")))
        mine, other = perf_turns(bench, tool, *small, 1, "grpc")
        what = "model.py identity over gRPC, 64 B, c=1: median latency against Triton"
        bar = Bar(0.8, "x", at_most=True)
        rows.append(compared(what, [w.p50_us for w in mine], [w.p50_us for w in other], "us", bar))
        mine, other = perf_turns(bench, tool, *small, 8, "stream")
        what = "model.py identity by gRPC streams, 64 B, c=8: throughput against Triton"
        rows.append(throughput_row(what, mine, other, Bar(2.0, "x")))

        def window(server: Server) -> Window:
            return call_window(server, "large", LARGE_ELEMENTS, seconds=bench.seconds)

        mine, other = turns(bench, lambda: window(ours), lambda: window(theirs))
        what = "model.py identity over gRPC, 12.6 MB, c=1: throughput against Triton"
        rows.append(throughput_row(what, mine, other, Bar(1.2, "x")))
    return rows


def decoupled(bench: Bench) -> list[Row]:
    """A decoupled ``model.py`` with 100 small responses for each request, by gRPC streams."""
    repository = bench.repository("decoupled")
    models.write_repeating(repository, "repeating", SMALL_ELEMENTS, _ANSWERS)
    tool, triton = perf_analyzer(bench.cache), real_triton(bench.cache)
    with servers.tritium(repository) as ours, servers.real_triton(triton, repository) as theirs:
        sides = (ours, "repeating"), (theirs, "repeating")
        mine, other = perf_turns(bench, tool, *sides, 4, "stream")
    what = f"decoupled model.py, {_ANSWERS} responses of 64 B each, c=4: responses against Triton"
    ours_per_s, theirs_per_s = ([w.responses_per_second for w in side] for side in (mine, other))
    return [compared(what, ours_per_s, theirs_per_s, "/s", Bar(1.5, "x"))]


def idle_clients(bench: Bench) -> list[Row]:
    """1,000 gRPC connections that ask once a second."""
    repository = bench.repository("idle")
    models.write_identity(repository, "small", SMALL_ELEMENTS)
    with servers.tritium(repository) as ours:
        figures = idle_connections(ours, "small", SMALL_ELEMENTS, count=_CONNECTIONS, seconds=_IDLE_S)
    what = f"{_CONNECTIONS:,} gRPC connections, 1 request/s each"
    kilobytes = figures.bytes_per_connection / 1000
    return [
        measured(f"{what}: errors in {_IDLE_S} s", [figures.errors], Bar(0.0, "", at_most=True)),
        measured(f"{what}: p99 latency", [figures.p99_s * 1000], Bar(250.0, "ms", at_most=True)),
        measured(f"{what}: memory of each", [kilobytes], Bar(40.0, "KB", at_most=True)),
    ]


def asking(bench: Bench) -> list[Row]:
    """A ``model.py`` that asks another one for each request, against the real Triton."""
    repository = bench.repository("asking")
    models.write_identity(repository, "small", SMALL_ELEMENTS)
    models.write_caller(repository, "caller", SMALL_ELEMENTS)
    tool, triton = perf_analyzer(bench.cache), real_triton(bench.cache)
    with servers.tritium(repository) as ours, servers.real_triton(triton, repository) as theirs:
        mine, other = perf_turns(bench, tool, (ours, "caller"), (theirs, "caller"), 8)
    what = "model.py that asks another (BLS), 64 B, c=8: throughput against Triton"
    return [throughput_row(what, mine, other, Bar(1.5, "x"))]


def coroutines(bench: Bench) -> list[Row]:
    """An ``async def execute`` that waits 10 ms, for 100 clients: how much of 10,000 requests a second."""
    repository = bench.repository("coroutines")
    models.write_napping(repository, "napping", SMALL_ELEMENTS)
    data = np.arange(SMALL_ELEMENTS, dtype=np.float32).reshape(1, -1)
    request = infer_request("napping", {"INPUT0": data}, data)
    with servers.tritium(repository) as ours:
        windows = [
            loop_window(ours, request, concurrency=_NAPPERS, seconds=bench.seconds)
            for _ in range(bench.rounds + 1)
        ]
    shares = [window.per_second * _NAP_S / _NAPPERS for window in windows[1:]]
    return [measured("async model.py that waits 10 ms, c=100: share of the ideal", shares, Bar(0.9, ""))]


def batched(bench: Bench) -> list[Row]:
    """A ``model.py`` whose requests are batched dynamically, against the real Triton."""
    repository = bench.repository("batched")
    models.write_identity(repository, "batched", SMALL_ELEMENTS, max_batch_size=64, queue_delay_us=200)
    tool, triton = perf_analyzer(bench.cache), real_triton(bench.cache)
    with servers.tritium(repository) as ours, servers.real_triton(triton, repository) as theirs:
        mine, other = perf_turns(bench, tool, (ours, "batched"), (theirs, "batched"), 32)
    what = "model.py identity, dynamic batching of 64 rows, 200 us, c=32: throughput against Triton"
    return [throughput_row(what, mine, other, Bar(2.0, "x"))]


def worker_start(bench: Bench) -> list[Row]:
    """A worker of an identity ``model.py``, which needs numpy, from the start of its process to loaded."""
    repository = bench.repository("worker")
    models.write_identity(repository, "small", SMALL_ELEMENTS)
    seconds = [seconds_to_loaded(repository, "small") for _ in range(bench.rounds + 1)]
    bar = Bar(0.4, "s", at_most=True)
    return [measured("start of a worker to its model loaded, with numpy", seconds[1:], bar)]


def sequences(bench: Bench) -> list[Row]:
    """A ``model.py`` with sequences by the oldest strategy, against the real Triton.

    perf_analyzer keeps a sequence for each of its 32 clients; another 32 live beside them.
    """
    repository = bench.repository("sequences")
    live, clients = 64, 32
    models.write_identity(repository, "sequences", SMALL_ELEMENTS, max_batch_size=64, sequences=live)
    tool, triton = perf_analyzer(bench.cache), real_triton(bench.cache)
    with servers.tritium(repository) as ours, servers.real_triton(triton, repository) as theirs:
        for server in (ours, theirs):
            _begin(server, "sequences", range(_FIRST_ID, _FIRST_ID + live - clients))
        mine, other = perf_turns(bench, tool, (ours, "sequences"), (theirs, "sequences"), clients)
    what = "model.py identity, oldest strategy, 64 live sequences, c=32: throughput against Triton"
    return [throughput_row(what, mine, other, Bar(1.5, "x"))]


def cached(bench: Bench) -> list[Row]:
    """A ``model.py`` that answers 1 KB, from the local cache against running it, by light clients."""
    repository = bench.repository("cached")
    models.write_identity(repository, "computed", _CACHED_ELEMENTS)
    models.write_identity(repository, "cached", _CACHED_ELEMENTS)
    with (repository / "cached" / "config.pbtxt").open("a") as config:
        config.write("response_cache { enable: true }\n")
    data = np.arange(_CACHED_ELEMENTS, dtype=np.float32).reshape(1, -1)
    with servers.tritium(repository, "--cache-config", "local,size=10000000") as server:

        def window(model: str) -> Window:
            request = infer_request(model, {"INPUT0": data}, data)
            return loop_window(server, request, concurrency=_CACHE_CLIENTS, seconds=bench.seconds)

        mine, other = turns(bench, lambda: window("cached"), lambda: window("computed"))
    what = "model.py identity, 1 KB, c=32: throughput from the local cache against running it"
    return [throughput_row(what, mine, other, Bar(3.0, "x"))]


def _begin(server: servers.Server, model: str, ids: Iterable[int]) -> None:
    """Begin sequences, and leave them."""
    tensor = http.InferInput("INPUT0", [1, SMALL_ELEMENTS], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, SMALL_ELEMENTS), np.float32))
    with http.InferenceServerClient(f"127.0.0.1:{server.http_port}") as client:
        for sequence_id in ids:
            client.infer(model, [tensor], sequence_id=sequence_id, sequence_start=True)


PYTHON_SCENARIOS: Mapping[str, Scenario] = {
    "grpc": grpc,
    "decoupled": decoupled,
    "idle": idle_clients,
    "asking": asking,
    "coroutines": coroutines,
    "batched": batched,
    "worker": worker_start,
    "sequences": sequences,
    "cached": cached,
}
