"""Windows of load: of perf_analyzer, and of any call repeated in threads."""

from __future__ import annotations

import csv
import itertools
import math
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reference import Program
from benchmarks.servers import Server

_PERF_WINDOWS = 3  # perf_analyzer always measures three and merges them
_START_TIMEOUT_S = 60.0


class LoadFailedError(Exception):
    """A window gave no figures: the requests failed, or the tool did."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one side did in one window."""

    per_second: float
    average_us: float
    p50_us: float
    p99_us: float
    responses_per_second: float = math.nan  # where a request may have several


def perf_window(
    program: Program, server: Server, model: str, *, concurrency: int, seconds: float, protocol: str = "http"
) -> Window:
    """One run of perf_analyzer with binary tensors.

    Args:
        protocol: http, grpc, or stream for gRPC streams.
        seconds: of the whole run; perf_analyzer divides it into three windows and merges them.

    Raises:
        LoadFailedError: it reported no figures.
    """
    with tempfile.TemporaryDirectory(prefix="tritium-bench-") as directory:
        report = Path(directory) / "report.csv"
        argv = [
            *program.argv,
            *perf_arguments(
                model,
                server.http_port if protocol == "http" else server.grpc_port,
                concurrency,
                seconds,
                protocol,
            ),
            "-f",
            str(report),
        ]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds * 3 + 60, check=False)
        except subprocess.TimeoutExpired as error:
            raise LoadFailedError(
                f"perf_analyzer on {server.name} did not end in {error.timeout:.0f} s"
            ) from error
        if done.returncode or not report.exists():
            said = " ".join((done.stderr + done.stdout).split())
            raise LoadFailedError(
                f"perf_analyzer on {server.name} failed (code {done.returncode}): {said[-300:]}"
            )
        return parse_perf_report(report.read_text())


def perf_arguments(
    model: str, port: int | str, concurrency: int, seconds: float, protocol: str = "http"
) -> list[str]:
    """perf_analyzer's arguments, without the report's file.

    Every window counts as stable: the harness repeats and takes medians itself.
    """
    interval_ms = max(1, round(seconds * 1000 / _PERF_WINDOWS))
    options = {
        "-m": model,
        "-u": f"127.0.0.1:{port}",
        "-i": "http" if protocol == "http" else "grpc",
        "--concurrency-range": concurrency,
        "--measurement-interval": interval_ms,
        "--max-trials": _PERF_WINDOWS,
        "--stability-percentage": 999,
        "--input-tensor-format": "binary",
        "--output-tensor-format": "binary",
        "--shared-memory": "none",
    }
    streaming = ["--streaming"] if protocol == "stream" else []
    return [*(str(word) for pair in options.items() for word in pair), *streaming, "--verbose-csv"]


def parse_perf_report(text: str) -> Window:
    """Figures of the last row of perf_analyzer's CSV report.

    Raises:
        LoadFailedError: there is no row, or a column is missing or not a number.
    """
    rows = list(csv.DictReader(text.splitlines()))
    try:
        last = rows[-1]
        return Window(
            per_second=float(last["Inferences/Second"]),
            average_us=float(last["Avg latency"]),
            p50_us=float(last["p50 latency"]),
            p99_us=float(last["p99 latency"]),
            responses_per_second=float(last.get("Response Throughput", "nan")),
        )
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise LoadFailedError(f"cannot read perf_analyzer's report ({error!r}): {text[:300]!r}") from error


def repeat_window(calls: Sequence[Callable[[], object]], *, seconds: float) -> Window:
    """Each of ``calls`` over and over in a thread of its own.

    Throughput is the sum of each thread's own rate: the end of a window counts no thread as idle.

    Raises:
        LoadFailedError: any call failed.
    """
    latencies: list[list[float]] = [[] for _ in calls]
    failures: list[Exception] = []
    start = threading.Barrier(len(calls))

    def work(index: int) -> None:
        try:
            start.wait(_START_TIMEOUT_S)
            _call_for(calls[index], seconds, latencies[index])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise LoadFailedError(f"a request failed: {failures[0]}") from failures[0]
    return summarise(latencies)


def summarise(latencies_s: Sequence[Sequence[float]]) -> Window:
    """The window of threads that each did nothing but calls of these durations, one after another."""
    ordered = sorted(itertools.chain.from_iterable(latencies_s))
    return Window(
        per_second=sum(len(each) / sum(each) for each in latencies_s),
        average_us=sum(ordered) / len(ordered) * 1e6,
        p50_us=percentile(ordered, 0.50) * 1e6,
        p99_us=percentile(ordered, 0.99) * 1e6,
    )


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """The smallest value that at least ``fraction`` of ``ordered`` (ascending, not empty) does not exceed."""
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def _call_for(call: Callable[[], object], seconds: float, latencies: list[float]) -> None:
    now = time.perf_counter()
    end = now + seconds
    while now < end:
        call()
        after = time.perf_counter()
        latencies.append(after - now)
        now = after
