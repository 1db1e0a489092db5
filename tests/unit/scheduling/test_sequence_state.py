from __future__ import annotations

import numpy as np

from tests.unit.builders import echo_config, model_output, request, tensor
from tritium.core.model_config import SequenceBatching, SequenceState
from tritium.core.request import SEQUENCE_START, InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.core.tensor import Tensor
from tritium.errors import InternalError
from tritium.scheduling.sequence_state import ImplicitStates, State

SUM = SequenceState("sum_in", "sum_out", "TYPE_FP32", (2,))
LOG = SequenceState("log_in", "log_out", "TYPE_INT32", (-1,))


def states(
    *given: SequenceState, outputs: tuple[str, ...] = ("OUT",), max_batch_size: int = 4
) -> ImplicitStates:
    config = echo_config(
        max_batch_size=max_batch_size,
        output=tuple(model_output(name) for name in outputs),
        sequence_batching=SequenceBatching(state=given or (SUM, LOG)),
    )
    initial = {"sum_in": tensor([[0.0, 0.0]], "sum_in"), "log_in": numbers([[7]], "log_in")}
    return ImplicitStates(
        config, {state.input_name: initial[state.input_name] for state in given or (SUM, LOG)}
    )


def numbers(values: list[list[int]], name: str) -> Tensor:
    return tensor(np.array(values, np.int32), name)


def start() -> InferenceRequest:
    return request(flags=SEQUENCE_START)


def answer(*outputs: Tensor) -> InferenceResponse:
    return InferenceResponse([tensor([[1.0]], "OUT"), *outputs])


def shown(holder: InferenceRequest | InferenceResponse) -> dict[str, object]:
    tensors = holder.inputs if isinstance(holder, InferenceRequest) else holder.outputs
    return {t.name: t.array().tolist() for t in tensors if t.name != "IN"}


def test_start_gives_the_initial_state_and_later_requests_what_the_answer_left() -> None:
    kept, state = states(), State()
    kept.attach(first := start(), state)
    assert shown(first) == {"sum_in": [[0.0, 0.0]], "log_in": [[7]]}
    reply = answer(tensor([[1.0, 2.0]], "sum_out"), numbers([[7, 8]], "log_out"))
    kept.absorb(first, reply, state)
    assert shown(reply) == {"OUT": [[1.0]]}
    kept.attach(second := request(), state)
    assert shown(second) == {"sum_in": [[1.0, 2.0]], "log_in": [[7, 8]]}
    kept.attach(again := start(), state)
    assert shown(again) == {"sum_in": [[0.0, 0.0]], "log_in": [[7]]}


def test_a_state_is_a_copy_of_what_the_model_gave() -> None:
    kept, state = states(SUM), State()
    kept.attach(one := start(), state)
    array = np.array([[1, 2]], np.float32)
    kept.absorb(one, answer(Tensor.from_array("sum_out", array)), state)
    array[:] = 0
    assert state["sum_in"].array().tolist() == [[1.0, 2.0]]


def test_a_state_that_the_model_does_not_give_stays() -> None:
    kept, state = states(SUM), State()
    kept.attach(one := start(), state)
    kept.absorb(one, answer(tensor([[1.0, 2.0]], "sum_out")), state)
    kept.absorb(one, answer(), state)
    kept.absorb(one, InferenceResponse(error=InternalError("no")), state)
    assert state["sum_in"].array().tolist() == [[1.0, 2.0]]


def test_a_state_that_does_not_fit_is_an_error_and_changes_nothing() -> None:
    for wrong in (
        tensor([[1.0, 2.0, 3.0]], "sum_out"),
        tensor([1.0, 2.0], "sum_out"),
        numbers([[1, 2]], "sum_out"),
    ):
        kept, state = states(), State()
        kept.attach(one := start(), state)
        reply = answer(numbers([[1]], "log_out"), wrong)
        kept.absorb(one, reply, state)
        assert "gave the state 'sum_out' as" in str(reply.error)
        assert reply.outputs == []
        assert state["log_in"].array().tolist() == [[7]]


def test_a_state_that_is_an_output_as_well_is_shown_to_the_client() -> None:
    kept, state = states(SUM, outputs=("OUT", "sum_out")), State()
    kept.attach(one := start(), state)
    reply = answer(tensor([[1.0, 2.0]], "sum_out"))
    kept.absorb(one, reply, state)
    assert shown(reply) == {"OUT": [[1.0]], "sum_out": [[1.0, 2.0]]}


def test_the_model_is_asked_for_states_whatever_the_client_asks_for() -> None:
    kept = states()
    kept.attach(one := request(flags=SEQUENCE_START, requested_outputs=("OUT",)), State())
    assert one.requested_outputs == ("OUT", "sum_out", "log_out")
    kept.attach(every := start(), State())
    assert every.requested_outputs == ()


def test_without_a_batch_dimension_a_state_has_its_own_only() -> None:
    kept, state = states(SUM, max_batch_size=0), State()
    kept.attach(one := start(), state)
    reply = answer(tensor([1.0, 2.0], "sum_out"))
    kept.absorb(one, reply, state)
    assert reply.error is None


def test_states_of_variable_dims_and_strings_vary_in_size() -> None:
    text = SequenceState("text_in", "text_out", "TYPE_STRING", (1,))
    assert not states(SUM).sizes_vary
    assert states(LOG).sizes_vary and states(SUM, LOG).sizes_vary
    config = echo_config(sequence_batching=SequenceBatching(state=(text,)))
    assert ImplicitStates(config, {}).sizes_vary


def test_a_model_without_states_is_told_apart() -> None:
    assert states()
    assert not ImplicitStates(echo_config(), {})
