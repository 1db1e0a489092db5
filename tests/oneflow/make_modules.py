"""Saves eager models by the real OneFlow, with what they compute: ``python make_modules.py DIRECTORY``.

The directory gets ``net.py``, which holds their class, and for each model ``<name>/model``; ``reference.npz``
holds the inputs x<rows>, y<rows> and the outputs sum<rows>, top<rows>.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import oneflow as flow  # type: ignore[import-not-found]

NET = """\
import oneflow as flow
from oneflow import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("scale", flow.tensor([1.0, 2.0, 3.0]))

    def forward(self, x, y):
        z = self.norm(self.linear(x)) * self.scale - y
        return {"sum": z, "more": [flow.argmax(z, dim=1)]}


def build_model():
    return Net()
"""
ROWS = (1, 3)


def main(directory: Path) -> None:
    """Write everything."""
    (directory / "net.py").write_text(NET)
    sys.path.insert(0, str(directory))
    from net import Net  # type: ignore[import-not-found]

    flow.manual_seed(3)
    module = Net()
    module(flow.randn(8, 4), flow.randn(8, 3))  # running statistics that are not those of the beginning
    flow.save(module, str(directory / "module" / "model"))
    flow.save(module.state_dict(), str(directory / "state" / "model"))
    runtime_state = {"oneflow_version": flow.__version__, "graph_name": "G", "states": module.state_dict()}
    flow.save(runtime_state, str(directory / "runtime_state" / "model"))
    module.eval()
    arrays = {}
    for rows in ROWS:
        x, y = flow.randn(rows, 4), flow.randn(rows, 3)
        with flow.no_grad():
            result = module(x, y)
        tensors = {"x": x, "y": y, "sum": result["sum"], "top": result["more"][0]}
        arrays.update({f"{name}{rows}": tensor.numpy().copy() for name, tensor in tensors.items()})
    np.savez(directory / "reference.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
