from __future__ import annotations

import numpy as np
import pytest

from tests.unit.builders import Answers, echo_config, model_input
from tritium.core.model_config import ModelConfig
from tritium.core.response import ResponseStream
from tritium.core.tensor import Tensor
from tritium.errors import InvalidArgumentError
from tritium.protocol.raw_request import decode_raw_request

FLOATS = np.arange(6, dtype=np.float32).tobytes()


def only_input(body: bytes, config: ModelConfig) -> Tensor:
    (found,) = decode_raw_request(body, config, None, ResponseStream(Answers())).inputs
    return found


@pytest.mark.parametrize(
    ("max_batch_size", "dims", "shape"),
    [(8, (-1,), (1, 6)), (0, (-1,), (6,)), (8, (2, -1), (1, 2, 3)), (0, (6,), (6,)), (8, (2, 3), (1, 2, 3))],
)
def test_the_shape_is_deduced_from_the_size(
    max_batch_size: int, dims: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    found = only_input(FLOATS, echo_config("m", max_batch_size, input=(model_input("X", dims=dims),)))
    assert (found.name, found.shape, bytes(found.buffer)) == ("X", shape, FLOATS)


def test_an_empty_body_is_an_empty_tensor() -> None:
    assert only_input(b"", echo_config()).shape == (1, 0)


def test_bytes_are_one_string() -> None:
    found = only_input(b"abc", echo_config("m", 8, input=(model_input("X", "STRING", (1,)),)))
    assert (found.shape, found.array().tolist()) == ((1, 1), [[b"abc"]])


def test_the_model_and_version_are_those_asked_for() -> None:
    found = decode_raw_request(FLOATS, echo_config("m"), 3, ResponseStream(Answers()))
    assert (found.model_name, found.model_version) == ("m", 3)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            echo_config("types", input=(model_input("A"), model_input("B"))),
            (
                "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'types' "
                "model configuration"
            ),
        ),
        (
            echo_config("m", input=(model_input("X", dims=(-1, -1)),)),
            (
                "The shape of the raw input 'X' can not be deduced because there are more than one "
                "variable-sized dimension"
            ),
        ),
        (
            echo_config("m", input=(model_input("X", "STRING", (2,)),)),
            "For BYTE datatype raw input 'X', the model must have input shape [1]",
        ),
    ],
)
def test_a_shape_that_cannot_be_deduced_is_refused_in_tritons_words(config: ModelConfig, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        only_input(FLOATS, config)
    assert str(caught.value) == f"[request id: <id_unknown>] {text}"
