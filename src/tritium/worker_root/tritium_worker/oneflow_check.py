"""Proves that OneFlow works in this interpreter: a graph is compiled, run, and compared with numpy.

Run by ``tritium env oneflow`` as ``python -c "…; main()" SITE_PACKAGES``; exit code 0 when all is well.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from tritium_worker.oneflow_graph import Runtime

_RUNS = 3


def check(site_packages: str) -> float:
    """Run a graph: the largest difference from what numpy computes.

    Raises:
        Exception: OneFlow does not work; it may also end the process.
    """
    flow: Any = Runtime(site_packages).flow
    weights = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    rows = np.linspace(0, 2, 8, dtype=np.float32).reshape(2, 4)

    class Product(flow.nn.Graph):  # type: ignore[misc]
        def build(self, x: Any, y: Any) -> Any:
            return flow.relu(flow.matmul(x, y))

    graph = Product()
    expected = np.maximum(rows @ weights, 0)
    worst = 0.0
    for _ in range(_RUNS):
        found = graph(flow.tensor(rows), flow.tensor(weights)).numpy()
        worst = max(worst, float(np.max(np.abs(found - expected))))
    return worst


def main() -> None:
    """See the module's first lines."""
    difference = check(sys.argv[1])
    if difference > 1e-5:
        sys.stderr.write("error: a graph of OneFlow differs from numpy by %g\n" % difference)
    sys.stderr.flush()
    os._exit(0 if difference <= 1e-5 else 1)  # OneFlow aborts in an ordinary exit while a graph is alive
