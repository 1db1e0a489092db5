"""Operations element by element: arithmetic, comparisons, activations, casts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tritium.core.tensor import DataType
from tritium.oneflow.emitter import Emitter, refused
from tritium.oneflow.graph import Operation
from tritium.oneflow.operation import MANY, Table, Translate, Translation
from tritium.oneflow.rows import apart_from, elementwise, last_axis

_SMALL = (DataType.INT8, DataType.UINT8, DataType.BOOL)
_FLOATS = (DataType.FP16, DataType.FP32, DataType.FP64)


def element(op: Operation, operand: int = 0) -> DataType:
    """The element type of an operand."""
    return op.operand_types[operand].element


def node(kind: str, **attributes: Any) -> Translate:
    """An operation that is one node of ONNX."""

    def write(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
        return emit.computed(kind, values, element(op), **attributes)

    return write


def comparison(*kinds: str) -> Translate:
    """Nodes that give booleans, the first from the operands, each other from the one before."""

    def write(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
        result = emit.compared(kinds[0], values, element(op))
        for kind in kinds[1:]:
            result = emit.node(kind, [result])
        return result

    return write


def logical(kind: str) -> Translate:
    """Operands of any type are true where they are not zero."""

    def write(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
        return emit.node(kind, [truth(emit, v, element(op, i)) for i, v in enumerate(values)])

    return write


def truth(emit: Emitter, value: str, kind: DataType) -> str:
    """``value`` as booleans."""
    return value if kind is DataType.BOOL else emit.cast(value, DataType.BOOL)


def scalar(kind: str, *then: str) -> Translate:
    """An operation with a number of the file; ``then`` are nodes behind it."""

    def write(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
        value, type_, number = values[0], element(op), operand_number(op)
        if isinstance(number, float) and type_ not in _FLOATS:
            value, type_ = emit.cast(value, DataType.FP32), DataType.FP32
        pair = [value, emit.scalar(number, type_)]
        if op.result_types[0].element is not DataType.BOOL:
            return emit.computed(kind, pair, type_)
        result = emit.compared(kind, pair, type_)
        for node_kind in then:
            result = emit.node(node_kind, [result])
        return result

    return write


def operand_number(op: Operation) -> float:
    """The number that a scalar operation holds: an int, a float or a bool as such."""
    if op.flag("has_float_operand"):
        return op.number("float_operand")
    if "has_bool_operand" in op.attributes and op.flag("has_bool_operand"):
        return int(op.flag("bool_operand"))
    return op.integer("int_operand")


def with_attribute(kind: str, **names: str) -> Translate:
    """A node whose attributes (``alpha="beta"``: ONNX's, OneFlow's) are numbers of the file."""

    def write(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
        return emit.node(kind, values, **{onnx: op.number(key) for onnx, key in names.items()})

    return write


def write_sum(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """add_n: two or more of one shape."""
    result = values[0]
    for value in values[1:]:
        result = emit.computed("Add", [result, value], element(op))
    return result


def write_cast(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """A float becomes a narrow integer through int32: of what does not fit, the low bits stay."""
    to = op.data_type("dtype")
    value = values[0]
    if to in (DataType.INT8, DataType.UINT8) and element(op) in _FLOATS:
        value = emit.cast(value, DataType.INT32)
    return emit.cast(value, to)


def write_silu(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("Mul", [values[0], emit.node("Sigmoid", values)])


def write_rsqrt(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("Reciprocal", [emit.node("Sqrt", values)])


def write_square(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.computed("Mul", [values[0], values[0]], element(op))


def write_log_sigmoid(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("Neg", [emit.node("Softplus", [emit.node("Neg", values)])])


def write_quick_gelu(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    slope = emit.scalar(1.702, element(op))
    return emit.node("Mul", [values[0], emit.node("Sigmoid", [emit.node("Mul", [values[0], slope])])])


def write_clip(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """clip_by_scalar and its one-sided forms: bounds are floating or integral, as the tensor is."""
    prefix = "floating" if element(op) in _FLOATS else "integral"
    result = values[0]
    for kind, key in (("Max", f"{prefix}_min"), ("Min", f"{prefix}_max")):
        if op.kind == f"clip_by_scalar_{'max' if kind == 'Max' else 'min'}":
            continue  # the one-sided form without this bound
        bound = op.number(key) if prefix == "floating" else op.integer(key)
        result = emit.computed(kind, [result, emit.scalar(bound, element(op))], element(op))
    return result


def write_hardtanh(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    low, high = (emit.scalar(op.number(key), element(op)) for key in ("min_val", "max_val"))
    return emit.node("Clip", [values[0], low, high])


def write_prelu(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """One slope for each channel, which is axis 1, or one for all."""
    rank, slopes = len(op.operand_types[0].shape), op.operand_types[1].shape
    if len(slopes) != 1 or (rank < 2 and slopes != (1,)):
        raise refused(op, f"a slope of shape {list(slopes)}")
    shape = [slopes[0], *[1] * max(rank - 2, 0)]
    return emit.node("PRelu", [values[0], emit.node("Reshape", [values[1], emit.ints(shape)])])


def write_where(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    condition = truth(emit, values[0], element(op))
    return chosen(emit, condition, values[1], values[2], element(op, 1))


def write_masked_fill(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    filling = emit.scalar(operand_number(op), element(op))
    return chosen(emit, truth(emit, values[1], element(op, 1)), filling, values[0], element(op))


def chosen(emit: Emitter, condition: str, yes: str, no: str, kind: DataType) -> str:
    """``yes`` where ``condition`` holds, else ``no``, both of type ``kind``."""
    if kind not in _SMALL:
        return emit.node("Where", [condition, yes, no])
    wide = [emit.cast(value, DataType.INT32) for value in (yes, no)]
    return emit.cast(emit.node("Where", [condition, *wide]), kind)


def write_identity(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return values[0]


def _unary(table: Mapping[str, Translate]) -> Table:
    return {kind: Translation(write, elementwise, (1, 1)) for kind, write in table.items()}


def _binary(table: Mapping[str, Translate]) -> Table:
    return {kind: Translation(write, elementwise, (2, 2)) for kind, write in table.items()}


_SINGLE = {
    "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "exp": "Exp", "log": "Log", "sqrt": "Sqrt",
    "abs": "Abs", "negative": "Neg", "floor": "Floor", "ceil": "Ceil", "round": "Round", "sin": "Sin",
    "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh",
    "cosh": "Cosh",
    "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "erf": "Erf", "sign": "Sign",
    "reciprocal": "Reciprocal", "softsign": "Softsign", "mish": "Mish", "hardswish": "HardSwish",
    "selu": "Selu", "gelu": "Gelu",
}  # fmt: skip
_DOUBLE = {
    "broadcast_add": "Add", "broadcast_sub": "Sub", "broadcast_mul": "Mul", "broadcast_div": "Div",
    "pow": "Pow", "broadcast_pow": "Pow", "elementwise_maximum": "Max", "elementwise_minimum": "Min",
    "broadcast_maximum": "Max", "broadcast_minimum": "Min", "scalar_mul_by_tensor": "Mul",
    "scalar_add_by_tensor": "Add", "scalar_sub_by_tensor": "Sub", "scalar_div_by_tensor": "Div",
}  # fmt: skip
_COMPARISONS = {
    "equal": ("Equal",), "not_equal": ("Equal", "Not"), "greater": ("Greater",), "less": ("Less",),
    "greater_equal": ("GreaterOrEqual",), "less_equal": ("LessOrEqual",),
}  # fmt: skip

ELEMENTWISE: Table = {
    **_unary({kind: node(onnx) for kind, onnx in _SINGLE.items()}),
    **_binary({kind: node(onnx) for kind, onnx in _DOUBLE.items()}),
    **_binary({f"broadcast_{kind}": comparison(*onnx) for kind, onnx in _COMPARISONS.items()}),
    **_unary({f"scalar_logical_{kind}": scalar(*onnx) for kind, onnx in _COMPARISONS.items()}),
    **_binary({f"broadcast_logical_{kind.lower()}": logical(kind) for kind in ("And", "Or", "Xor")}),
    **_unary({f"scalar_{kind.lower()}": scalar(kind) for kind in ("Add", "Mul", "Div", "Pow")}),
    **_unary({
        "logical_not": logical("Not"),
        "fast_gelu": node("Gelu", approximate="tanh"),
        "hardsigmoid": node("HardSigmoid", alpha=1 / 6, beta=0.5),
        "leaky_relu": with_attribute("LeakyRelu", alpha="alpha"),
        "elu": with_attribute("Elu", alpha="alpha"),
        "celu": with_attribute("Celu", alpha="alpha"),
        "cast": write_cast, "silu": write_silu, "rsqrt": write_rsqrt, "square": write_square,
        "log_sigmoid": write_log_sigmoid, "quick_gelu": write_quick_gelu, "hardtanh": write_hardtanh,
        "clip_by_scalar": write_clip, "clip_by_scalar_min": write_clip, "clip_by_scalar_max": write_clip,
        "identity": write_identity, "copy": write_identity,
    }),
    **{kind: Translation(write_sum, elementwise, (1, MANY)) for kind in ("add_n", "add_n2")},
    "where": Translation(write_where, elementwise, (3, 3)),
    "masked_fill": Translation(write_masked_fill, elementwise, (2, 2)),
    "prelu": Translation(write_prelu, apart_from(lambda op: (1,)), (2, 2)),
    "softmax": Translation(node("Softmax", axis=-1), apart_from(last_axis), (1, 1)),
    "log_softmax": Translation(node("LogSoftmax", axis=-1), apart_from(last_axis), (1, 1)),
}  # fmt: skip
