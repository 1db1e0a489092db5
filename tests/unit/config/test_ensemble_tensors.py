from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.builders import echo_config, model_input, model_output
from tritium.config.ensemble_tensors import check_ensemble_tensors, full_rank
from tritium.core.model_config import EnsembleScheduling, EnsembleStep, ModelConfig, TensorReshape
from tritium.errors import ConfigError


def ensemble(*steps: EnsembleStep, max_batch_size: int = 8, dims: tuple[int, ...] = (-1,)) -> ModelConfig:
    return ModelConfig(
        name="e",
        platform="ensemble",
        max_batch_size=max_batch_size,
        input=(model_input(dims=dims),),
        output=(model_output(dims=dims),),
        ensemble_scheduling=EnsembleScheduling(steps),
    )


def step(model: str = "echo", given: str = "IN", made: str = "OUT") -> EnsembleStep:
    return EnsembleStep(model, -1, {"IN": given}, {"OUT": made})


def shaped(dims: tuple[int, ...], max_batch_size: int = 8) -> ModelConfig:
    return echo_config(
        "m", max_batch_size, input=(model_input(dims=dims),), output=(model_output(dims=dims),)
    )


def refusal(config: ModelConfig, *models: ModelConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        check_ensemble_tensors(config, models)
    return str(caught.value)


def test_steps_that_fit_are_fine() -> None:
    check_ensemble_tensors(ensemble(step(made="x"), step(given="x")), [echo_config(), echo_config()])


@pytest.mark.parametrize(
    ("dims", "batch", "step_dims", "step_batch"),
    [
        ((3,), 8, (-1,), 8),  # any size is any size
        ((3,), 0, (3,), 8),  # a batch of one is added
        ((3,), 8, (3,), 0),  # and taken away
        ((2, 3), 0, (3,), 8),  # the first dimension is the batch
    ],
)
def test_a_shape_fits_with_or_without_its_batch_dimension(
    dims: tuple[int, ...], batch: int, step_dims: tuple[int, ...], step_batch: int
) -> None:
    config = ensemble(step(), max_batch_size=batch, dims=dims)
    check_ensemble_tensors(config, [shaped(step_dims, step_batch)])


def test_a_type_that_differs_is_drawn_with_both_sides() -> None:
    numbers = echo_config("numbers", input=(model_input(data_type="INT32"),))
    assert refusal(ensemble(step(made="x"), step(given="x")), echo_config(), numbers) == (
        "in ensemble e, ensemble tensor x: inconsistent data type: TYPE_FP32 is inferred from model echo "
        "while TYPE_INT32 is inferred from model numbers\n"
        "  step 0, output 'OUT' of model 'echo'   TYPE_FP32 [-1,-1]   --> 'x'\n"
        "  step 1, input 'IN' of model 'numbers'  TYPE_INT32 [-1,-1]  <-- 'x'"
    )


def test_a_shape_that_differs_is_drawn_with_both_sides() -> None:
    text = refusal(ensemble(step(), dims=(4,)), shaped((3,)))
    assert text.startswith(
        "in ensemble e, ensemble tensor IN: inconsistent shape: [-1,4] is inferred from model e while [-1,3] "
        "is inferred from model m\n"
    )
    assert "input of the ensemble            TYPE_FP32 [-1,4]  --> 'IN'" in text


def test_an_output_must_fit_what_the_ensemble_says_of_it() -> None:
    config = replace(ensemble(step()), output=(model_output(dims=(7, 7)),))
    assert "tensor OUT: inconsistent shape: [-1,-1] is inferred from model echo while [-1,7,7]" in (
        refusal(config, echo_config())
    )


def test_steps_see_the_reshaped_inputs_of_the_ensemble() -> None:
    config = ensemble(step())
    reshaped = replace(config.input[0], dims=(2, 3), reshape=TensorReshape((6,)))
    check_ensemble_tensors(replace(config, input=(reshaped,)), [echo_config()])


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            EnsembleStep("echo", -1, {"ZZ": "IN"}, {"OUT": "OUT"}),
            "IN is mapping to non-existing input ZZ",
        ),
        (EnsembleStep("echo", -1, {"IN": "IN"}, {"ZZ": "OUT"}), "OUT is mapped from non-existing output ZZ"),
        (
            EnsembleStep("echo", -1, {}, {"OUT": "OUT"}),
            "input IN in model echo is not mapped to any",
        ),
    ],
)
def test_maps_must_name_what_the_model_has(wrong: EnsembleStep, text: str) -> None:
    assert text in refusal(ensemble(wrong), echo_config())


def test_an_optional_input_may_be_left_out_of_the_map() -> None:
    model = echo_config(input=(model_input(), model_input("MORE", optional=True)))
    check_ensemble_tensors(ensemble(step()), [model])


def test_an_ensemble_takes_no_larger_batches_than_its_steps() -> None:
    assert refusal(ensemble(step()), shaped((-1,), 2)) == (
        "ensemble e allows maximum batch size 8, but it contains model m which only allows maximum batch "
        "size to be 2"
    )


def test_the_rank_on_the_wire_counts_the_batch() -> None:
    assert full_rank(shaped((1, 2)), model_input(dims=(1, 2))) == 3
    assert full_rank(shaped((1, 2), 0), model_input(dims=(1, 2))) == 2
