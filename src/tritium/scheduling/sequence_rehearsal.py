"""Warm-up requests of a model with sequences: each is a sequence of its own, and leaves nothing behind.

Triton gives such a request neither an id nor flags, and of the inputs that the server makes for clients only
those that the sample names. Here the others are made as for a client's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tritium.core.model_config import ModelConfig, ModelInput, SequenceBatching
from tritium.core.request import SEQUENCE_END, SEQUENCE_START, InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.core.tensor import Tensor
from tritium.core.validation import RequestRules
from tritium.scheduling.sequence_controls import SequenceControls
from tritium.scheduling.sequence_state import ImplicitStates, State


class SequenceRehearsal:
    """Makes requests that run without a slot, beside the scheduler.

    Args:
        initial: the first implicit states of every sequence, by input name.
    """

    def __init__(
        self, config: ModelConfig, batching: SequenceBatching, initial: Mapping[str, Tensor]
    ) -> None:
        self._controls = SequenceControls(batching, config.name, batches=config.batching)
        self._states = ImplicitStates(config, initial)
        self._flags = SEQUENCE_START | (0 if batching.iterative_sequence else SEQUENCE_END)
        made = [_input(t, config) for t in self._controls.tensors(0, 0)]
        made += [
            ModelInput(state.input_name, state.data_type, dims=state.dims, optional=True)
            for state in batching.state
        ]
        self._made = frozenset(each.name for each in made)
        self._rules = RequestRules(replace(config, input=tuple(made), output=()))
        self._sequences: dict[int, tuple[list[Tensor], State]] = {}  # what was given, by id
        self._last_id = 0

    def split(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Those that clients give, and those that the server makes for them."""
        return (
            [tensor for tensor in inputs if tensor.name not in self._made],
            [tensor for tensor in inputs if tensor.name in self._made],
        )

    def check(self, made: InferenceRequest) -> None:
        """Whether inputs that the server else makes are as it makes them.

        Raises:
            InvalidArgumentError: one of them is not.
        """
        self._rules.check(made)

    def begin(self, request: InferenceRequest) -> None:
        """Make ``request`` a sequence; it may have inputs that the server else makes, and keeps them."""
        self._last_id += 1
        request.correlation_id, request.flags = self._last_id, self._flags
        self._sequences[self._last_id] = request.inputs, {}
        self._give(request)

    def answered(self, request: InferenceRequest, response: InferenceResponse) -> None:
        """Take the states out of ``response``; one that does not fit makes it an error."""
        self._states.absorb(request, response, self._sequence(request)[1])

    def again(self, request: InferenceRequest) -> None:
        """The model gave ``request`` back, which is to run once more."""
        request.flags &= ~SEQUENCE_START
        self._give(request)

    def end(self, request: InferenceRequest) -> None:
        """``request`` is over."""
        del self._sequences[int(request.correlation_id)]

    def _sequence(self, request: InferenceRequest) -> tuple[list[Tensor], State]:
        return self._sequences[int(request.correlation_id)]

    def _give(self, request: InferenceRequest) -> None:
        given, state = self._sequence(request)
        request.inputs = self._controls.tensors(request.correlation_id, request.flags)
        if self._states:
            self._states.attach(request, state)
        names = {tensor.name for tensor in given}
        request.inputs = [*given, *(tensor for tensor in request.inputs if tensor.name not in names)]


def _input(control: Tensor, config: ModelConfig) -> ModelInput:
    dims = control.shape[1:] if config.batching else control.shape
    return ModelInput(control.name, control.datatype.config_name, dims=dims, optional=True)
