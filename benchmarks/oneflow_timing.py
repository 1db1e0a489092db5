"""Times one saved graph under OneFlow itself. Runs under OneFlow's interpreter.

python oneflow_timing.py WORKER_ROOT SITE_PACKAGES GRAPH INPUTS OUTPUTS SECONDS

INPUTS and OUTPUTS are names of operations, separated by commas. Prints the seconds of each run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np


def main() -> None:
    """See the module's first lines."""
    root, site_packages, graph, inputs, outputs, seconds = sys.argv[1:]
    sys.path.insert(0, root)
    from tritium_worker.oneflow_graph import Runtime, SavedGraph

    saved = SavedGraph(Runtime(site_packages), graph, inputs.split(","), outputs.split(","))
    compiled = saved.compile(saved.rows)
    arrays: list[Any] = [np.random.rand(*shape).astype(dtype) for shape, dtype in saved.inputs]
    compiled.run(arrays)
    taken, end = [], time.perf_counter() + float(seconds)
    while time.perf_counter() < end:
        began = time.perf_counter()
        compiled.run(arrays)
        taken.append(time.perf_counter() - began)
    print(json.dumps(taken))
    sys.stdout.flush()
    os._exit(0)  # OneFlow aborts in an ordinary exit while a graph is alive


if __name__ == "__main__":
    main()
