from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.oneflow.operations import FLOAT32, INT64, check, floats, graph_of, operation, random, run
from tritium.core.tensor import DataType
from tritium.errors import ConfigError, UnsupportedError
from tritium.oneflow.graph import TensorType
from tritium.oneflow.shapes import SHAPES
from tritium.oneflow.translate import translate

X = floats(4, 6)
TESTED = set(SHAPES)


def test_reshapes_keep_rows_outermost() -> None:
    check("reshape", [X], X.reshape(3, 24), shape=(1, 24))
    check("reshape", [X], X.reshape(3, 2, 2, 6), shape=(1, 2, 2, 6))


def test_transposes() -> None:
    check("transpose", [X], np.ascontiguousarray(X.transpose(0, 2, 1)), perm=(0, 2, 1))
    with pytest.raises(ConfigError, match="does not name each axis once"):
        check("transpose", [X], X, perm=(0, 1, 1))


def test_expanding() -> None:
    check("expand", [X[:, :1]], np.broadcast_to(X[:, :1], (3, 5, 6)).copy(), expand_shape=(1, 5, 6))


def test_axes_of_one_come_and_go() -> None:
    check("expand_dims", [X], X[:, :, None], axis=2)
    check("expand_dims", [X], X[..., None], axis=-1)
    check("squeeze", [X[:, :1]], X[:, 0], axes=(1,))
    check("squeeze", [X[:, :1, :1]], X[:, 0, 0], axes=(-1, 1))


def test_joining() -> None:
    constant = random.standard_normal((1, 2, 6)).astype(np.float32)
    repeated = np.repeat(constant, 3, axis=0)
    check("concat", [X, X], np.concatenate([X, X], 2), axis=2)
    check("concat", [constant, X], np.concatenate([repeated, X], 1), constant=[0], axis=1)
    check("stack", [X, 2 * X], np.stack([X, 2 * X], 2), axis=2)
    check("stack", [X, 2 * X], np.stack([X, 2 * X], -1), axis=-1)


def test_turning_and_rolling() -> None:
    check("flip", [X], X[:, ::-1, ::-1].copy(), dims=(1, -1))
    check("roll", [X], np.roll(X, (1, -2), (1, 2)), dims=(1, 2), shifts=(1, -2))
    check("roll", [X], X, dims=(1,), shifts=(4,))
    with pytest.raises(UnsupportedError, match="a roll of all axes as one"):
        check("roll", [X], X, dims=(), shifts=(1,), variable=True)


def test_triangles() -> None:
    zeros: dict[str, Any] = {
        "is_floating_fill_value": True,
        "floating_fill_value": 0.0,
        "integer_fill_value": 0,
    }
    check("tril", [X], np.tril(X, 1), diagonal=1, **zeros)
    check("triu", [X], np.triu(X, -1), diagonal=-1)
    with pytest.raises(UnsupportedError, match=r"tril with 2\.0 in place of zeros"):
        check("tril", [X], X, diagonal=0, **{**zeros, "floating_fill_value": 2.0})


def test_padding_with_a_number() -> None:
    expected = np.pad(X, ((0, 0), (1, 0), (2, 3)), constant_values=0.5)
    amounts: dict[str, Any] = {"padding_before": (0, 1, 2), "padding_after": (0, 0, 3)}
    check("pad", [X], expected, floating_constant_value=0.5, integral_constant_value=0, **amounts)


@pytest.mark.parametrize("shape", [(2, 3), ()])
def test_constants(shape: tuple[int, ...], tmp_path: Path) -> None:
    for kind, element, floating in ((FLOAT32, DataType.FP32, True), (INT64, DataType.INT64, False)):
        op = operation(
            "constant", [], [TensorType(element, shape)], dtype=kind, shape=shape, is_floating_value=floating,
            floating_value=1.5, integer_value=7,
        )  # fmt: skip
        (made,) = run(translate(graph_of(op, {}, tmp_path)).model, [])
        assert made.dtype == element.numpy
        assert made.tolist() == np.full(shape, 1.5 if floating else 7).tolist()
