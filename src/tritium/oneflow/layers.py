"""Convolutions, pools and norms, channels first."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tritium.core.tensor import Array
from tritium.oneflow.emitter import Emitter, refused
from tritium.oneflow.graph import Operation
from tritium.oneflow.operation import Table, Translation
from tritium.oneflow.rows import RowPlan, RowsMixed, State, apart_from, everywhere, first_axis

_MAX_WINDOWED = 1 << 14  # pixels along an axis that is averaged by a matrix


def check_channels_first(op: Operation) -> None:
    """Refuse the other layout, which no CPU network has."""
    if "data_format" in op.attributes and op.text("data_format") != "channels_first":
        raise refused(op, f"data_format '{op.text('data_format')[:40]}'")


def write_convolution(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    check_channels_first(op)
    before = op.integers("padding_before")
    return emit.node(
        "Conv", values, pads=[*before, *before], strides=op.integers("strides"), group=op.integer("groups"),
        dilations=op.integers("dilation_rate"), kernel_shape=op.integers("kernel_size"),
    )  # fmt: skip


def write_deconvolution(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    check_channels_first(op)
    before = op.integers("padding_before")
    return emit.node(
        "ConvTranspose", values, pads=[*before, *before], strides=op.integers("strides"),
        group=op.integer("groups"),
        dilations=op.integers("dilation_rate"), kernel_shape=op.integers("kernel_size"),
        output_padding=op.integers("output_padding"),
    )  # fmt: skip


def write_bias_add(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    rank = len(op.operand_types[0].shape)
    shape = [1] * rank
    shape[op.axis("axis", rank)] = -1
    bias = values[1] if shape[-1] == -1 else emit.node("Reshape", [values[1], emit.ints(shape)])
    return emit.node("Add", [values[0], bias])


def bias_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """The bias lies along an axis that does not count rows."""
    return apart_from(lambda op: (op.axis("axis", len(op.operand_types[0].shape)),))(op, states, batch)


def write_max_pool(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    check_channels_first(op)
    kernel, stride, dilation = (op.integers(key) for key in ("kernel_size", "stride", "dilation"))
    return emit.node(
        "MaxPool", values, kernel_shape=kernel, strides=stride, dilations=dilation,
        pads=_pads(op, kernel, stride, dilation),
    )  # fmt: skip


def write_average_pool(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """Windows that ceil_mode lets hang over the edge count what is there, the padding or not."""
    check_channels_first(op)
    kernel, stride, padding = (op.integers(key) for key in ("kernel_size", "stride", "padding"))
    pads = _pads(op, kernel, stride, [1] * len(kernel))
    divisor = op.integer("divisor_override")
    counted = op.flag("count_include_pad") or divisor != 0
    if counted and divisor == 0 and any(end > p for end, p in zip(pads[len(kernel) :], padding, strict=True)):
        raise refused(op, "ceil_mode with count_include_pad, where windows hang over the padding,")
    pooled = emit.node(
        "AveragePool", values, kernel_shape=kernel, strides=stride, pads=pads, count_include_pad=int(counted)
    )
    if divisor == 0:
        return pooled
    return emit.node("Mul", [pooled, emit.scalar(prod(kernel) / divisor, op.operand_types[0].element)])


def _pads(op: Operation, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """Padding before and after each spatial axis that gives the result its saved size."""
    before = op.integers("padding")
    sizes = op.operand_types[0].shape[2:]
    if {len(kernel), len(stride), len(dilation), len(before)} != {len(sizes)}:
        raise op.error("kernel_size, stride, dilation and padding must have one number for each spatial axis")
    after = [
        max((out - 1) * s + d * (k - 1) + 1 - size - p, 0)
        for out, s, d, k, size, p in zip(
            op.result_types[0].shape[2:], stride, dilation, kernel, sizes, before, strict=True
        )
    ]
    return [*before, *after]


def write_adaptive_average(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """One number: the mean. Equal windows: a pool. Else, as averaging is linear, a matrix for each axis."""
    sizes, wanted = op.operand_types[0].shape[2:], op.result_types[0].shape[2:]
    if all(w == 1 for w in wanted):
        return emit.node("GlobalAveragePool", values)
    if all(w and size % w == 0 for size, w in zip(sizes, wanted, strict=True)):
        kernel = [size // w for size, w in zip(sizes, wanted, strict=True)]
        return emit.node("AveragePool", values, kernel_shape=kernel, strides=kernel)
    if len(sizes) > 2 or max(*sizes, *wanted) > _MAX_WINDOWED:
        raise refused(op, f"windows of {list(sizes)} to {list(wanted)}")
    dtype = op.operand_types[0].element.numpy
    matrices = [_averages(size, w).astype(dtype) for size, w in zip(sizes, wanted, strict=True)]
    result = emit.node("MatMul", [values[0], emit.constant(matrices[-1].T)])
    return result if len(sizes) == 1 else emit.node("MatMul", [emit.constant(matrices[0]), result])


def _averages(size: int, wanted: int) -> Array:
    """The matrix [wanted, size] that averages each window."""
    matrix = np.zeros((wanted, size))
    for index in range(wanted):
        start, stop = index * size // wanted, -(-(index + 1) * size // wanted)
        matrix[index, start:stop] = 1 / (stop - start)
    return matrix


def write_batch_norm(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """Operands: the tensor, mean, variance, scale, shift, and perhaps a tensor to add."""
    if op.integer("axis") != 1:
        raise refused(op, f"channels along axis {op.integer('axis')}")
    tensor, mean, variance, scale, shift = values[:5]
    result = emit.node(
        "BatchNormalization", [tensor, scale, shift, mean, variance], epsilon=op.number("epsilon")
    )
    return emit.node("Add", [result, values[5]]) if len(values) == 6 else result


def batch_norm_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """Each row by itself: mean and variance are constants."""
    if any(states[1:5]) or (len(states) == 6 and states[5] != states[0]):
        raise RowsMixed("the statistics depend on the input")
    if states[0] is None or states[0].axis != 0:
        raise RowsMixed("rows are not the first axis")
    return everywhere(op, states[0])


def write_l2_normalize(emit: Emitter, op: Operation, values: Sequence[str]) -> Sequence[str]:
    """The second result is the sum of squares."""
    kind = op.operand_types[0].element
    axes = emit.ints([op.axis("axis", len(op.operand_types[0].shape))])
    total = emit.node("ReduceSumSquare", [values[0], axes], keepdims=1)
    least = emit.node("Max", [total, emit.scalar(op.number("epsilon"), kind)])
    return [emit.node("Div", [values[0], emit.node("Sqrt", [least])]), total]


def _along_axis(op: Operation) -> Sequence[int]:
    return (op.axis("axis", len(op.operand_types[0].shape)),)


LAYERS: Table = {
    **{f"conv{n}d": Translation(write_convolution, first_axis, (2, 3)) for n in (1, 2, 3)},
    **{f"deconv{n}d": Translation(write_deconvolution, first_axis, (2, 3)) for n in (1, 2, 3)},
    **{f"max_pool_{n}d": Translation(write_max_pool, first_axis, (1, 1)) for n in (1, 2, 3)},
    **{f"avg_pool_{n}d": Translation(write_average_pool, first_axis, (1, 1)) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": Translation(write_adaptive_average, first_axis, (1, 1)) for n in (1, 2, 3)},
    "bias_add": Translation(write_bias_add, bias_rows, (2, 2)),
    "normalization_infer": Translation(write_batch_norm, batch_norm_rows, (5, 6)),
    "l2_normalize": Translation(write_l2_normalize, apart_from(_along_axis), (1, 1)),
}
