"""Requests to batched arrays, and batched arrays back to responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.core.tensor import Array, DataType, Tensor
from tritium.errors import InternalError


def gather(requests: Sequence[InferenceRequest]) -> dict[str, Array]:
    """Join the inputs of a batch along the first dimension: the one copy; a single request is not copied.

    All requests have the same inputs, with shapes that differ in the first dimension only.
    """
    first = requests[0]
    if len(requests) == 1:
        return {tensor.name: tensor.array() for tensor in first.inputs}
    return {tensor.name: joined(requests, tensor.name) for tensor in first.inputs}


def joined(requests: Sequence[InferenceRequest], name: str) -> Array:
    """One input of a batch; a single request's is not copied."""
    parts = [next(t for t in r.inputs if t.name == name).array() for r in requests]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def scatter(
    requests: Sequence[InferenceRequest], outputs: Mapping[str, Array], datatypes: Mapping[str, DataType]
) -> list[InferenceResponse]:
    """Split batched outputs back to their requests.

    Args:
        outputs: by name, each of shape [rows, ...] where rows is the batch's total (any shape for one
            request).
        datatypes: of the outputs that the configuration declares; others are dropped.

    Returns:
        A response per request, in batch order, with the outputs that it asked for: views of ``outputs``.

    Raises:
        InternalError: an output has a different number of rows; no request gets a part of it.
    """
    if len(requests) == 1:
        return [_response(requests[0], outputs, datatypes)]
    rows = sum(r.batch_size for r in requests)
    for name, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != rows:
            raise InternalError(
                f"output '{name}' has shape {list(array.shape)}, expected {rows} rows for the batch"
            )
    responses, start = [], 0
    for request in requests:
        stop = start + request.batch_size
        responses.append(_response(request, {n: a[start:stop] for n, a in outputs.items()}, datatypes))
        start = stop
    return responses


def _response(
    request: InferenceRequest, outputs: Mapping[str, Array], datatypes: Mapping[str, DataType]
) -> InferenceResponse:
    wanted = request.requested_outputs
    return InferenceResponse(
        [
            Tensor.from_array(name, array, datatypes[name])
            for name, array in outputs.items()
            if name in datatypes and (not wanted or name in wanted)
        ]
    )


def respond(request: InferenceRequest, response: InferenceResponse, output: Tensor) -> None:
    """Add ``output`` to ``response`` if ``request`` asked for it."""
    if not request.requested_outputs or output.name in request.requested_outputs:
        response.outputs.append(output)
