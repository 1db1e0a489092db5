"""``python -m benchmarks.run_oneflow``: measure OneFlow graphs, and write their part of the report.

Exit code: 0 every bar measured holds, 1 one does not, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from pathlib import Path

from benchmarks.oneflow_scenarios import ONEFLOW_SCENARIOS
from benchmarks.reference import cache_directory
from benchmarks.report import machine_facts, refresh, render_table, versions
from benchmarks.run import FULL, QUICK, rows_of
from benchmarks.scenarios import Bench

FRAGMENT = Path(__file__).with_name("oneflow_results.md")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run_oneflow", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look, not a result: nothing is written")
    options = parser.parse_args()
    rounds, seconds = QUICK if options.quick else FULL
    facts = {"date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}", **machine_facts()}
    facts["versions"] = f"{versions(('tritium-server', 'numpy', 'onnxruntime'))}, oneflow 0.9.0"
    facts["measured"] = f"{rounds} windows of {seconds:g} s per side, after one that is thrown away"
    rows = []
    with tempfile.TemporaryDirectory(prefix="tritium-bench-") as workspace:
        bench = Bench(cache_directory(), Path(workspace), rounds, seconds)
        for name in ONEFLOW_SCENARIOS:
            print(f"bench: {name}", file=sys.stderr, flush=True)
            rows += rows_of(name, bench)
    table = render_table(rows)
    print("\n".join(table))
    if not options.quick:
        text = ["## OneFlow graphs", "", "Written by `make bench-oneflow`; do not edit.", ""]
        text += [f"- {name}: {value}" for name, value in facts.items()]
        text += ["", *table, "", *(f"- {row.what}: {row.note}" for row in rows if row.note)]
        FRAGMENT.write_text("\n".join(text).rstrip() + "\n")
        refresh()
    return 1 if any(row.holds is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
