"""Which requests of a model may run in one batch."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from tritium.core.model_config import ModelConfig
from tritium.core.request import InferenceRequest


def batch_signature(config: ModelConfig) -> Callable[[InferenceRequest], Hashable] | None:
    """What requests that run together share; None if all requests of the model can.

    Those are the names of their inputs, and the shapes, without the batch dimension, of the inputs that are
    not ragged. Datatypes are the model's, or the request would not have been accepted.
    """
    ragged = frozenset(i.name for i in config.input if i.allow_ragged_batch)
    free = [i for i in config.input if -1 in i.dims and i.name not in ragged]
    optional = any(i.optional for i in config.input)
    if not free and not optional:
        return None
    if len(config.input) == 1:
        return _single_shape if free else _presence

    def signature(request: InferenceRequest) -> Hashable:
        shapes = [(t.name, () if t.name in ragged else t.shape[1:]) for t in request.inputs]
        shapes.sort()
        return tuple(shapes)

    return signature


def _single_shape(request: InferenceRequest) -> Hashable:
    return request.inputs[0].shape[1:] if request.inputs else None


def _presence(request: InferenceRequest) -> Hashable:
    return bool(request.inputs)
