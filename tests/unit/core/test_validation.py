from __future__ import annotations

import numpy as np
import pytest

from tests.unit.builders import echo_config, model_input, model_output, request, tensor
from tritium.core.model_config import ModelConfig
from tritium.core.tensor import DataType, Tensor
from tritium.core.validation import RequestRules
from tritium.errors import InvalidArgumentError

UNKNOWN = "[request id: <id_unknown>] "
NOTE = (
    " NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended "
    "to each input shape. If you want to specify the full shape including the batch dim in your input dims "
    "config, try setting max_batch_size to zero. See the model configuration docs for more info on "
    "max_batch_size."
)
UNBATCHED = echo_config("echo0", 0, input=(model_input(dims=(2, -1)),))
TWO = echo_config("m", input=(model_input("A"), model_input("B")))
OPTIONAL = echo_config("textgen", input=(model_input("A"), model_input("B", optional=True)))
STRINGS = echo_config("types", 0, input=(model_input("S", "STRING", (-1,)),))


def zeros(*shape: int, name: str = "IN") -> Tensor:
    return tensor(np.zeros(shape, np.float32), name)


def strings(raw: bytes, count: int) -> Tensor:
    return Tensor("S", DataType.BYTES, (count,), raw)


@pytest.mark.parametrize(
    ("config", "inputs", "rows"),
    [
        (echo_config(), [zeros(1, 4)], 1),
        (echo_config(), [zeros(8, 0)], 8),
        (UNBATCHED, [zeros(2, 7)], 1),
        (UNBATCHED, [zeros(2, 0)], 1),
        (TWO, [zeros(3, 1, name="B"), zeros(3, 5, name="A")], 3),
        (OPTIONAL, [zeros(2, 1, name="A")], 2),
        (OPTIONAL, [zeros(2, 1, name="A"), zeros(2, 1, name="B")], 2),
        (STRINGS, [strings(b"\x01\x00\x00\x00a\x00\x00\x00\x00", 2)], 1),
        (STRINGS, [strings(b"", 0)], 1),
        (echo_config("none", 0, input=()), [], 1),
    ],
)
def test_a_request_that_fits_is_accepted_with_its_rows(
    config: ModelConfig, inputs: list[Tensor], rows: int
) -> None:
    accepted = request()
    accepted.inputs = inputs
    RequestRules(config).check(accepted)
    assert accepted.batch_size == rows


@pytest.mark.parametrize(
    ("config", "inputs", "text"),
    [
        (
            echo_config(),
            [tensor(np.zeros((1, 2), np.int32))],
            UNKNOWN + "inference input 'IN' data-type is 'INT32', but model 'echo' expects 'FP32'",
        ),
        (echo_config(), [zeros(1, 1, name="FOO")], "unexpected inference input 'FOO' for model 'echo'"),
        (
            echo_config(),
            [],
            UNKNOWN
            + "expected 1 inputs but got 0 inputs for model 'echo'. Got input(s) [], but missing required "
            "input(s) ['IN']. Please provide all required input(s).",
        ),
        (
            echo_config(),
            [zeros(1, 1), zeros(1, 1, name="FOO")],
            UNKNOWN
            + "expected 1 inputs but got 2 inputs for model 'echo'. Got input(s) ['FOO','IN'], but missing "
            "required input(s) ]. Please provide all required input(s).",
        ),
        (
            OPTIONAL,
            [],
            UNKNOWN
            + "expected number of inputs between 1 and 2 but got 0 inputs for model 'textgen'. Got input(s) "
            "[], but missing required input(s) ['A']. Please provide all required input(s).",
        ),
        (
            OPTIONAL,
            [zeros(1, 1, name="B")],
            UNKNOWN
            + "expected number of inputs between 1 and 2 but got 1 inputs for model 'textgen'. Got input(s) "
            "['B'], but missing required input(s) ['A']. Please provide all required input(s).",
        ),
        (echo_config(), [zeros(1, 1), zeros(1, 1)], UNKNOWN + "input 'IN' already exists in request"),
        (
            echo_config(),
            [zeros(2)],
            UNKNOWN + "unexpected shape for input 'IN' for model 'echo'. Expected [-1,-1], got [2]." + NOTE,
        ),
        (
            UNBATCHED,
            [zeros(3, 1)],
            UNKNOWN + "unexpected shape for input 'IN' for model 'echo0'. Expected [2,-1], got [3,1]. ",
        ),
        (
            UNBATCHED,
            [Tensor("IN", DataType.FP32, (2, -1), b"")],
            UNKNOWN + "unexpected shape for input 'IN' for model 'echo0'. Expected [2,-1], got [2,-1]. ",
        ),
        (
            echo_config(),
            [zeros()],
            UNKNOWN + "input 'IN' has no shape but model requires batch dimension for 'echo'",
        ),
        (echo_config(), [zeros(9, 1)], UNKNOWN + "inference request batch-size must be <= 8 for 'echo'"),
        (echo_config(), [zeros(9)], UNKNOWN + "inference request batch-size must be <= 8 for 'echo'"),
        (
            echo_config(),
            [zeros(0, 2)],
            UNKNOWN + "input byte size mismatch for input 'IN' for model 'echo'. Expected 8, got 0",
        ),
        (
            echo_config(),
            [Tensor("IN", DataType.FP32, (-1, 2), bytes(8))],
            UNKNOWN
            + "unexpected shape for input 'IN' for model 'echo'. Expected [-1,-1], got [-1,2]."
            + NOTE,
        ),
        (
            TWO,
            [zeros(1, 1, name="A"), zeros(2, 1, name="B")],
            UNKNOWN + "input 'B' batch size does not match other inputs for 'm'",
        ),
        (
            echo_config(),
            [Tensor("IN", DataType.FP32, (1, 3), bytes(8))],
            UNKNOWN + "input byte size mismatch for input 'IN' for model 'echo'. Expected 12, got 8",
        ),
        (
            STRINGS,
            [strings(b"\x01\x00\x00\x00a", 2)],
            UNKNOWN + "expected 2 string elements for inference input 'S' for model 'types', got 1",
        ),
        (
            STRINGS,
            [strings(b"\x01\x00\x00\x00a" * 2, 1)],
            UNKNOWN
            + "unexpected number of string elements 2 for inference input 'S' for model 'types', expecting 1",
        ),
        (
            STRINGS,
            [strings(b"\x09\x00\x00\x00ab", 1)],
            (
                "incomplete string data for inference input 'S', expecting string of length 9 but only 2 "
                "bytes available"
            ),
        ),
        (
            STRINGS,
            [strings(b"\x00\x00\x00\x00ab", 2)],
            UNKNOWN
            + "incomplete string length indicator for inference input 'S' for model 'types', expecting 4 "
            "bytes but only 2 bytes available. Please make sure the string length indicator is in one "
            "buffer.",
        ),
    ],
)
def test_a_request_that_does_not_fit_is_refused_in_tritons_words(
    config: ModelConfig, inputs: list[Tensor], text: str
) -> None:
    refused = request()
    refused.inputs = inputs
    with pytest.raises(InvalidArgumentError) as caught:
        RequestRules(config).check(refused)
    assert str(caught.value) == text


def test_an_output_that_the_model_has_not_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        RequestRules(echo_config()).check(request(requested_outputs=("OUT", "ZZ")))
    assert str(caught.value) == "unexpected inference output 'ZZ' for model 'echo'"


def test_outputs_that_the_model_has_may_be_asked_for() -> None:
    config = echo_config(output=(model_output("A"), model_output("B")))
    RequestRules(config).check(request(requested_outputs=("B", "A")))


def test_texts_name_the_request_by_its_id() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^\[request id: q\] unexpected shape"):
        RequestRules(echo_config()).check(request(zeros(2), name="q"))


def test_bytes_behind_a_shape_that_overflows_64_bits_are_counted_exactly() -> None:
    config = echo_config("m", 0, input=(model_input(dims=(-1, -1)),))
    huge = Tensor("IN", DataType.FP32, (2**63, 2**63), b"")
    with pytest.raises(InvalidArgumentError, match="Expected 340282366920938463463374607431768211456, got 0"):
        RequestRules(config).check(request(huge))


def test_an_empty_tensor_may_not_have_dimensions_that_no_array_has() -> None:
    config = echo_config("m", 0, input=(model_input(dims=(-1, -1, -1)),))
    empty = Tensor("IN", DataType.FP32, (0, 2**62, 2**62), b"")
    with pytest.raises(
        InvalidArgumentError, match="the product of its dimensions other than 0 has to be less"
    ):
        RequestRules(config).check(request(empty))
