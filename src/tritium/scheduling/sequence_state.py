"""Implicit state: tensors that the server keeps for a sequence, from one request to the next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tritium.core.model_config import ModelConfig
from tritium.core.request import SEQUENCE_START, InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.core.tensor import CONFIG_DATATYPES, DataType, Tensor
from tritium.core.validation import fits
from tritium.errors import InternalError

State = dict[str, Tensor]  # by input name


@dataclass(frozen=True, slots=True)
class _Kept:
    input_name: str
    datatype: DataType
    dims: tuple[int, ...]  # as on the wire; -1 is any size


class ImplicitStates:
    """The states of one model: what its inputs are given, and what is taken from its outputs.

    Args:
        initial: the first state of every sequence, by input name.
    """

    def __init__(self, config: ModelConfig, initial: Mapping[str, Tensor]) -> None:
        states = config.sequence_batching.state if config.sequence_batching is not None else ()
        self._model = config.name
        self._initial = initial
        self._kept = {
            state.output_name: _Kept(
                state.input_name,
                CONFIG_DATATYPES[state.data_type],
                (1, *state.dims) if config.batching else tuple(state.dims),
            )
            for state in states
        }
        self._shown = {output.name for output in config.output}  # to clients, too

    def __bool__(self) -> bool:
        return bool(self._kept)

    @property
    def sizes_vary(self) -> bool:
        """Whether a state may have another size with each request."""
        return any(kept.datatype is DataType.BYTES or -1 in kept.dims for kept in self._kept.values())

    def attach(self, request: InferenceRequest, state: State) -> None:
        """Give ``request`` the state of its sequence, which START sets to the initial one."""
        if request.flags & SEQUENCE_START:
            state.clear()
            state.update(self._initial)
        request.inputs += state.values()
        if request.requested_outputs:
            missing = [name for name in self._kept if name not in request.requested_outputs]
            request.requested_outputs = (*request.requested_outputs, *missing)

    def absorb(self, request: InferenceRequest, response: InferenceResponse, state: State) -> None:
        """Take the new state out of ``response``. What the model does not give, stays as it was.

        A state of another type or shape than the configuration says makes ``response`` an error, and changes
        nothing.
        """
        if response.error is not None:
            return
        found = {t.name: t for t in response.outputs if t.name in self._kept}
        for name, tensor in found.items():
            kept = self._kept[name]
            if tensor.datatype is not kept.datatype or not fits(tensor.shape, kept.dims):
                response.error = InternalError(
                    f"model '{self._model}' gave the state '{name}' as {tensor.datatype.value} "
                    f"{list(tensor.shape)}, expected {kept.datatype.value} {list(kept.dims)}; correct the "
                    "model, or the state's data_type and dims"
                )
                response.outputs = []
                return
        for name, tensor in found.items():
            kept = self._kept[name]
            # A copy, because the buffer is a view of all that came with it.
            state[kept.input_name] = Tensor(
                kept.input_name, kept.datatype, tensor.shape, bytes(tensor.buffer)
            )
        response.outputs = [t for t in response.outputs if t.name not in self._kept or t.name in self._shown]
