"""Ensembles: against the real Triton, and what one more step costs."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from benchmarks import models, servers
from benchmarks.comparison import Bar, Row, measured
from benchmarks.load import perf_window
from benchmarks.reference import perf_analyzer, real_triton
from benchmarks.scenarios import SMALL_ELEMENTS, Bench, Scenario, perf_turns, throughput_row
from benchmarks.servers import Server

_STEPS = 5
_CLIENTS = 8


def python_ensemble(bench: Bench) -> list[Row]:
    """Three identity ``model.py`` in a row, against the real Triton."""
    repository = bench.repository("pipeline")
    names = [f"part{index}" for index in range(3)]
    for name in names:
        models.write_identity(repository, name, SMALL_ELEMENTS)
    models.write_pipeline(repository, "pipeline", names, [1, SMALL_ELEMENTS])
    tool, triton = perf_analyzer(bench.cache), real_triton(bench.cache)
    with servers.tritium(repository) as ours, servers.real_triton(triton, repository) as theirs:
        mine, other = perf_turns(bench, tool, (ours, "pipeline"), (theirs, "pipeline"), _CLIENTS)
    what = "ensemble of 3 identity model.py, 64 B, c=8: throughput against Triton"
    return [throughput_row(what, mine, other, Bar(1.5, "x"))]


def step_overhead(bench: Bench) -> list[Row]:
    """What a further in-thread step of an ensemble adds to a request, without its model's own time."""
    repository = bench.repository("steps")
    names = [f"part{index}" for index in range(_STEPS)]
    for name in names:
        models.write_onnx_identity(repository, name, SMALL_ELEMENTS)
    models.write_pipeline(repository, "one", names[:1], [1, SMALL_ELEMENTS])
    models.write_pipeline(repository, "five", names, [1, SMALL_ELEMENTS])
    tool = perf_analyzer(bench.cache)
    added: list[float] = []
    with servers.tritium(repository) as ours:

        def request_us(model: str) -> float:
            window = perf_window(tool, ours, model, concurrency=_CLIENTS, seconds=bench.seconds)
            return 1e6 / window.per_second

        for _ in range(bench.rounds + 1):
            own_us = median(_own_us(ours, name) for name in names) if added else 0.0
            added.append((request_us("five") - request_us("one")) / (_STEPS - 1) - own_us)
    what = "ensemble, c=8: one more in-thread step, without the model's own time"
    return [measured(what, added[1:], Bar(30.0, "us", at_most=True))]


def _own_us(server: Server, model: str) -> float:
    """The average time that a model's execution took."""
    samples = dict(
        line.rsplit(" ", 1)
        for line in server.get_text("/metrics", port=server.metrics_port).splitlines()
        if f'{{model="{model}",version="1"}}' in line
    )
    labels = f'{{model="{model}",version="1"}}'
    busy_us = float(samples[f"nv_inference_compute_infer_duration_us{labels}"])
    return busy_us / float(samples[f"nv_inference_request_success{labels}"])


ENSEMBLE_SCENARIOS: Mapping[str, Scenario] = {"ensemble": python_ensemble, "steps": step_overhead}
