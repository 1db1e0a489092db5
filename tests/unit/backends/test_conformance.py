from __future__ import annotations

from typing import Any

import pytest

from tritium.backends.conformance import check_conformance
from tritium.core.model_config import (
    BatchInput,
    BatchOutput,
    ModelConfig,
    ModelInput,
    ModelOutput,
    SequenceBatching,
    SequenceControl,
    SequenceControlInput,
    SequenceState,
    TensorReshape,
)
from tritium.core.model_description import ModelDescription, TensorSpec
from tritium.errors import ConfigError

FP32 = "TYPE_FP32"
BATCHES = ModelDescription((TensorSpec("x", FP32, (-1, 3, -1)),), (TensorSpec("y", FP32, (-1, 2)),))
FIXED = ModelDescription((TensorSpec("x", FP32, (1, 3)),), (TensorSpec("y", FP32, (1, 2)),))


def config(dims: tuple[int, ...] = (3, -1), out: tuple[int, ...] = (2,), **rest: Any) -> ModelConfig:
    fields: dict[str, Any] = {
        "name": "m",
        "max_batch_size": 4,
        "input": (ModelInput(name="x", data_type=FP32, dims=dims),),
        "output": (ModelOutput(name="y", data_type=FP32, dims=out),),
    }
    return ModelConfig(**(fields | rest))


def check(model_config: ModelConfig, description: ModelDescription = BATCHES) -> None:
    check_conformance(model_config, description, "1/model.onnx")


def refusal(model_config: ModelConfig, description: ModelDescription = BATCHES) -> str:
    with pytest.raises(ConfigError) as caught:
        check(model_config, description)
    return str(caught.value)


def test_accepts_what_the_file_says() -> None:
    check(config())
    check(config((1, 3), (1, 2), max_batch_size=0), FIXED)


def test_the_configuration_may_narrow_an_open_dimension() -> None:
    check(config((3, 224)))


def test_the_configuration_may_leave_outputs_out() -> None:
    check(config(output=()))


def test_the_configuration_may_open_a_fixed_dimension_of_an_output() -> None:
    check(config(out=(-1,)))
    check(config((1, 3), (-1, 2), max_batch_size=0), FIXED)


def test_the_configuration_may_not_open_a_fixed_dimension_of_an_input() -> None:
    assert refusal(config((-1, -1))) == (
        "model 'm', input 'x': 1/model.onnx expects the shape [ -1, 3, -1 ] but the configuration describes "
        "[ -1, -1, -1 ] (a batch dimension, because max_batch_size is 4, then dims); write dims: [ 3, -1 ]"
    )


def test_a_different_rank_is_refused() -> None:
    text = refusal(config((3,), (1, 2), max_batch_size=0), FIXED)
    assert "expects the shape [ 1, 3 ] but the configuration describes [ 3 ]; write dims: [ 1, 3 ]" in text


def test_an_unknown_name_lists_the_known_ones() -> None:
    text = refusal(config(output=(ModelOutput(name="z", data_type=FP32, dims=(2,)),)))
    assert text == (
        "model 'm', output 'z': 1/model.onnx has no such output; its outputs are 'y' (TYPE_FP32 [ -1, 2 ]); "
        "write one of these names"
    )


def test_a_wrong_data_type_is_refused() -> None:
    text = refusal(config(input=(ModelInput(name="x", data_type="TYPE_INT8", dims=(3, -1)),)))
    assert "expects TYPE_FP32 but the configuration says TYPE_INT8; write data_type: TYPE_FP32" in text


def test_a_missing_input_is_refused_with_the_entry_to_add() -> None:
    assert refusal(config(input=())) == (
        "model 'm': the configuration lacks the input 'x' that 1/model.onnx requires; add "
        'input [ { name: "x" data_type: TYPE_FP32 dims: [ 3, -1 ] } ]'
    )


def test_an_optional_input_may_be_missing() -> None:
    optional = ModelDescription((TensorSpec("x", FP32, (-1, 3), optional=True),), BATCHES.outputs)
    check(config(input=()), optional)


def test_batching_needs_a_variable_first_dimension() -> None:
    assert refusal(config((3,)), FIXED) == (
        "model 'm', input 'x': max_batch_size is 4, so the first dimension in 1/model.onnx must be variable, "
        "but its shape is [ 1, 3 ]; write max_batch_size: 0 and dims: [ 1, 3 ], or export the model with a "
        "variable first dimension"
    )


def test_a_scalar_input_cannot_batch_but_an_output_of_unknown_rank_may() -> None:
    scalar = ModelDescription((TensorSpec("x", FP32, ()),), ())
    assert "write max_batch_size: 0 and dims: [ 1 ]" in refusal(config((1,), output=()), scalar)
    unknown = ModelDescription(BATCHES.inputs, (TensorSpec("y", FP32, ()),))
    check(config(out=(7,)), unknown)


def test_a_scalar_is_configured_as_one_element() -> None:
    check(config((1,), output=(), max_batch_size=0), ModelDescription((TensorSpec("x", FP32, ()),), ()))


def test_a_reshape_is_what_the_model_sees() -> None:
    tensor = ModelInput(name="x", data_type=FP32, dims=(12,), reshape=TensorReshape((3, 4)))
    check(config(input=(tensor,)))
    wrong = ModelInput(name="x", data_type=FP32, dims=(12,), reshape=TensorReshape((4, 3)))
    assert "write reshape { shape }: [ 3, -1 ]" in refusal(config(input=(wrong,)))


def sequences(start: SequenceControl, state: SequenceState) -> SequenceBatching:
    return SequenceBatching(control_input=(SequenceControlInput("start", (start,)),), state=(state,))


START = SequenceControl(fp32_false_true=(0.0, 1.0))
STATE = SequenceState("state", "new", FP32, (3,))
SEQUENCES = ModelDescription(
    tuple(TensorSpec(name, FP32, (-1, 3)) for name in ("x", "start", "state", "sizes")),
    (*BATCHES.outputs, TensorSpec("new", FP32, (-1, 3))),
)


def test_inputs_that_the_server_makes_need_not_be_configured() -> None:
    made = BatchInput(target_name=("sizes",), data_type=FP32)
    check(config((3,), sequence_batching=sequences(START, STATE), batch_input=(made,)), SEQUENCES)


@pytest.mark.parametrize(
    ("batching", "cause"),
    [
        (
            sequences(SequenceControl(int32_false_true=(0, 1)), STATE),
            "'start': 1/model.onnx has TYPE_FP32 there but the configuration says TYPE_INT32",
        ),
        (
            SequenceBatching(control_input=(SequenceControlInput("begin", (START,)),)),
            "control CONTROL_SEQUENCE_START 'begin': 1/model.onnx has no tensor of this name",
        ),
        (
            sequences(START, SequenceState("state", "newest", FP32, (3,))),
            "state 'state', output 'newest': 1/model.onnx has no tensor of this name",
        ),
        (
            sequences(START, SequenceState("state", "new", "TYPE_INT64", (3,))),
            "state 'state', input: 1/model.onnx has TYPE_FP32 there but the configuration says TYPE_INT64",
        ),
    ],
)
def test_controls_and_states_are_tensors_of_the_model(batching: SequenceBatching, cause: str) -> None:
    given = config(
        (3,), sequence_batching=batching, batch_input=(BatchInput(target_name=("sizes",), data_type=FP32),)
    )
    assert cause in refusal(given, SEQUENCES)


RAGGED = ModelInput(name="x", data_type=FP32, dims=(-1, 2), allow_ragged_batch=True)
FLAT = ModelDescription(
    (TensorSpec("x", FP32, (-1,)), TensorSpec("n", "TYPE_INT32", (-1,))), (TensorSpec("y", FP32, (-1,)),)
)
COUNTS = BatchInput("BATCH_ELEMENT_COUNT", ("n",), "TYPE_INT32", ("x",))


def test_a_ragged_input_has_one_open_dimension_in_the_file() -> None:
    split = (BatchOutput(("y",), source_input=("x",)),)
    ragged = config(input=(RAGGED,), batch_input=(COUNTS,), batch_output=split)
    check(ragged, FLAT)
    other = ModelDescription((TensorSpec("x", FP32, (-1, -1)), FLAT.inputs[1]), FLAT.outputs)
    assert "expects the shape [ -1, -1 ]; export the model with one variable dimension" in refusal(
        ragged, other
    )


def test_an_input_that_the_server_makes_has_to_be_in_the_file() -> None:
    unknown = BatchInput("BATCH_ELEMENT_COUNT", ("m",), "TYPE_INT32", ("x",))
    text = refusal(config(input=(RAGGED,), output=(), batch_input=(unknown,)), FLAT)
    assert "batch_input 'm': 1/model.onnx has no such input; its inputs are 'x', 'n'" in text
    floats = BatchInput("BATCH_ELEMENT_COUNT", ("n",), FP32, ("x",))
    text = refusal(config(input=(RAGGED,), output=(), batch_input=(floats,)), FLAT)
    assert "batch_input 'n': 1/model.onnx expects TYPE_INT32 but the configuration says TYPE_FP32" in text
