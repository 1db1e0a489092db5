from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.oneflow.operations import BOOL, FLOAT32, FLOAT64, INT8, UINT8, check, floats
from tritium.core.tensor import Array
from tritium.errors import UnsupportedError

X, Y = floats(4, 5), floats(4, 5)
POSITIVE = np.abs(X) + np.float32(0.5)
SMALL = np.clip(X, -0.9, 0.9)
erf = np.vectorize(math.erf, otypes=[np.float32])


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    return np.log1p(np.exp(x))


def softmax(x: Array) -> Array:
    shifted = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True))


SINGLE: dict[str, tuple[Array, Callable[[Array], Array]]] = {
    "relu": (X, lambda x: np.maximum(x, 0)), "sigmoid": (X, sigmoid), "tanh": (X, np.tanh), "exp": (X,
    np.exp),
    "log": (POSITIVE, np.log), "sqrt": (POSITIVE, np.sqrt), "abs": (X, np.abs), "negative": (X, np.negative),
    "floor": (X, np.floor), "ceil": (X, np.ceil), "round": (X, np.round), "sin": (X, np.sin), "cos": (X,
    np.cos),
    "tan": (SMALL, np.tan), "asin": (SMALL, np.arcsin), "acos": (SMALL, np.arccos), "atan": (X, np.arctan),
    "sinh": (X, np.sinh), "cosh": (X, np.cosh), "asinh": (X, np.arcsinh),
    "acosh": (POSITIVE + 1, np.arccosh), "atanh": (SMALL, np.arctanh), "erf": (X, erf), "sign": (X, np.sign),
    "reciprocal": (POSITIVE, np.reciprocal), "softsign": (X, lambda x: x / (1 + np.abs(x))),
    "mish": (X, lambda x: x * np.tanh(softplus(x))), "silu": (X, lambda x: x * sigmoid(x)),
    "hardswish": (X, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "hardsigmoid": (X, lambda x: np.clip(x + 3, 0, 6) / 6),
    "selu": (X, lambda x: 1.05070098 * np.where(x > 0, x, 1.67326324 * np.expm1(x))),
    "gelu": (X, lambda x: x * (1 + erf(x / math.sqrt(2))) / 2),
    "fast_gelu": (X, lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2),
    "quick_gelu": (X, lambda x: x * sigmoid(1.702 * x)), "rsqrt": (POSITIVE, lambda x: 1 / np.sqrt(x)),
    "square": (X, np.square), "log_sigmoid": (X, lambda x: -softplus(-x)), "identity": (X, lambda x: x),
    "copy": (X, lambda x: x), "softmax": (X, softmax), "log_softmax": (X, lambda x: np.log(softmax(x))),
}  # fmt: skip
DOUBLE: dict[str, tuple[Array, Array, Callable[[Array, Array], Array]]] = {
    "broadcast_add": (X, Y, np.add), "broadcast_sub": (X, Y, np.subtract), "broadcast_mul": (X, Y,
    np.multiply),
    "broadcast_div": (X, POSITIVE, np.divide), "pow": (POSITIVE, Y, np.power),
    "broadcast_pow": (POSITIVE, Y, np.power), "elementwise_maximum": (X, Y, np.maximum),
    "elementwise_minimum": (X, Y, np.minimum), "broadcast_maximum": (X, Y, np.maximum),
    "broadcast_minimum": (X, Y, np.minimum), "add_n": (X, Y, np.add), "add_n2": (X, Y, np.add),
    "broadcast_equal": (np.round(X), np.round(Y), np.equal), "broadcast_greater": (X, Y, np.greater),
    "broadcast_not_equal": (np.round(X), np.round(Y), np.not_equal), "broadcast_less": (X, Y, np.less),
    "broadcast_greater_equal": (X, X.round(), np.greater_equal), "broadcast_less_equal": (X, Y,
    np.less_equal),
    "broadcast_logical_and": (np.round(X), Y > 0, np.logical_and),
    "broadcast_logical_or": (X > 0, np.round(Y), np.logical_or),
    "broadcast_logical_xor": (X > 0, Y > 0, np.logical_xor),
}  # fmt: skip
BY_TENSOR = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
SCALAR = {
    "scalar_add": X + 1.5, "scalar_mul": X * 1.5, "scalar_div": X / 1.5, "scalar_logical_equal": X == 1.5,
    "scalar_logical_not_equal": X != 1.5, "scalar_logical_greater": X > 1.5, "scalar_logical_less": X < 1.5,
    "scalar_logical_greater_equal": X >= 1.5, "scalar_logical_less_equal": X <= 1.5,
}  # fmt: skip
FLOATING: dict[str, Any] = {
    "has_float_operand": True,
    "float_operand": 1.5,
    "has_int_operand": False,
    "int_operand": 0,
}
INTEGRAL: dict[str, Any] = {
    "has_float_operand": False,
    "float_operand": 0.0,
    "has_int_operand": True,
    "int_operand": 2,
}
TESTED = {
    *SINGLE, *DOUBLE, *SCALAR, *(f"scalar_{kind}_by_tensor" for kind in BY_TENSOR), "scalar_pow",
    "logical_not",
    "leaky_relu", "elu", "celu", "cast", "hardtanh", "clip_by_scalar", "clip_by_scalar_min",
    "clip_by_scalar_max", "where", "masked_fill", "prelu",
}  # fmt: skip


@pytest.mark.parametrize("kind", SINGLE)
def test_one_operand(kind: str) -> None:
    operand, function = SINGLE[kind]
    check(kind, [operand], function(operand).astype(np.float32))


@pytest.mark.parametrize("kind", DOUBLE)
def test_two_operands(kind: str) -> None:
    left, right, function = DOUBLE[kind]
    expected = function(left, right)
    check(kind, [left, right], expected if expected.dtype == bool else expected.astype(np.float32))


@pytest.mark.parametrize("kind", BY_TENSOR)
def test_a_tensor_that_is_one_number(kind: str) -> None:
    number = np.array([1.5], np.float32)
    check(f"scalar_{kind}_by_tensor", [X, number], BY_TENSOR[kind](X, number), constant=[1])


@pytest.mark.parametrize("kind", SCALAR)
def test_a_number_of_the_file(kind: str) -> None:
    check(kind, [X], SCALAR[kind], **FLOATING)


def test_integers_take_integral_numbers_and_compare_with_others() -> None:
    numbers = np.arange(15).reshape(3, 5)
    check("scalar_pow", [X], X**2, **INTEGRAL)
    check("scalar_add", [numbers], numbers + 2, **INTEGRAL)
    check("scalar_mul", [numbers.astype(np.int8)], (numbers * 2).astype(np.int8), **INTEGRAL)
    check("scalar_logical_greater", [numbers], numbers > 1.5, **FLOATING)
    check("scalar_logical_equal", [numbers.astype(np.uint8)], numbers == 2, **INTEGRAL)


def test_narrow_integers_overflow_as_they_do_in_oneflow() -> None:
    left, right = np.full((3, 2), 100, np.int8), np.full((3, 2), 100, np.int8)
    check("broadcast_add", [left, right], left + right)
    check("add_n2", [left, right], left + right)


def test_constants_with_and_without_a_first_dimension_are_added_to_every_row() -> None:
    for shape in [(5,), (4, 5), (1, 4, 5), (1, 1, 5), (4, 1), ()]:
        constant = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
        check("broadcast_add", [X, constant], X + constant, constant=[1])


def test_activations_with_a_number() -> None:
    check("leaky_relu", [X], np.where(X > 0, X, X * np.float32(0.3)), alpha=0.3)
    check("elu", [X], np.where(X > 0, X, 0.7 * np.expm1(X)).astype(np.float32), alpha=0.7)
    check("celu", [X], np.where(X > 0, X, 0.7 * np.expm1(X / 0.7)).astype(np.float32), alpha=0.7)
    check("hardtanh", [X], np.clip(X, -0.5, 0.25), min_val=-0.5, max_val=0.25)


def test_clipping_takes_the_bounds_of_the_tensors_kind() -> None:
    bounds: dict[str, Any] = {
        "floating_min": -0.5,
        "floating_max": 0.25,
        "integral_min": 2,
        "integral_max": 7,
    }
    numbers = np.arange(12).reshape(3, 4)
    check("clip_by_scalar", [X], np.clip(X, -0.5, 0.25), **bounds)
    check("clip_by_scalar", [numbers], np.clip(numbers, 2, 7), **bounds)
    check("clip_by_scalar_min", [X], np.maximum(X, np.float32(-0.5)), **bounds)
    check("clip_by_scalar_max", [X], np.minimum(X, np.float32(0.25)), **bounds)


def test_casts() -> None:
    numbers = np.array([[-1.5, 300.7], [2.5, 0.0], [100.0, -129.0]], np.float32)
    check("cast", [numbers], numbers.astype(np.float64), dtype=FLOAT64)
    check("cast", [numbers], numbers.astype(np.int32).astype(np.int8), dtype=INT8)
    check("cast", [numbers], numbers.astype(np.int32).astype(np.uint8), dtype=UINT8)
    check("cast", [numbers], numbers != 0, dtype=BOOL)
    check("cast", [numbers > 0], (numbers > 0).astype(np.float32), dtype=FLOAT32)


def test_logical_not_takes_any_type() -> None:
    check("logical_not", [np.round(X)], np.round(X) == 0)
    check("logical_not", [X > 0], X <= 0)


def test_choosing() -> None:
    check("where", [X > 0, X, Y], np.where(X > 0, X, Y))
    small = (X * 10).astype(np.int8)
    check("where", [X > 0, small, -small], np.where(X > 0, small, -small))
    check("masked_fill", [X, Y > 0], np.where(Y > 0, np.float32(1.5), X), **FLOATING)
    check("masked_fill", [X, (Y > 0).astype(np.int8)], np.where(Y > 0, np.float32(2), X), **INTEGRAL)


def test_prelu_has_a_slope_for_each_channel_or_one() -> None:
    x, slopes = floats(4, 2, 3), np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    expected = np.where(x > 0, x, x * slopes.reshape(4, 1, 1))
    check("prelu", [x, slopes], expected, constant=[1])
    check("prelu", [X, slopes[:1]], np.where(X > 0, X, X * slopes[0]), constant=[1])
    with pytest.raises(UnsupportedError, match=r"line 7, op 'm-prelu-0' \(prelu\): a slope of shape"):
        check("prelu", [x, slopes.reshape(2, 2)], expected, constant=[1])


def test_softmax_along_the_rows_keeps_the_saved_batch() -> None:
    row = floats()
    check("softmax", [row], np.ones_like(row), variable=False)
