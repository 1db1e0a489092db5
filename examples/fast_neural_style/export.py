"""Save trained weights as a graph that can be served: nn.Graph, then oneflow.save.

    python export.py weights/style_5 --repository models --name fast_neural_style --size 256x256

writes models/fast_neural_style/1/model. A graph is traced at one shape, which is the one that it serves. Runs
where OneFlow is installed; the server needs none.
"""

# mypy: disable-error-code="import-not-found, misc"
from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from model import STRIDE, TransformerNet, network_of

import oneflow as flow
from oneflow import nn


class PaintingGraph(nn.Graph):
    """The network, traced."""

    def __init__(self, network: TransformerNet) -> None:
        super().__init__()
        self.network = network

    def build(self, pixels: Any) -> Any:
        return self.network(pixels)


def export(network: TransformerNet, target: Path, height: int, width: int) -> None:
    """Save ``network`` for pictures of one size into the directory ``target``, which is replaced."""
    graph = PaintingGraph(network)
    graph._compile(flow.zeros(1, 3, height, width))  # calling it would compile it too, and run it
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    flow.save(graph, str(target))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Save trained weights as a graph that can be served.")
    parser.add_argument("weights", type=Path, help="what port_weights.py or train.py wrote")
    parser.add_argument("--repository", type=Path, default=Path("models"), help="(default: %(default)s)")
    parser.add_argument("--name", default="fast_neural_style", help="of the model (default: %(default)s)")
    parser.add_argument("--size", default="256x256", help="height x width (default: %(default)s)")
    arguments = parser.parse_args()
    if not arguments.weights.is_dir():
        parser.error(f"{arguments.weights} is not a directory; port_weights.py or train.py makes one")
    size = re.fullmatch(r"(\d+)x(\d+)", arguments.size)
    if size is None or any(int(side) < 16 or int(side) % STRIDE for side in size.groups()):
        parser.error(
            f"--size is {arguments.size} but must be height x width, such as 256x256, in multiples of "
            f"{STRIDE} from 16 on"
        )
    target = arguments.repository / arguments.name / "1" / "model"
    height, width = map(int, size.groups())
    export(network_of(flow.load(str(arguments.weights))), target, height, width)
    size_bytes = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    print(f"wrote {target}: {height} x {width} pixels, {size_bytes / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
