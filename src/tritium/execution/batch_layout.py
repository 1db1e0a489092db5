"""How the requests of a batch lie in the arrays of a model, and how its outputs are split again.

Plain inputs are joined along the batch dimension. With ``allow_ragged_batch`` an input's elements are joined
instead, into one dimension, so that requests of different shapes run together; ``batch_input`` tells the
model where each begins and ends, and ``batch_output`` splits an output by the shapes of an input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

import numpy as np

from tritium.core.model_config import BatchInput, BatchInputKind, ModelConfig
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.core.tensor import CONFIG_DATATYPES, Array, DataType, Tensor
from tritium.errors import InternalError
from tritium.execution.batch import gather, joined, respond, scatter

Shape = tuple[int, ...]


class BatchLayout:
    """The layout of one model's batches."""

    def __init__(self, config: ModelConfig) -> None:
        self._datatypes: Mapping[str, DataType] = {
            name: CONFIG_DATATYPES[data_type] for name, data_type in config.given_outputs
        }
        self._ragged = frozenset(i.name for i in config.input if i.allow_ragged_batch and config.batching)
        self._batch_inputs = config.batch_input
        self._sources = {
            name: batch_output.source_input[0]
            for batch_output in config.batch_output
            for name in batch_output.target_name
        }
        batch = (-1,) if config.batching else ()
        self._shapes = {o.name: (*batch, *o.dims) for o in config.output if o.name in self._sources}
        self._plain = not (self._ragged or self._batch_inputs or self._sources)

    @property
    def output_names(self) -> tuple[str, ...]:
        """All outputs that the configuration declares, and the states of sequences."""
        return tuple(self._datatypes)

    def gather(self, requests: Sequence[InferenceRequest]) -> dict[str, Array]:
        """The model's inputs for a batch; what ``batch_input`` makes is among them."""
        if self._plain:
            return gather(requests)
        inputs = {
            tensor.name: _flat(requests, tensor.name)
            if tensor.name in self._ragged
            else joined(requests, tensor.name)
            for tensor in requests[0].inputs
        }
        for batch_input in self._batch_inputs:
            inputs[batch_input.target_name[0]] = _made(batch_input, requests)
        return inputs

    def scatter(
        self, requests: Sequence[InferenceRequest], outputs: Mapping[str, Array]
    ) -> list[InferenceResponse]:
        """A response per request, in batch order, with the outputs that it asked for: views of ``outputs``.

        Raises:
            InternalError: an output does not divide among the requests; no request gets a part of it.
        """
        if not self._sources:
            return scatter(requests, outputs, self._datatypes)
        by_rows = {name: array for name, array in outputs.items() if name not in self._sources}
        responses = scatter(requests, by_rows, self._datatypes)
        for name, source in self._sources.items():
            if name in outputs:
                parts = self._split(requests, name, source, outputs[name])
                for request, response, part in zip(requests, responses, parts, strict=True):
                    respond(request, response, Tensor.from_array(name, part, self._datatypes[name]))
        return responses

    def _split(
        self, requests: Sequence[InferenceRequest], name: str, source: str, array: Array
    ) -> list[Array]:
        """The elements of an output, one request after the other, each in the shape of its ``source``."""
        shapes = [self._shape(name, source, request) for request in requests]
        ends = [0, *accumulate(math.prod(shape) for shape in shapes)]
        if array.size != ends[-1]:
            raise InternalError(
                f"output '{name}' has {array.size} elements, expected {ends[-1]}: the batch's requests have "
                f"'{source}' such that they get the shapes {', '.join(str(list(s)) for s in shapes[:8])}"
            )
        flat = array.reshape(-1)
        return [
            flat[start:end].reshape(shape) for start, end, shape in zip(ends, ends[1:], shapes, strict=False)
        ]

    def _shape(self, name: str, source: str, request: InferenceRequest) -> Shape:
        """The declared shape of an output, with the sizes of its source where it is variable."""
        given = shape_of(request, source)
        shape = self._shapes[name]
        if len(given) < len(shape):
            raise InternalError(
                f"output '{name}' gets its sizes from '{source}', which has the shape {list(given)} and so "
                f"not the {len(shape)} dimensions of {list(shape)}"
            )
        return tuple(given[i] if size == -1 else size for i, size in enumerate(shape))


def shape_of(request: InferenceRequest, name: str) -> Shape:
    """The shape of an input, batch dimension included; no elements if the request leaves it out."""
    return next((tensor.shape for tensor in request.inputs if tensor.name == name), (0,))


def _flat(requests: Sequence[InferenceRequest], name: str) -> Array:
    parts = [t.array().reshape(-1) for r in requests for t in r.inputs if t.name == name]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _made(batch_input: BatchInput, requests: Sequence[InferenceRequest]) -> Array:
    """What the server says of the batch; the element type is FP32 or INT32."""
    shapes = [shape_of(request, batch_input.source_input[0]) for request in requests]
    dtype = np.float32 if batch_input.data_type == "TYPE_FP32" else np.int32
    return np.asarray(_MAKERS[batch_input.kind](shapes), dtype)


def _counts(shapes: Sequence[Shape]) -> list[int]:
    return [math.prod(shape) for shape in shapes]


def _item_shapes(shapes: Sequence[Shape]) -> list[Shape]:
    """For each row of the batch its shape, so without the batch dimension."""
    return [shape[1:] for shape in shapes for _ in range(shape[0])]


# By kind, from the shapes of the source in each request. Numbers per request have the shape [requests]; of
# BATCH_MAX_ELEMENT_COUNT_AS_SHAPE only the shape means something.
_MAKERS: Mapping[BatchInputKind, Callable[[Sequence[Shape]], object]] = {
    "BATCH_ELEMENT_COUNT": _counts,
    "BATCH_ACCUMULATED_ELEMENT_COUNT": lambda shapes: list(accumulate(_counts(shapes))),
    "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO": lambda shapes: [0, *accumulate(_counts(shapes))],
    "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE": lambda shapes: np.zeros(max(_counts(shapes))),
    "BATCH_ITEM_SHAPE": _item_shapes,
    "BATCH_ITEM_SHAPE_FLATTEN": lambda shapes: [size for shape in _item_shapes(shapes) for size in shape],
}
