"""benchmarks.load: what perf_analyzer says, and what threads measured, as figures."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks.load import (
    LoadFailedError,
    Window,
    parse_perf_report,
    percentile,
    perf_arguments,
    repeat_window,
    summarise,
)

_REPORT = (
    "Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,"
    "Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency,"
    "Avg latency,request/response,response wait\n"
    "8,5746.95,47,173,997,12,125,27,0,1303,1610,1775,3081,1383,47,1335\n"
)


def test_reads_throughput_and_latencies_by_the_names_of_their_columns() -> None:
    read = parse_perf_report(_REPORT)
    assert replace(read, responses_per_second=0.0) == Window(
        5746.95, average_us=1383, p50_us=1303, p99_us=3081, responses_per_second=0.0
    )
    assert math.isnan(read.responses_per_second)


def test_reads_the_responses_of_decoupled_models() -> None:
    head, row, _ = _REPORT.split("\n")
    assert parse_perf_report(f"{head},Response Throughput\n{row},51375.9\n").responses_per_second == 51375.9


@pytest.mark.parametrize(
    "text",
    [
        "",
        _REPORT.splitlines()[0],
        _REPORT.replace("Avg latency", "Mean latency"),
        _REPORT.replace("5746.95", "n/a"),
        "\n".join([_REPORT.splitlines()[0], "8,5746.95"]),
    ],
    ids=["empty", "no row", "no such column", "not a number", "row cut short"],
)
def test_refuses_a_report_without_figures(text: str) -> None:
    with pytest.raises(LoadFailedError, match="cannot read perf_analyzer's report"):
        parse_perf_report(text)


def test_divides_the_seconds_of_a_run_into_perf_analyzers_three_windows() -> None:
    arguments = perf_arguments("m", 8000, concurrency=4, seconds=3.0)
    assert arguments[arguments.index("--measurement-interval") + 1] == "1000"
    assert arguments[arguments.index("--concurrency-range") + 1] == "4"
    assert arguments[arguments.index("-u") + 1] == "127.0.0.1:8000"


def test_adds_the_rates_of_threads_and_averages_over_all_calls() -> None:
    window = summarise([[0.1, 0.1], [0.2]])
    assert window.per_second == pytest.approx(15.0)
    assert window.average_us == pytest.approx(400_000 / 3)
    assert window.p50_us == pytest.approx(100_000)
    assert window.p99_us == pytest.approx(200_000)


@pytest.mark.parametrize(("fraction", "expected"), [(0.5, 50), (0.99, 99), (0.0, 1), (1.0, 100)])
def test_takes_percentiles_by_rank(fraction: float, expected: int) -> None:
    assert percentile(range(1, 101), fraction) == expected


def test_repeats_every_call_in_its_own_thread_at_least_once() -> None:
    counts = [0, 0]

    def count(index: int) -> None:
        counts[index] += 1

    window = repeat_window([lambda: count(0), lambda: count(1)], seconds=0.001)
    assert min(counts) >= 1
    assert window.per_second > 0


def test_says_why_a_call_failed() -> None:
    def fail() -> None:
        raise ConnectionResetError("gone")

    with pytest.raises(LoadFailedError, match="gone"):
        repeat_window([fail], seconds=0.001)
