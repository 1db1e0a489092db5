"""A configuration completed by what the model file knows; what the file says wins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tritium.core.model_config import (
    DynamicBatching,
    ModelConfig,
    ModelInput,
    ModelOutput,
    TensorReshape,
)
from tritium.core.model_description import TensorSpec
from tritium.errors import ConfigError

_IO = TypeVar("_IO", ModelInput, ModelOutput)


@dataclass(frozen=True, slots=True)
class Completed:
    """A completed configuration, and what an operator should know about it."""

    config: ModelConfig
    warnings: tuple[str, ...] = ()


def can_batch(tensors: Iterable[TensorSpec]) -> bool:
    """Whether every tensor has a variable first dimension, which Triton takes for a batch dimension."""
    return all(tensor.dims and tensor.dims[0] == -1 for tensor in tensors)


def merge(
    config: ModelConfig,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    batching: bool,
    *,
    default_max_batch_size: int,
) -> Completed:
    """``config`` with the inputs, outputs, batch size and batcher that it does not give.

    Nothing is done where inputs and outputs are given in full. An input or output that is given without
    ``data_type`` or ``dims`` gets them from the tensor of its name.

    Args:
        batching: whether the model takes any number of rows; ``can_batch`` for formats that cannot say it.
        default_max_batch_size: where it does, and no size is given.

    Raises:
        ConfigError: a batch size is given for a model that does not batch.
    """
    if _full(config.input) and _full(config.output):
        return Completed(config)
    if not batching and config.batching:
        raise ConfigError(
            f"autofill failed for model '{config.name}': model does not support batching while non-zero "
            "max_batch_size is specified; write max_batch_size: 0, or make the first dimension of every "
            "input and output variable"
        )
    if config.sequence_batching is not None:
        made, kept = config.sequence_batching.made_inputs, config.sequence_batching.kept_outputs
        inputs = [tensor for tensor in inputs if tensor.name not in made]
        outputs = [tensor for tensor in outputs if tensor.name not in kept]
    sized, warnings = _sized(config, (*inputs, *outputs), batching, default_max_batch_size)
    return Completed(
        replace(
            sized,
            input=_completed(ModelInput, sized.input, inputs, sized.batching),
            output=_completed(ModelOutput, sized.output, outputs, sized.batching),
        ),
        warnings,
    )


def _sized(
    config: ModelConfig, tensors: Sequence[TensorSpec], batching: bool, default: int
) -> tuple[ModelConfig, tuple[str, ...]]:
    """``config`` with its batch size and batcher, and the warnings about them."""
    warnings: tuple[str, ...] = ()
    if batching and not config.batching and default > 0 and not _described_unbatched(config, tensors):
        config = replace(config, max_batch_size=default)
        # Triton's spelling.
        warning = (
            f"autofilled max_batch_size to {default} for model '{config.name}' since batching is supporrted "
            "but no max_batch_size is specified in model configuration. Must specify max_batch_size to "
            "utilize autofill with a larger max batch size"
        )
        warnings = (warning,)
    scheduled = config.dynamic_batching or config.sequence_batching or config.ensemble_scheduling
    if config.max_batch_size > 1 and scheduled is None:
        config = replace(config, dynamic_batching=DynamicBatching())
    return config, warnings


def _full(given: Sequence[ModelInput] | Sequence[ModelOutput]) -> bool:
    return bool(given) and all(io.dims and io.data_type != "TYPE_INVALID" for io in given)


def _described_unbatched(config: ModelConfig, tensors: Sequence[TensorSpec]) -> bool:
    """Whether the file gives full shapes, which a batch dimension in front would break."""
    ranks = {tensor.name: len(tensor.dims) for tensor in tensors}
    given = [(i.name, i.dims) for i in config.input] + [(o.name, o.dims) for o in config.output]
    return any(dims and len(dims) == ranks.get(name) for name, dims in given)


def _completed(
    kind: type[_IO], given: tuple[_IO, ...], tensors: Sequence[TensorSpec], batching: bool
) -> tuple[_IO, ...]:
    known = {tensor.name: _described(kind, tensor, batching) for tensor in tensors}
    if not given:
        return tuple(known.values())
    return tuple(_completed_one(io, known.get(io.name)) for io in given)


def _completed_one(io: _IO, known: _IO | None) -> _IO:
    if known is None:
        return io
    if io.data_type == "TYPE_INVALID":
        io = replace(io, data_type=known.data_type)
    return io if io.dims else replace(io, dims=known.dims, reshape=io.reshape or known.reshape)


def _described(kind: type[_IO], tensor: TensorSpec, batching: bool) -> _IO:
    dims = tensor.dims[1:] if batching else tensor.dims
    # A scalar (per row) is [1] to clients; a non-batching model may not have an empty reshape.
    reshape = TensorReshape() if batching and not dims else None
    described = kind(name=tensor.name, data_type=tensor.data_type, dims=dims or (1,), reshape=reshape)
    if tensor.optional and isinstance(described, ModelInput):
        return replace(described, optional=True)
    return described
