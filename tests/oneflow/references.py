"""What eager OneFlow computed, and how it is compared with what is served."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tests.unit.builders import Answers
from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import Array, Tensor
from tritium.server import InferenceServer

TOLERANCE = {"float16": 1e-3, "float32": 1e-4, "float64": 1e-9}
# Saved so that no other batch is right, or without a batch dimension.
FIXED = {"batch_mixing", "scalars", "matrices"}


def network_names(*dictionaries: str) -> list[str]:
    """The keys of dictionaries in networks.py, which only OneFlow's own interpreter can import."""
    tree = ast.parse((Path(__file__).parent / "networks.py").read_bytes())
    found = [
        key.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        if any(isinstance(target, ast.Name) and target.id in dictionaries for target in node.targets)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    ]
    return [name for name in found if isinstance(name, str)]


def references(saved: Path) -> dict[int, tuple[dict[str, Array], dict[str, Array]]]:
    """By batch size, the inputs by name and the outputs that eager OneFlow computed."""
    pairs: dict[int, tuple[dict[str, Array], dict[str, Array]]] = {}
    with np.load(saved / "reference.npz") as reference:
        for key in reference.files:
            size, side, index = key.split("/")
            inputs, outputs = pairs.setdefault(int(size), ({}, {}))
            (inputs if side == "input" else outputs)[f"{side.upper()}_{index}"] = reference[key]
    return pairs


def assert_same(actual: Array, expected: Array, what: str, slack: int = 1) -> None:
    """Integers exactly, floating point to 1e-4 of the largest element or better."""
    assert actual.dtype == expected.dtype, what
    if actual.shape == (*expected.shape, 1):
        actual = actual.reshape(expected.shape)  # a scalar is [1] to clients
    assert actual.shape == expected.shape, what
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected, what)
        return
    tolerance = TOLERANCE[expected.dtype.name]
    size = float(np.abs(expected).max(initial=0))
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance * size * slack / 10, err_msg=what
    )


def enqueue(server: InferenceServer, name: str, inputs: Mapping[str, Array], answers: Answers) -> None:
    """Ask ``server``'s model ``name``."""
    model = server.model(name)
    server.infer(model, checked_request(model, inputs, answers))


def checked_request(
    model: Model, inputs: Mapping[str, Array], answers: Callable[[InferenceResponse, bool], None]
) -> InferenceRequest:
    """A request that ``model`` accepts; a scalar is [1] to clients."""
    tensors = [Tensor.from_array(key, np.atleast_1d(array)) for key, array in inputs.items()]
    rows = next(iter(inputs.values())).shape[0] if model.config.batching else 1
    request = InferenceRequest(model.config.name, tensors, ResponseStream(answers), batch_size=rows)
    model.check(request)
    return request
