"""``python -m benchmarks.run``: measure tritium against its bars and write the report.

Exit code: 0 every bar measured holds, 1 one does not, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.comparison import Row
from benchmarks.ensemble_scenarios import ENSEMBLE_SCENARIOS
from benchmarks.load import LoadFailedError, perf_arguments
from benchmarks.oneflow_scenarios import ONEFLOW_SCENARIOS
from benchmarks.python_scenarios import PYTHON_SCENARIOS
from benchmarks.reference import PERF_WHEEL, TRITON_WHEEL, UnavailableError, cache_directory
from benchmarks.report import machine_facts, render_report, render_table, versions
from benchmarks.scenarios import SCENARIOS, Bench, Scenario
from benchmarks.servers import ServerFailedError

_DISTRIBUTIONS = ("tritium-server", "numpy", "uvloop", "httptools", "onnxruntime")
_DEFAULT: Mapping[str, Scenario] = {**SCENARIOS, **PYTHON_SCENARIOS, **ENSEMBLE_SCENARIOS}
_SCENARIOS: Mapping[str, Scenario] = {**_DEFAULT, **ONEFLOW_SCENARIOS}
FULL = (5, 3.0)  # rounds, seconds of a window
QUICK = (2, 1.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scenarios asked for, print each row as it comes, and write the report."""
    options = _parse(argv)
    rounds, seconds = QUICK if options.quick else FULL
    facts = {"date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}", **machine_facts()}
    facts["versions"] = versions(_DISTRIBUTIONS)
    facts["against"] = f"Triton 2.51 ({TRITON_WHEEL}, CPU), {PERF_WHEEL}, both sides with default settings"
    facts["measured"] = f"{rounds} windows of {seconds:g} s per side, after one that is thrown away"
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tritium-bench-") as workspace:
        bench = Bench(cache_directory(), Path(workspace), rounds, seconds)
        for name in options.only or _DEFAULT:
            print(f"bench: {name}", file=sys.stderr, flush=True)
            for row in rows_of(name, bench):
                rows.append(row)
                print(render_table([row])[-1], *([f"  {row.note}"] if row.note else []), flush=True)
    if options.output:
        options.output.write_text(render_report(rows, facts, _commands(options, seconds)))
    return 1 if any(row.holds is False for row in rows) else 0


def rows_of(name: str, bench: Bench) -> list[Row]:
    """The scenario's rows; one row with the reason if it could not run or a server failed."""
    try:
        return _SCENARIOS[name](bench)
    except UnavailableError as error:
        return [Row(name, note=f"skipped: {error}")]
    except (ServerFailedError, LoadFailedError) as error:
        return [Row(name, holds=False, note=f"failed: {error}")]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer, shorter windows: a look, not a result")
    parser.add_argument(
        "--only", action="append", choices=list(_SCENARIOS), help="this scenario; may be repeated"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="where to write the report (default: RESULTS.md beside this file, full runs only)",
    )
    options = parser.parse_args(argv)
    if options.output is None and not (options.quick or options.only):
        options.output = Path(__file__).with_name("RESULTS.md")
    return options


def _commands(options: argparse.Namespace, seconds: float) -> list[str]:
    """What was run, with PORT and REPOSITORY in place of what differs from run to run."""
    chosen = [word for name in options.only or () for word in ("--only", name)]
    return [
        " ".join(["python -m benchmarks.run", *(["--quick"] if options.quick else []), *chosen]),
        "tritium serve --model-repository REPOSITORY --http-port PORT --grpc-port PORT --metrics-port PORT",
        "tritonserver --model-repository=REPOSITORY --http-port=PORT --grpc-port=PORT --metrics-port=PORT",
        "# likewise at concurrency 32 and 1, and for -m batched and -m single at 32",
        " ".join(["perf_analyzer", *perf_arguments("small", "PORT", 8, seconds)]),
    ]


if __name__ == "__main__":
    sys.exit(main())
