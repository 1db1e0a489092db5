from __future__ import annotations

import numpy as np
import pytest

from tests.unit.builders import echo_config, model_input, model_output, tensor
from tritium.core.model_config import TensorReshape
from tritium.core.reshape import Reshape, input_reshape, output_reshape

Dims = tuple[int, ...]


@pytest.mark.parametrize(
    ("batching", "old", "new", "given", "expected"),
    [
        (True, (1,), (), (5, 1), (5,)),
        (True, (), (1,), (5,), (5, 1)),
        (True, (4,), (2, 2), (3, 4), (3, 2, 2)),
        (False, (2, 2), (4,), (2, 2), (4,)),
        (True, (-1, 1), (-1,), (3, 7, 1), (3, 7)),
        (False, (-1, 2, -1), (-1, -1, 2), (5, 2, 6), (5, 6, 2)),
    ],
)
def test_shapes_change_and_variable_dimensions_keep_their_size(
    batching: bool, old: Dims, new: Dims, given: Dims, expected: Dims
) -> None:
    given_tensor = tensor(np.zeros(given, np.float32))
    before = bytes(given_tensor.buffer)
    Reshape(batching, {"IN": (old, new)}).apply([given_tensor])
    assert given_tensor.shape == expected
    assert bytes(given_tensor.buffer) == before


def test_tensors_without_a_reshape_or_of_another_rank_keep_their_shape() -> None:
    other, deeper = tensor([1.0], "OTHER"), tensor(np.zeros((1, 1, 1), np.float32))
    Reshape(True, {"IN": ((1,), ())}).apply([other, deeper])
    assert other.shape == (1,)
    assert deeper.shape == (1, 1, 1)


def test_inputs_are_reshaped_for_the_model_and_outputs_back_for_clients() -> None:
    config = echo_config(
        input=(model_input(dims=(1,), reshape=TensorReshape(())),),
        output=(model_output(dims=(4,), reshape=TensorReshape((2, 2))), model_output("PLAIN")),
    )
    seen_by_model, seen_by_client = tensor(np.zeros((3, 1))), tensor(np.zeros((3, 2, 2)), "OUT")
    input_reshape(config).apply([seen_by_model])
    outputs = output_reshape(config)
    assert outputs is not None
    outputs.apply([seen_by_client])
    assert seen_by_model.shape == (3,)
    assert seen_by_client.shape == (3, 4)


def test_a_model_without_reshape_leaves_everything_alone() -> None:
    given_tensor = tensor([1.0])
    input_reshape(echo_config()).apply([given_tensor])
    assert given_tensor.shape == (1,)
    assert output_reshape(echo_config()) is None
