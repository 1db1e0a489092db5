"""A request against the configuration of the model that it is for. Texts and order are Triton's."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tritium.core.model_config import ModelConfig
from tritium.core.request import InferenceRequest
from tritium.core.tensor import CONFIG_DATATYPES, DataType, Tensor
from tritium.errors import InvalidArgumentError

_LENGTH = struct.Struct("<I")
_MAX_ELEMENTS = 2**60  # of eight bytes; no array library takes more, not even of a tensor that is empty
_BATCH_NOTE = (
    " NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended "
    "to each input shape. If you want to specify the full shape including the batch dim in your input dims "
    "config, try setting max_batch_size to zero. See the model configuration docs for more info on "
    "max_batch_size."
)


@dataclass(frozen=True, slots=True)
class InputRule:
    """What one input must look like."""

    datatype: DataType
    dims: tuple[int, ...]  # without the batch dimension; -1 is any size
    optional: bool


class RequestRules:
    """The checks of one model, prepared once when it is loaded."""

    def __init__(self, config: ModelConfig) -> None:
        self._name = config.name
        self._max_batch_size = config.max_batch_size
        self._inputs: Mapping[str, InputRule] = {
            i.name: InputRule(CONFIG_DATATYPES[i.data_type], tuple(i.dims), i.optional) for i in config.input
        }
        self._outputs = frozenset(o.name for o in config.output)
        self._required = sum(not rule.optional for rule in self._inputs.values())

    def check(self, request: InferenceRequest) -> None:
        """Accept ``request`` and set its ``batch_size``, or say what is wrong with it.

        Raises:
            InvalidArgumentError: the request does not fit the model.
        """
        self._check_names(request)
        batch_size = -1
        for tensor in request.inputs:
            rule = self._inputs[tensor.name]
            if tensor.datatype is not rule.datatype:
                raise self._error(
                    request,
                    f"inference input '{tensor.name}' data-type is '{tensor.datatype.value}', "
                    f"but model '{self._name}' expects '{rule.datatype.value}'",
                )
            rows = self._check_shape(request, tensor, rule)
            self._check_size(request, tensor)
            if batch_size not in (-1, rows):
                text = f"input '{tensor.name}' batch size does not match other inputs for '{self._name}'"
                raise self._error(request, text)
            batch_size = rows
        request.batch_size = batch_size if batch_size > 0 else 1

    def _error(self, request: InferenceRequest, text: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"{request.label} {text}")

    def _check_names(self, request: InferenceRequest) -> None:
        names = {tensor.name for tensor in request.inputs}
        if len(names) != len(request.inputs):
            given = Counter(tensor.name for tensor in request.inputs)
            twice = next(name for name, count in given.items() if count > 1)
            raise self._error(request, f"input '{twice}' already exists in request")
        if not self._required <= len(names) <= len(self._inputs):
            raise self._error(request, self._count_text(names))
        for name in names:
            if name not in self._inputs:
                raise InvalidArgumentError(f"unexpected inference input '{name}' for model '{self._name}'")
        if self._required != len(self._inputs) and self._missing(names):
            raise self._error(request, self._count_text(names))
        for name in request.requested_outputs:
            if name not in self._outputs:
                raise InvalidArgumentError(f"unexpected inference output '{name}' for model '{self._name}'")

    def _missing(self, names: set[str]) -> list[str]:
        return [name for name, rule in self._inputs.items() if not rule.optional and name not in names]

    def _count_text(self, names: set[str]) -> str:
        expected = f"{len(self._inputs)}"
        if self._required != len(self._inputs):
            expected = f"number of inputs between {self._required} and {len(self._inputs)}"
        else:
            expected += " inputs"
        missing = self._missing(names)
        # Triton leaves the opening bracket out where nothing is missing.
        missing_text = f"[{_quoted(missing)}]" if missing else "]"
        return (
            f"expected {expected} but got {len(names)} inputs for model '{self._name}'. Got input(s) "
            f"[{_quoted(sorted(names))}], but missing required input(s) {missing_text}. Please provide all "
            "required input(s)."
        )

    def _check_shape(self, request: InferenceRequest, tensor: Tensor, rule: InputRule) -> int:
        """Rows of ``tensor``: its first dimension for a model that batches, else 1."""
        shape = tensor.shape
        if not self._max_batch_size:
            if not fits(shape, rule.dims):
                raise self._error(request, self._shape_text(tensor, rule.dims) + " ")
            return 1
        if not shape:
            raise self._error(
                request,
                f"input '{tensor.name}' has no shape but model requires batch dimension for '{self._name}'",
            )
        if shape[0] > self._max_batch_size:
            raise self._error(
                request, f"inference request batch-size must be <= {self._max_batch_size} for '{self._name}'"
            )
        if shape[0] < 0 or not fits(shape[1:], rule.dims):
            raise self._error(request, self._shape_text(tensor, (-1, *rule.dims)) + _BATCH_NOTE)
        if shape[0] == 0:  # Triton counts such a batch as one row, and so finds bytes missing
            row_bytes = math.prod(shape[1:]) * tensor.datatype.itemsize
            raise self._error(request, self._size_text(tensor, row_bytes))
        return shape[0]

    def _shape_text(self, tensor: Tensor, expected: Sequence[int]) -> str:
        return (
            f"unexpected shape for input '{tensor.name}' for model '{self._name}'. "
            f"Expected [{_joined(expected)}], got [{_joined(tensor.shape)}]."
        )

    def _check_size(self, request: InferenceRequest, tensor: Tensor) -> None:
        count = 1
        for dim in tensor.shape:
            count *= dim
        if tensor.datatype is DataType.BYTES:
            self._check_elements(request, tensor, count)
        elif count * tensor.datatype.itemsize != len(tensor.buffer):
            raise self._error(request, self._size_text(tensor, count * tensor.datatype.itemsize))
        if not count and math.prod(dim for dim in tensor.shape if dim) >= _MAX_ELEMENTS:
            raise self._error(
                request,
                f"input '{tensor.name}' has shape [{_joined(tensor.shape)}]; the product of its dimensions "
                f"other than 0 has to be less than {_MAX_ELEMENTS}",
            )

    def _size_text(self, tensor: Tensor, expected: int) -> str:
        return (
            f"input byte size mismatch for input '{tensor.name}' for model '{self._name}'. "
            f"Expected {expected}, got {len(tensor.buffer)}"
        )

    def _check_elements(self, request: InferenceRequest, tensor: Tensor, expected: int) -> None:
        buffer, position, found = tensor.buffer, 0, 0
        end = len(buffer)
        where = f"for inference input '{tensor.name}'"
        while position < end:
            if found == expected:
                raise self._error(
                    request,
                    f"unexpected number of string elements {found + 1} {where} for model '{self._name}', "
                    f"expecting {expected}",
                )
            if end - position < 4:
                raise self._error(
                    request,
                    f"incomplete string length indicator {where} for model '{self._name}', expecting 4 "
                    f"bytes but only {end - position} bytes available. Please make sure the string length "
                    "indicator is in one buffer.",
                )
            (length,) = _LENGTH.unpack_from(buffer, position)
            position += 4
            if length > end - position:
                raise InvalidArgumentError(
                    f"incomplete string data {where}, expecting string of length {length} but only "
                    f"{end - position} bytes available"
                )
            position += length
            found += 1
        if found != expected:
            raise self._error(
                request, f"expected {expected} string elements {where} for model '{self._name}', got {found}"
            )


def fits(shape: Sequence[int], dims: Sequence[int]) -> bool:
    """Whether ``shape`` is ``dims``, of which -1 is any size."""
    if len(shape) != len(dims):
        return False
    for size, dim in zip(shape, dims, strict=True):  # noqa: SIM110 - a generator takes twice as long
        if size < 0 or dim not in (-1, size):
            return False
    return True


def _quoted(names: Sequence[str]) -> str:
    return ",".join(f"'{name}'" for name in names)


def _joined(dims: Sequence[int]) -> str:
    return ",".join(map(str, dims))
