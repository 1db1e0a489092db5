"""A saved graph to an ONNX model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from tritium.errors import UnsupportedError
from tritium.oneflow.batch import Batch, find_batch
from tritium.oneflow.emitter import Emitter, tensor_info
from tritium.oneflow.graph import CONTRADICTIONS, Graph, Operation, Port
from tritium.oneflow.table import OPERATIONS

if TYPE_CHECKING:
    from onnx import ModelProto

BATCH_DIMENSION = "batch"
BATCH_METADATA = "tritium.batch"  # "variable", or "saved: " and the reason
# An ONNX model is one protobuf message, which cannot be larger; what is not weights takes little.
MAX_WEIGHT_BYTES = (1 << 31) - (16 << 20)


@dataclass(frozen=True, slots=True)
class TranslatedGraph:
    """The ONNX model (inputs INPUT_<i>, outputs OUTPUT_<i>), and what is known of its batch dimension."""

    model: ModelProto
    batch: Batch


def check_coverage(graph: Graph) -> None:
    """Whether every operation can be translated.

    Raises:
        UnsupportedError: some cannot; the text lists all of them.
    """
    unknown = [op for op in graph.operations if op.kind not in OPERATIONS]
    if unknown:
        counts = Counter(op.kind for op in unknown)
        listed = ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
        raise UnsupportedError(
            f"{graph.file}: this version cannot translate the operations {listed}, first in line "
            f"{unknown[0].line}; change the model, or export it to ONNX from the training framework and "
            "serve that"
        )


def translate(graph: Graph) -> TranslatedGraph:
    """Translate ``graph``. Its batch dimension becomes variable where that is proven to be right.

    Raises:
        ConfigError: an operation contradicts itself.
        UnsupportedError: an operation cannot be translated, or the weights are too large for one ONNX model.
    """
    check_coverage(graph)
    _check_size(graph)
    batch = find_batch(graph)
    emitter = Emitter(batch.rows, "INPUT_0")
    names = {port.value: f"INPUT_{index}" for index, port in enumerate(graph.inputs)}
    for index, parameter in enumerate(graph.parameters):
        names[parameter.value] = f"parameter_{index}"
        emitter.initializer(f"parameter_{index}", parameter.array())
    types = {
        result: type_
        for op in graph.operations
        for result, type_ in zip(op.results, op.result_types, strict=True)
    }
    for op in graph.operations:
        _translate_operation(emitter, op, names, batch)
    for index, port in enumerate(graph.outputs):
        if port.value not in names:
            raise UnsupportedError(
                f"{graph.file}: OUTPUT_{index} is a result that is not translated: {port.value}"
            )
        made = types.get(port.value)
        source = names[port.value]
        if made is not None and made.element is not port.type.element:
            source = emitter.cast(source, port.type.element)
        emitter.named("Identity", [source], f"OUTPUT_{index}")
    metadata = {BATCH_METADATA: "variable" if batch.variable else f"saved: {batch.reason}"}
    inputs = [_declared(port, f"INPUT_{i}", batch) for i, port in enumerate(graph.inputs)]
    outputs = [_declared(port, f"OUTPUT_{i}", batch) for i, port in enumerate(graph.outputs)]
    return TranslatedGraph(emitter.model(inputs, outputs, metadata), batch)


def _check_size(graph: Graph) -> None:
    total = sum(prod(p.type.shape) * p.type.element.itemsize for p in graph.parameters)
    if total > MAX_WEIGHT_BYTES:
        raise UnsupportedError(
            f"{graph.file}: the parameters have {total} bytes, and an ONNX model holds at most "
            f"{MAX_WEIGHT_BYTES}; split the model, or save it with half precision"
        )


def _translate_operation(emitter: Emitter, op: Operation, names: dict[str, str], batch: Batch) -> None:
    known = OPERATIONS[op.kind]
    least, most = known.operands
    if not least <= len(op.operands) <= most or not op.results:
        raise op.error(
            f"it has {len(op.operands)} operands and {len(op.results)} results; expected {least} to {most}, "
            "and 1 or more"
        )
    values = []
    for index, operand in enumerate(op.operands):
        if operand not in names:
            raise UnsupportedError(
                f"{op.place}: it needs {operand}, a result that this version does not translate"
            )
        name = names[operand]
        rows = batch.tiled.get((op.results[0], index))
        values.append(name if rows is None else emitter.tiled(name, len(op.operand_types[index].shape), rows))
    try:
        written = known.write(emitter, op, values)
    except CONTRADICTIONS as error:
        raise op.error(f"its attributes and shapes contradict each other: {error}") from error
    made: Sequence[str] = [written] if isinstance(written, str) else written
    names.update(zip(op.results, made, strict=False))


def _declared(port: Port, name: str, batch: Batch) -> object:
    shape: list[int | str] = list(port.type.shape)
    if batch.variable:
        shape[0] = BATCH_DIMENSION
    return tensor_info(name, port.type.element, shape)
