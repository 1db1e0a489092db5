from __future__ import annotations

from dataclasses import replace

import pytest

from tritium.config.validate_tensors import check_tensors
from tritium.core.model_config import (
    BatchInput,
    BatchOutput,
    ModelConfig,
    ModelInput,
    ModelOutput,
    TensorReshape,
)
from tritium.errors import ConfigError

IN = ModelInput("IN", "TYPE_FP32", dims=(4,))
OUT = ModelOutput("OUT", "TYPE_FP32", dims=(4,))
MODEL = ModelConfig(name="m", max_batch_size=8, input=(IN,), output=(OUT,))


def refusal(config: ModelConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        check_tensors(config)
    return str(caught.value)


def with_input(given: ModelInput, *, max_batch_size: int = 8) -> ModelConfig:
    return replace(MODEL, input=(given,), max_batch_size=max_batch_size)


def test_takes_a_complete_tensor_and_none() -> None:
    check_tensors(MODEL)
    check_tensors(ModelConfig(name="m"))


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (replace(IN, name=""), "model input must specify 'name' for m"),
        (replace(IN, data_type="TYPE_INVALID"), "model input 'IN' must specify 'data_type' for m"),
        (replace(IN, dims=()), "model input 'IN' must specify 'dims' for m"),
        *(
            (
                replace(IN, dims=(bad,)),
                (
                    "model input 'IN' dimension must be integer >= 1, or -1 to indicate a variable-size "
                    "dimension for m"
                ),
            )
            for bad in (0, -2)
        ),
        (
            replace(IN, reshape=TensorReshape((2,))),
            "model input 'IN' has different size for dims and reshape for m",
        ),
        (
            replace(IN, reshape=TensorReshape((-1,))),
            "model input 'IN' has different number of variable-size dimensions for dims and reshape for m",
        ),
        (
            replace(IN, reshape=TensorReshape((0,))),
            "model input 'IN' reshape dimensions must be integer >= 1",
        ),
        (replace(IN, format="FORMAT_NCHW"), "model input NHWC/NCHW require 3 dims for m"),
        (
            replace(IN, is_shape_tensor=True),
            "model input 'IN' has is_shape_tensor, which only TensorRT knows",
        ),
        (replace(IN, is_non_linear_format_io=True), "model input 'IN' has is_non_linear_format_io"),
        (replace(IN, dims=(2**62,) * 100_000), "model input 'IN' has more than 31 dimensions for m"),
        (
            replace(IN, reshape=TensorReshape((2**62,) * 100_000)),
            "model input 'IN' has more than 31 dimensions for m",
        ),
        (replace(IN, dims=(2**62, 4)), "model input 'IN' has more than 2^63 - 1 elements for m"),
    ],
)
def test_says_the_cause_in_tritons_words(given: ModelInput, cause: str) -> None:
    assert refusal(with_input(given)).startswith(cause)


def test_outputs_have_the_same_rules() -> None:
    text = refusal(replace(MODEL, output=(replace(OUT, dims=()),)))
    assert text.startswith("model output 'OUT' must specify 'dims' for m")


def test_an_empty_reshape_is_a_scalar_per_row() -> None:
    scalar = replace(IN, dims=(1,), reshape=TensorReshape())
    check_tensors(with_input(scalar))
    text = refusal(with_input(scalar, max_batch_size=0))
    assert text.startswith(
        "model input 'IN' cannot have empty reshape for non-batching model as scalar tensors are not "
        "supported for m"
    )


@pytest.mark.parametrize(
    ("dims", "shape", "fits"),
    [
        ((2, 4, -1, 6), (8, -1, 1, 6), True),
        ((-1, 2), (-1, 1, 2), True),
        ((-1, 2), (2, -1), False),
        ((4,), (2, 2), True),
        ((2, -1, 3), (3, -1, 2), False),
    ],
)
def test_a_reshape_keeps_the_sizes_between_variable_dimensions(
    dims: tuple[int, ...], shape: tuple[int, ...], fits: bool
) -> None:
    config = with_input(replace(IN, dims=dims, reshape=TensorReshape(shape)))
    if fits:
        check_tensors(config)
    else:
        assert "has different size for dims and reshape" in refusal(config)


def test_a_format_needs_three_dimensions() -> None:
    check_tensors(with_input(replace(IN, format="FORMAT_NHWC", dims=(32, 32, 3))))


def test_names_are_unique() -> None:
    assert refusal(replace(MODEL, input=(IN, IN))).startswith(
        "model input 'IN' is specified more than once for m"
    )
    assert refusal(replace(MODEL, output=(OUT, OUT))).startswith(
        "model output 'OUT' is specified more than once"
    )


def test_a_batch_input_names_its_tensor_its_type_and_its_source() -> None:
    good = BatchInput(target_name=("N",), data_type="TYPE_INT32", source_input=("IN",))
    check_tensors(replace(MODEL, batch_input=(good,)))
    for bad, cause in (
        (replace(good, target_name=()), "must have exactly one 'target_name'"),
        (replace(good, data_type="TYPE_STRING"), "has data_type TYPE_STRING; write TYPE_INT32 or TYPE_FP32"),
        (replace(good, source_input=()), "must have exactly one 'source_input', found 0"),
        (replace(good, source_input=("no",)), "has source_input 'no', which is no input"),
    ):
        assert cause in refusal(replace(MODEL, batch_input=(bad,)))


def test_a_batch_output_names_outputs_and_a_source() -> None:
    good = BatchOutput(target_name=("OUT",), source_input=("IN",))
    check_tensors(replace(MODEL, batch_output=(good,)))
    for bad, cause in (
        (replace(good, target_name=("no",)), "has target_name 'no'; write the name of an output"),
        (replace(good, target_name=()), "has target_name ''"),
        (replace(good, source_input=()), "must have exactly one 'source_input', found 0"),
        (replace(good, source_input=("no",)), "has source_input 'no', which is no input"),
    ):
        assert cause in refusal(replace(MODEL, batch_output=(bad,)))
