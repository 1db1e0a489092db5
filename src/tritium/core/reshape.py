"""``reshape`` of inputs and outputs: the shape that clients see and the one that the model sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput
from tritium.core.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Reshape:
    """By tensor name, the dims that it comes with and those that it gets, both without the batch dimension.

    A -1 among the new dims takes the size of the -1 in the same place among the old dims' variable ones.
    """

    batching: bool
    dims: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]

    def apply(self, tensors: Iterable[Tensor]) -> None:
        """Give ``tensors`` their other shapes; those without a reshape, or of another rank, keep theirs."""
        if not self.dims:
            return
        for tensor in tensors:
            found = self.dims.get(tensor.name)
            if found is None:
                continue
            old, new = found
            batch, rest = (tensor.shape[:1], tensor.shape[1:]) if self.batching else ((), tensor.shape)
            if len(rest) == len(old):
                variable = iter([size for size, dim in zip(rest, old, strict=True) if dim == -1])
                tensor.shape = (*batch, *(next(variable) if dim == -1 else dim for dim in new))


def input_reshape(config: ModelConfig) -> Reshape:
    """From a client's inputs to the model's."""
    return Reshape(config.batching, {name: (dims, shape) for name, dims, shape in _reshaped(config.input)})


def output_reshape(config: ModelConfig) -> Reshape | None:
    """From the model's outputs to a client's; None when there is nothing to do."""
    dims = {name: (shape, dims) for name, dims, shape in _reshaped(config.output)}
    return Reshape(config.batching, dims) if dims else None


def _reshaped(
    tensors: Iterable[ModelInput | ModelOutput],
) -> Iterable[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    for tensor in tensors:
        if tensor.reshape is not None:
            yield tensor.name, tuple(tensor.dims), tuple(tensor.reshape.shape)
