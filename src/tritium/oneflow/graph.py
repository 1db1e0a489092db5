"""A saved OneFlow graph as data: typed tensors, operations in the order they can run, inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tritium.core.tensor import Array, DataType
from tritium.errors import ConfigError, TritiumError

# What Python raises where numbers that should fit each other do not.
CONTRADICTIONS = (ArithmeticError, LookupError, TypeError, ValueError)

Attribute = int | float | bool | str | tuple["Attribute", ...]


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type and shape; a graph is saved with fixed shapes."""

    element: DataType
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the file. Values are named as there: ``%12``, ``%12#1``."""

    kind: str  # "conv2d"
    name: str  # "module.conv-conv2d-0"
    file: str  # relative, for error texts
    line: int
    operands: tuple[str, ...]
    operand_types: tuple[TensorType, ...]
    results: tuple[str, ...]
    result_types: tuple[TensorType, ...]
    attributes: Mapping[str, Attribute]

    @property
    def place(self) -> str:
        """Where it stands, as error texts begin."""
        return f"{self.file}, line {self.line}, op '{self.name}' ({self.kind})"

    def integer(self, key: str) -> int:
        """An integer attribute.

        Raises:
            ConfigError: it is missing or no integer; so say all of these accessors.
        """
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, value, "an integer")
        return value

    def number(self, key: str) -> float:
        """A floating-point attribute (an integer will do)."""
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, value, "a number")
        return float(value)

    def flag(self, key: str) -> bool:
        """A boolean attribute."""
        value = self._get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def text(self, key: str) -> str:
        """A string attribute."""
        value = self._get(key)
        if not isinstance(value, str):
            raise self._wrong(key, value, "a string")
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        """An array of integers."""
        value = self._get(key)
        if not isinstance(value, tuple):
            raise self._wrong(key, value, "an array of integers")
        numbers = [v for v in value if isinstance(v, int) and not isinstance(v, bool)]
        if len(numbers) != len(value):
            raise self._wrong(key, value, "an array of integers")
        return tuple(numbers)

    def data_type(self, key: str) -> DataType:
        """An attribute that holds OneFlow's number of a data type."""
        number = self.integer(key)
        found = DATA_TYPES.get(number)
        if found is None:
            known = ", ".join(f"{k} ({v.value})" for k, v in DATA_TYPES.items())
            raise self.error(
                f"{key} is {number}, which is none of the data types that can be served: {known}"
            )
        return found

    def axis(self, key: str, rank: int) -> int:
        """An axis of a tensor of ``rank``, made non-negative."""
        return self.checked_axis(self.integer(key), rank)

    def checked_axis(self, axis: int, rank: int) -> int:
        """``axis``, made non-negative."""
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} is outside of a tensor with {rank} dimensions")
        return axis % rank

    def error(self, text: str) -> TritiumError:
        """A ConfigError that begins with this operation's place."""
        return ConfigError(f"{self.place}: {text}; the file is damaged: save the graph again")

    def _get(self, key: str) -> Attribute:
        if key not in self.attributes:
            raise self.error(f"the attribute '{key}' is missing")
        return self.attributes[key]

    def _wrong(self, key: str, value: Attribute, expected: str) -> TritiumError:
        return self.error(f"the attribute '{key}' is {str(value)[:60]!r} but must be {expected}")


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the graph: ``value`` is what it brings or takes."""

    value: str
    type: TensorType
    name: str  # the operation's, which says the position in the call


@dataclass(frozen=True, slots=True)
class Parameter:
    """A tensor in a file of its own, which holds exactly its elements, little-endian and row-major."""

    value: str
    name: str
    type: TensorType
    path: Path

    def array(self) -> Array:
        """The elements, memory-mapped and read-only."""
        dtype, shape = self.type.element.numpy, self.type.shape
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.memmap(self.path, dtype=dtype, mode="r", shape=shape or (1,)).reshape(shape)


@dataclass(frozen=True, slots=True)
class Graph:
    """A saved graph. Inputs and outputs are in call order: INPUT_0 is the first argument."""

    file: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: tuple[Parameter, ...]
    operations: tuple[Operation, ...]


# OneFlow's numbers of the types that the v2 protocol can carry and its CPU kernels compute with.
DATA_TYPES: Mapping[int, DataType] = {
    2: DataType.FP32,
    3: DataType.FP64,
    4: DataType.INT8,
    5: DataType.INT32,
    6: DataType.INT64,
    7: DataType.UINT8,
    9: DataType.FP16,
    12: DataType.BOOL,
}
