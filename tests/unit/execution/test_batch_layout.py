from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.builders import echo_config, model_input, model_output, request, tensor
from tritium.core.model_config import BatchInput, BatchInputKind, BatchOutput
from tritium.core.request import InferenceRequest
from tritium.errors import InternalError
from tritium.execution.batch_layout import BatchLayout

RAGGED = (model_input(allow_ragged_batch=True),)


def layout(**config: Any) -> BatchLayout:
    return BatchLayout(echo_config(**{"input": RAGGED, **config}))


def of(*shapes: tuple[int, ...], **rest: Any) -> list[InferenceRequest]:
    """A request for each shape of IN, batch dimension included; all elements are numbered."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    starts = np.cumsum([0, *sizes])
    return [
        request(
            tensor(np.arange(start, start + size, dtype=np.float32).reshape(shape)), rows=shape[0], **rest
        )
        for start, size, shape in zip(starts, sizes, shapes, strict=False)
    ]


@pytest.mark.parametrize("shapes", [[(1, 3)], [(2, 3)], [(1, 2), (2, 1), (1, 3)]])
def test_a_ragged_input_is_joined_to_one_dimension(shapes: list[tuple[int, ...]]) -> None:
    gathered = layout().gather(of(*shapes))["IN"]
    assert gathered.tolist() == [float(i) for i in range(sum(int(np.prod(s)) for s in shapes))]


def test_other_inputs_beside_a_ragged_one_are_joined_by_rows() -> None:
    inputs = (*RAGGED, model_input("B", dims=(1,)))
    requests = [
        request(tensor([[1.0, 2.0]]), tensor([[7.0]], "B")),
        request(tensor([[8.0]], "B"), tensor([[3.0]])),
    ]
    gathered = layout(input=inputs).gather(requests)
    assert {name: array.tolist() for name, array in gathered.items()} == {
        "IN": [1, 2, 3],
        "B": [[7], [8]],
    }


# The examples of Triton's model_config.proto are among these.
@pytest.mark.parametrize(
    ("kind", "shapes", "expected"),
    [
        ("BATCH_ELEMENT_COUNT", [(1, 3), (1, 4), (2, 5)], [3, 4, 10]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT", [(1, 2), (1, 2)], [2, 4]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO", [(1, 2), (1, 2)], [0, 2, 4]),
        ("BATCH_ITEM_SHAPE", [(2, 3, 1), (1, 2, 2)], [[3, 1], [3, 1], [2, 2]]),
        ("BATCH_ITEM_SHAPE_FLATTEN", [(2, 3, 1), (1, 2, 2)], [3, 1, 3, 1, 2, 2]),
    ],
)
@pytest.mark.parametrize("datatype", ["FP32", "INT32"])
def test_the_model_is_told_of_its_batch(
    kind: BatchInputKind, shapes: list[tuple[int, ...]], expected: list[Any], datatype: str
) -> None:
    made = BatchInput(kind, ("MADE",), f"TYPE_{datatype}", ("IN",))
    gathered = layout(batch_input=(made,)).gather(of(*shapes))["MADE"]
    assert gathered.tolist() == expected
    assert gathered.dtype == (np.float32 if datatype == "FP32" else np.int32)


def test_the_largest_number_of_elements_is_told_by_a_shape() -> None:
    made = BatchInput("BATCH_MAX_ELEMENT_COUNT_AS_SHAPE", ("MADE",), "TYPE_INT32", ("IN",))
    gathered = layout(batch_input=(made,)).gather(of((1, 3), (1, 5), (2, 2)))["MADE"]
    assert gathered.shape == (5,)


SCATTERED = {
    "output": (model_output(dims=(-1, 2)), model_output("ROWS", dims=(1,))),
    "batch_output": (BatchOutput(("OUT",), source_input=("IN",)),),
}


def test_an_output_is_split_by_the_shapes_of_an_input() -> None:
    requests = of((1, 3, 2), (2, 1, 2))
    outputs = {"OUT": np.arange(10, dtype=np.float32), "ROWS": np.array([[1], [2], [3]], np.float32)}
    responses = layout(**SCATTERED).scatter(requests, outputs)
    found = [{t.name: t.array().tolist() for t in response.outputs} for response in responses]
    assert found == [
        {"ROWS": [[1]], "OUT": [[[0, 1], [2, 3], [4, 5]]]},
        {"ROWS": [[2], [3]], "OUT": [[[6, 7]], [[8, 9]]]},
    ]


def test_a_request_gets_the_outputs_that_it_asked_for() -> None:
    outputs = {"OUT": np.zeros(2, np.float32), "ROWS": np.zeros((1, 1), np.float32)}
    (response,) = layout(**SCATTERED).scatter(of((1, 1, 2), requested_outputs=("ROWS",)), outputs)
    assert [t.name for t in response.outputs] == ["ROWS"]


def test_an_output_that_does_not_divide_fails_all() -> None:
    with pytest.raises(InternalError, match="output 'OUT' has 9 elements, expected 10"):
        layout(**SCATTERED).scatter(of((1, 3, 2), (2, 1, 2)), {"OUT": np.zeros(9, np.float32)})
    with pytest.raises(InternalError, match="has the shape \\[1, 4\\] and so not the 3 dimensions"):
        layout(**SCATTERED).scatter(of((1, 4)), {"OUT": np.zeros(4, np.float32)})


def test_without_any_of_it_a_single_request_is_not_copied() -> None:
    plain = BatchLayout(echo_config())
    (one,) = of((1, 2))
    assert np.shares_memory(plain.gather([one])["IN"], np.frombuffer(one.inputs[0].buffer, np.float32))
    assert plain.output_names == ("OUT",)
