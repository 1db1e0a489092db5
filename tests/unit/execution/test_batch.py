from __future__ import annotations

import numpy as np
import pytest

from tests.unit.builders import request, tensor
from tritium.core.tensor import Array, DataType
from tritium.errors import InternalError
from tritium.execution.batch import gather, scatter

FP32 = {"OUT": DataType.FP32}


def test_requests_are_joined_along_the_first_dimension() -> None:
    joined = gather(
        [
            request(tensor([[1.0]], "A"), tensor([[2.0]], "B")),
            request(tensor([[3.0], [4.0]], "A"), tensor([[5.0], [6.0]], "B")),
        ]
    )
    assert {name: array.tolist() for name, array in joined.items()} == {
        "A": [[1.0], [3.0], [4.0]],
        "B": [[2.0], [5.0], [6.0]],
    }


def test_inputs_are_matched_by_name_whatever_their_order() -> None:
    joined = gather(
        [
            request(tensor([[1.0]], "A"), tensor([[2.0]], "B")),
            request(tensor([[4.0]], "B"), tensor([[3.0]], "A")),
        ]
    )
    assert joined["A"].tolist() == [[1.0], [3.0]]


def test_a_single_request_is_not_copied() -> None:
    array = np.ones((1, 2), np.float32)
    gathered = gather([request(tensor(array))])
    assert np.shares_memory(gathered["IN"], array)


def test_strings_are_joined_as_byte_strings() -> None:
    joined = gather([request(tensor(np.array([["a"]]))), request(tensor(np.array([["bc"]])))])
    assert joined["IN"].tolist() == [[b"a"], [b"bc"]]


def test_outputs_are_split_back_by_rows_without_a_copy() -> None:
    output = np.arange(6, dtype=np.float32).reshape(3, 2)
    first, second = scatter([request(rows=1), request(rows=2)], {"OUT": output}, FP32)
    assert first.outputs[0].array().tolist() == [[0.0, 1.0]]
    assert second.outputs[0].array().tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert np.shares_memory(second.outputs[0].array(), output)


def test_each_request_gets_what_it_asked_for_and_nothing_undeclared() -> None:
    outputs: dict[str, Array] = {
        "A": np.zeros((2, 1), np.float32),
        "B": np.zeros((2, 1), np.int32),
        "C": np.zeros((2, 1)),
    }
    datatypes = {"A": DataType.FP32, "B": DataType.INT32}
    everything, only_b = scatter([request(), request(requested_outputs=("B",))], outputs, datatypes)
    assert [t.name for t in everything.outputs] == ["A", "B"]
    assert [(t.name, t.datatype) for t in only_b.outputs] == [("B", DataType.INT32)]


def test_an_output_that_the_model_did_not_give_is_absent() -> None:
    (response,) = scatter([request(requested_outputs=("OUT", "B"))], {"OUT": np.zeros(1, np.float32)}, FP32)
    assert [t.name for t in response.outputs] == ["OUT"]


def test_a_single_request_may_have_outputs_of_any_shape() -> None:
    (response,) = scatter([request(rows=3)], {"OUT": np.array(1.0, np.float32)}, FP32)
    assert response.outputs[0].shape == ()


@pytest.mark.parametrize("shape", [(), (3, 1), (1, 2)])
def test_a_wrong_number_of_rows_is_the_models_fault_and_reaches_nobody(shape: tuple[int, ...]) -> None:
    with pytest.raises(InternalError, match="expected 2 rows for the batch"):
        scatter([request(), request()], {"OUT": np.zeros(shape, np.float32)}, FP32)
