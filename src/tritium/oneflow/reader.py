"""A directory that ``oneflow.save`` wrote to a ``Graph``, without OneFlow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

from tritium.core.tensor import DataType
from tritium.errors import ConfigError
from tritium.oneflow.graph import Graph, Operation, Parameter, Port, TensorType
from tritium.oneflow.mlir import Module, parse

GRAPH_FILE = "model.mlir"
MAX_FILE_BYTES = 32 << 20  # of the text: OneFlow writes some 600 bytes an operation

_POSITION = re.compile(r"_(?:input|output)\.(\d{1,9}(?:\.\d{1,9}){0,30})_[^/]*$")
_FREE_TENSOR = "FreeEagerTensor"
_PREDICATES = re.compile(
    r"(?:scalar_logical_\w+|logical_not|broadcast_(?:not_)?equal|broadcast_(?:greater|less)(?:_equal)?"
    r"|broadcast_logical_\w+|is(?:nan|inf|finite)|reduce_(?:any|all))"
)


def read_graph(directory: Path) -> Graph:
    """The graph saved in ``directory``; parameters are checked but not read.

    Raises:
        ConfigError: something is missing or damaged; the text names the file (below the model's
            directory), the line and the operation.
    """
    file = f"{directory.parent.name}/{directory.name}/{GRAPH_FILE}"
    module = parse(_text(directory / GRAPH_FILE, file), file)
    operations = _with_booleans(module.operations)
    inputs = [op for op in operations if op.kind == "input"]
    outputs = [op for op in operations if op.kind == "output"]
    _check_ends(module, inputs, outputs, file)
    parameters = [_parameter(directory, op) for op in operations if op.kind == "variable"]
    others = tuple(op for op in operations if op.kind not in ("input", "output", "variable"))
    return Graph(
        file,
        tuple(_port(op, op.results[0]) for op in _in_call_order(inputs)),
        tuple(_port(op, op.operands[0]) for op in _in_call_order(outputs)),
        tuple(parameters),
        others,
    )


def _text(path: Path, file: str) -> str:
    try:
        if not path.is_file():  # not a pipe either, which would be waited for
            raise ConfigError(
                f"{file} does not exist or is no file; save the graph there: oneflow.save(graph, directory)"
            )
        with path.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}; check its permissions") from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{file} has more than {MAX_FILE_BYTES} bytes; expected the text of one graph")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{file}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8 text; save the graph again"
        ) from error


def _with_booleans(operations: Sequence[Operation]) -> list[Operation]:
    """The file writes bool as si8; which is meant follows from data_type, dtype, or how the value is made."""
    booleans: set[str] = set()
    refined: list[Operation] = []
    for op in operations:
        operand_types = tuple(
            _boolean(type_) if value in booleans else type_
            for value, type_ in zip(op.operands, op.operand_types, strict=True)
        )
        result_types = op.result_types
        if _makes_booleans(op, operand_types):
            small = (DataType.INT8, DataType.BOOL)
            result_types = tuple(_boolean(t) if t.element in small else t for t in result_types)
            booleans.update(
                r for r, t in zip(op.results, result_types, strict=True) if t.element is DataType.BOOL
            )
        refined.append(replace(op, operand_types=operand_types, result_types=result_types))
    return refined


def _makes_booleans(op: Operation, operand_types: Sequence[TensorType]) -> bool:
    for key in ("data_type", "dtype"):
        if key in op.attributes and op.kind in ("input", "output", "variable", "constant", "cast"):
            return op.data_type(key) is DataType.BOOL
    if _PREDICATES.fullmatch(op.kind):
        return True
    data = operand_types[1:2] if op.kind == "where" else operand_types[:1]
    return any(t.element is DataType.BOOL for t in data)


def _boolean(type_: TensorType) -> TensorType:
    return TensorType(DataType.BOOL, type_.shape)


def _check_ends(module: Module, inputs: Sequence[Operation], outputs: Sequence[Operation], file: str) -> None:
    for op in inputs:
        if len(op.results) != 1 or len(op.operands) != 1 or op.operands[0] not in module.arguments:
            raise op.error("an input must take one argument of the job and give one tensor")
    for op in outputs:
        if len(op.results) != 1 or len(op.operands) != 1 or op.results[0] not in module.returned:
            raise op.error("an output must take one tensor and be returned by the job")
    for op in (*inputs, *outputs):
        shapes = {op.integers("shape"), op.operand_types[0].shape, op.result_types[0].shape}
        if len(shapes) != 1:
            raise op.error("the attribute 'shape' and the types differ")
        if op.data_type("data_type") is not op.result_types[0].element:
            raise op.error("the attribute 'data_type' and the types differ")
    if len(inputs) != len(module.arguments) or len(outputs) != len(module.returned) or not outputs:
        raise ConfigError(
            f"{file}: the job has {len(module.arguments)} arguments and returns {len(module.returned)} "
            f"values, but there are {len(inputs)} input and {len(outputs)} output operations; save the graph "
            "again"
        )


def _in_call_order(operations: Sequence[Operation]) -> Sequence[Operation]:
    """The order of the call in Python, which only the names tell: the file is sorted otherwise."""
    if len(operations) < 2:
        return operations
    positions: dict[tuple[int, ...], Operation] = {}
    for op in operations:
        match = _POSITION.search(op.name)
        position = tuple(map(int, match.group(1).split("."))) if match is not None else ()
        if not position or position in positions:
            raise op.error(
                f"the name does not tell which {op.kind} it is; expected '_<graph>_{op.kind}.<position>_'"
            )
        positions[position] = op
    return [positions[position] for position in sorted(positions)]


def _port(op: Operation, value: str) -> Port:
    return Port(value, op.result_types[0], op.name)


def _parameter(directory: Path, op: Operation) -> Parameter:
    if len(op.results) != 1 or op.operands:
        raise op.error("a variable takes nothing and gives one tensor")
    type_ = op.result_types[0]
    if op.integers("shape") != type_.shape or op.data_type("data_type") is not type_.element:
        raise op.error("the attributes 'shape' and 'data_type' differ from the type")
    shown = f"{op.file.rpartition('/')[0]}/{op.name}/out"
    if op.name in (".", "..") or len(op.name) > 255 or any(mark in op.name for mark in "/\\\0"):
        raise op.error("the name cannot be that of a directory with a parameter")
    path = directory / op.name / "out"
    wanted = prod(type_.shape) * type_.element.itemsize
    try:
        exists = path.is_file()
        size = path.stat().st_size if exists else 0
    except (OSError, ValueError) as error:
        raise ConfigError(f"{op.place}: {shown} cannot be read: {error}; check its permissions") from error
    if not exists and _FREE_TENSOR in op.name:
        raise ConfigError(
            f"{op.place}: the model uses a tensor that is neither a parameter nor a buffer, and OneFlow "
            "0.9.0 does not save those; make it one in the module (self.register_buffer(name, tensor)), and "
            "save the graph again"
        )
    if not exists:
        raise ConfigError(f"{op.place}: the parameter file {shown} does not exist; copy the whole directory")
    if size != wanted:
        raise ConfigError(
            f"{op.place}: the parameter file {shown} has {size} bytes but {type_.element.value} of shape "
            f"{list(type_.shape)} takes {wanted}; copy the file again"
        )
    return Parameter(op.results[0], op.name, type_, path)
