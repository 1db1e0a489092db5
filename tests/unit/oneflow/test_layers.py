from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.oneflow.operations import check, floats, random
from tritium.core.tensor import Array
from tritium.errors import ConfigError, UnsupportedError
from tritium.oneflow.layers import LAYERS

CONVOLUTION: dict[str, Any] = {
    "data_format": "channels_first", "padding_before": (1, 0), "strides": (2, 1), "groups": 1,
    "dilation_rate": (1, 2), "kernel_size": (3, 2),
}  # fmt: skip
POOL: dict[str, Any] = {
    "data_format": "channels_first",
    "kernel_size": (3, 3),
    "stride": (2, 2),
    "padding": (1, 1),
}
X = floats(4, 7, 8)
TESTED = set(LAYERS)


def weights(*shape: int) -> Array:
    return random.standard_normal(shape).astype(np.float32)


def convolved(x: Array, w: Array) -> Array:
    """With the numbers of CONVOLUTION, by its definition."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
    out = np.zeros((len(x), len(w), 4, 6), np.float32)
    for i in range(4):
        for j in range(6):
            window = padded[:, :, 2 * i : 2 * i + 3, j : j + 3 : 2]
            out[:, :, i, j] = np.einsum("bchw,ochw->bo", window, w)
    return out


def deconvolved(x: Array, w: Array) -> Array:
    """Stride 2, kernel 3, padding 1, output padding 1, by its definition."""
    size = [2 * s + 2 for s in x.shape[2:]]
    full = np.zeros((len(x), w.shape[1], *size), np.float32)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            full[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum("bc,cohw->bohw", x[:, :, i, j], w)
    return full[:, :, 1:-1, 1:-1]


def windows(x: Array, kernel: int, stride: int, pad: int, filling: float) -> Array:
    """All windows of two-dimensional pools: [rows, channels, height, width, kernel * kernel]."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=filling)
    view = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))
    return np.asarray(view[:, :, ::stride, ::stride].reshape(*view[:, :, ::stride, ::stride].shape[:4], -1))


def test_convolutions() -> None:
    w, bias = weights(5, 4, 3, 2), weights(5)
    check("conv2d", [X, w], convolved(X, w), constant=[1], tolerance=1e-4, **CONVOLUTION)
    with_bias = convolved(X, w) + bias.reshape(5, 1, 1)
    check("conv2d", [X, w, bias], with_bias, constant=[1, 2], tolerance=1e-4, **CONVOLUTION)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions_of_one_point_are_products_in_each_rank(rank: int) -> None:
    x, w = floats(4, *[3] * rank), weights(5, 4, *[1] * rank)
    expected = np.einsum("bc...,oc->bo...", x, w.reshape(5, 4)).astype(np.float32)
    numbers: dict[str, Any] = {
        "data_format": "channels_first", "padding_before": (0,) * rank, "strides": (1,) * rank, "groups": 1,
        "dilation_rate": (1,) * rank, "kernel_size": (1,) * rank,
    }  # fmt: skip
    check(f"conv{rank}d", [x, w], expected, constant=[1], **numbers)
    back = np.swapaxes(w, 0, 1)
    check(f"deconv{rank}d", [x, back], expected, constant=[1], output_padding=(0,) * rank, **numbers)


def test_deconvolutions() -> None:
    w = weights(4, 5, 3, 3)
    numbers: dict[str, Any] = {
        "data_format": "channels_first", "padding_before": (1, 1), "strides": (2, 2), "groups": 1,
        "dilation_rate": (1, 1), "kernel_size": (3, 3), "output_padding": (1, 1),
    }  # fmt: skip
    expected = np.ascontiguousarray(deconvolved(X, w))
    check("deconv2d", [X, w], expected, constant=[1], tolerance=1e-4, **numbers)


def test_a_bias_lies_along_its_axis() -> None:
    for axis, size in [(1, 4), (3, 8), (-1, 8)]:
        bias = weights(size)
        shape = [size, 1, 1] if axis == 1 else [size]
        check("bias_add", [X, bias], X + bias.reshape(shape), constant=[1], axis=axis)


def test_max_pools_pad_with_nothing() -> None:
    expected = windows(X, 3, 2, 1, -np.inf).max(-1)
    check("max_pool_2d", [X], expected, dilation=(1, 1), **POOL)


def test_average_pools_count_the_padding_or_not() -> None:
    total = windows(X, 3, 2, 1, 0).sum(-1)
    present = windows(np.ones_like(X), 3, 2, 1, 0).sum(-1)
    check("avg_pool_2d", [X], total / 9, count_include_pad=True, divisor_override=0, **POOL)
    check("avg_pool_2d", [X], total / present, count_include_pad=False, divisor_override=0, **POOL)
    check("avg_pool_2d", [X], total / 5, count_include_pad=False, divisor_override=5, **POOL)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pools_of_one_window_in_each_rank(rank: int) -> None:
    x = floats(2, *[3] * rank)
    numbers: dict[str, Any] = {
        "data_format": "channels_first",
        "kernel_size": (3,) * rank,
        "stride": (1,) * rank,
        "padding": (0,) * rank,
    }
    axes = tuple(range(2, 2 + rank))
    largest, mean = x.max(axes, keepdims=True), x.mean(axes, keepdims=True)
    check(f"max_pool_{rank}d", [x], largest, dilation=(1,) * rank, **numbers)
    check(f"avg_pool_{rank}d", [x], mean, count_include_pad=True, divisor_override=0, **numbers)
    check(f"adaptive_avg_pool{rank}d", [x], mean)


def test_adaptive_pools_of_equal_and_of_unequal_windows() -> None:
    equal = X[:, :, :, ::2] / 2 + X[:, :, :, 1::2] / 2
    check("adaptive_avg_pool2d", [X], equal)
    parts = [X[:, :, a:b, c:d].mean((2, 3)) for a, b in ((0, 4), (3, 7)) for c, d in ((0, 3), (2, 6), (5, 8))]
    check("adaptive_avg_pool2d", [X], np.stack(parts, -1).reshape(3, 4, 2, 3))


def test_batch_norm_takes_mean_and_variance_of_the_file() -> None:
    mean, variance, scale, shift = (np.abs(weights(4)) + 0.5 for _ in range(4))
    column = [v.reshape(4, 1, 1) for v in (mean, variance, scale, shift)]
    expected = (X - column[0]) / np.sqrt(column[1] + 1e-3) * column[2] + column[3]
    operands = [X, mean, variance, scale, shift]
    numbers: dict[str, Any] = {"axis": 1, "epsilon": 1e-3}
    check("normalization_infer", operands, expected, constant=[1, 2, 3, 4], tolerance=1e-4, **numbers)
    check(
        "normalization_infer", [*operands, X], expected + X, constant=[1, 2, 3, 4], tolerance=1e-4, **numbers
    )


def test_normalizing_by_length_gives_the_squared_length_too() -> None:
    total = (X * X).sum(1, keepdims=True)
    check("l2_normalize", [X], [X / np.sqrt(total), total], axis=1, epsilon=1e-12)


def test_what_cannot_be_translated_says_where_it_stands() -> None:
    last: dict[str, Any] = {**POOL, "data_format": "channels_last"}
    with pytest.raises(UnsupportedError, match=r"line 7, op 'm-max_pool_2d-0' .*data_format 'channels_last'"):
        check("max_pool_2d", [X], X, dilation=(1, 1), **last)
    missing: dict[str, Any] = {key: value for key, value in POOL.items() if key != "stride"}
    with pytest.raises(ConfigError, match="the attribute 'stride' is missing"):
        check("max_pool_2d", [X], X, dilation=(1, 1), **missing)
    with pytest.raises(ConfigError, match="one number for each spatial axis"):
        check("max_pool_2d", [X], X, dilation=(1,), **POOL)
    with pytest.raises(UnsupportedError, match="hang over the padding"):
        hanging: dict[str, Any] = {**POOL, "stride": (3, 3), "padding": (0, 0)}
        check("avg_pool_2d", [X], X[:, :, :3, :3], count_include_pad=True, divisor_override=0, **hanging)
