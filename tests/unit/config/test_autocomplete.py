from __future__ import annotations

from collections.abc import Sequence

import pytest

from tritium.config.autocomplete import Completed, can_batch, merge
from tritium.core.model_config import (
    DynamicBatching,
    ModelConfig,
    ModelInput,
    ModelOutput,
    SequenceBatching,
    SequenceControlInput,
    SequenceState,
    TensorReshape,
)
from tritium.core.model_description import TensorSpec
from tritium.errors import ConfigError

X = TensorSpec("x", "TYPE_FP32", (-1, 3))
Y = TensorSpec("y", "TYPE_INT64", (-1, 10))


def merged(
    config: ModelConfig,
    inputs: Sequence[TensorSpec] = (X,),
    outputs: Sequence[TensorSpec] = (Y,),
    *,
    default: int = 4,
) -> Completed:
    batching = can_batch((*inputs, *outputs))
    return merge(config, inputs, outputs, batching, default_max_batch_size=default)


def test_a_model_batches_if_every_first_dimension_is_variable() -> None:
    assert can_batch([X, Y])
    assert not can_batch([X, TensorSpec("z", "TYPE_FP32", (1, 3))])
    assert not can_batch([X, TensorSpec("z", "TYPE_FP32", ())])


def test_an_empty_configuration_gets_everything_from_the_model() -> None:
    done = merged(ModelConfig(name="m"))
    assert done.config == ModelConfig(
        name="m",
        max_batch_size=4,
        input=(ModelInput("x", "TYPE_FP32", dims=(3,)),),
        output=(ModelOutput("y", "TYPE_INT64", dims=(10,)),),
        dynamic_batching=DynamicBatching(),
    )
    assert done.warnings == (
        (
            "autofilled max_batch_size to 4 for model 'm' since batching is supporrted but no "
            "max_batch_size is specified in model configuration. Must specify max_batch_size to utilize "
            "autofill with a larger max batch size"
        ),
    )


def test_the_file_wins() -> None:
    given = ModelConfig(
        name="m",
        max_batch_size=16,
        input=(ModelInput("x", "TYPE_FP16", dims=(5,)),),
        sequence_batching=SequenceBatching(),
    )
    done = merged(given)
    assert done.warnings == ()
    assert done.config.max_batch_size == 16
    assert done.config.input == given.input
    assert done.config.output == (ModelOutput("y", "TYPE_INT64", dims=(10,)),)
    assert done.config.dynamic_batching is None


def test_what_the_server_makes_or_keeps_for_sequences_is_not_among_inputs_and_outputs() -> None:
    batching = SequenceBatching(
        control_input=(SequenceControlInput("start"),), state=(SequenceState("state_in", "state_out"),)
    )
    made = [TensorSpec(name, "TYPE_FP32", (-1, 1)) for name in ("start", "state_in")]
    kept = TensorSpec("state_out", "TYPE_FP32", (-1, 1))
    done = merged(ModelConfig(sequence_batching=batching), (*made, X), (Y, kept)).config
    assert [tensor.name for tensor in done.input] == ["x"]
    assert [tensor.name for tensor in done.output] == ["y"]


def test_nothing_is_done_where_inputs_and_outputs_are_given() -> None:
    given = ModelConfig(
        input=(ModelInput("x", "TYPE_FP32", dims=(-1, 3)),),
        output=(ModelOutput("y", "TYPE_INT64", dims=(-1, 10)),),
    )
    assert merged(given) == Completed(given)


def test_an_output_with_only_a_label_file_gets_its_type_and_shape() -> None:
    given = ModelConfig(output=(ModelOutput("y", label_filename="labels.txt"), ModelOutput("unknown")))
    assert merged(given).config.output == (
        ModelOutput("y", "TYPE_INT64", dims=(10,), label_filename="labels.txt"),
        ModelOutput("unknown"),
    )


def test_a_model_that_does_not_batch_keeps_its_full_shapes() -> None:
    done = merged(ModelConfig(name="m"), inputs=(TensorSpec("x", "TYPE_FP32", (1, 3)),))
    assert done.config.max_batch_size == 0
    assert done.config.input[0].dims == (1, 3)
    assert done.config.output[0].dims == (-1, 10)
    assert done.config.dynamic_batching is None


def test_a_batch_size_for_a_model_that_does_not_batch_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        merged(ModelConfig(name="m", max_batch_size=2), inputs=(TensorSpec("x", "TYPE_FP32", (1, 3)),))
    assert str(caught.value).startswith(
        "autofill failed for model 'm': model does not support batching while non-zero max_batch_size is "
        "specified"
    )


def test_a_file_that_gives_full_shapes_describes_a_model_without_batches() -> None:
    given = ModelConfig(name="m", input=(ModelInput("x", "TYPE_FP32", dims=(-1, 3)),))
    done = merged(given)
    assert done.config.max_batch_size == 0
    assert done.config.output[0].dims == (-1, 10)


@pytest.mark.parametrize(("default", "size", "batched"), [(0, 0, False), (1, 1, False), (2, 2, True)])
def test_a_batcher_is_added_only_where_a_batch_can_have_two_rows(
    default: int, size: int, batched: bool
) -> None:
    done = merged(ModelConfig(name="m"), default=default)
    assert done.config.max_batch_size == size
    assert (done.config.dynamic_batching is not None) is batched


def test_a_scalar_is_a_vector_of_one_to_clients() -> None:
    flag = TensorSpec("f", "TYPE_BOOL", (-1,))
    per_row = merged(ModelConfig(), inputs=(X, flag)).config.input[1]
    assert (per_row.dims, per_row.reshape) == ((1,), TensorReshape())
    scalar = TensorSpec("s", "TYPE_FP32", ())
    alone = merged(ModelConfig(), outputs=(scalar,)).config.output[0]
    assert (alone.dims, alone.reshape) == ((1,), None)


def test_the_caller_may_know_better_than_the_shapes() -> None:
    saved_at_one = TensorSpec("x", "TYPE_FP32", (1, 3))
    done = merge(ModelConfig(name="m"), [saved_at_one], [saved_at_one], True, default_max_batch_size=8)
    assert done.config.max_batch_size == 8
    assert done.config.input[0].dims == (3,)
