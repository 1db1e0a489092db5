from __future__ import annotations

import numpy as np
import pytest

from tritium_worker.errors import TritonError, TritonModelException
from tritium_worker.response import InferenceResponse
from tritium_worker.tensor import Tensor


def tensor(name: str) -> Tensor:
    return Tensor(name, np.zeros(1, dtype=np.float32))


def test_a_response_holds_its_outputs_in_order() -> None:
    outputs = (tensor("B"), tensor("A"))
    response = InferenceResponse(output_tensors=outputs)
    assert response.output_tensors() == list(outputs)
    assert (response.has_error(), response.error()) == (False, None)


def test_a_response_may_be_an_error() -> None:
    error = TritonError("bad", TritonError.INVALID_ARG)
    response = InferenceResponse(error=error)
    assert (response.has_error(), response.error(), response.output_tensors()) == (True, error, [])


def test_parameters_are_json_for_models_and_a_dictionary_for_the_channel() -> None:
    response = InferenceResponse([], parameters={"a": 1, "b": True, "c": "x", "d": 0.5})
    assert response.parameters() == '{"a": 1, "b": true, "c": "x", "d": 0.5}'
    assert response.parameters_or_none() == {"a": 1, "b": True, "c": "x", "d": 0.5}


def test_no_parameters_are_an_empty_object() -> None:
    assert (InferenceResponse().parameters(), InferenceResponse().parameters_or_none()) == ("{}", None)
    assert InferenceResponse(parameters={}).parameters_or_none() is None


def test_none_among_the_outputs_is_refused() -> None:
    with pytest.raises(
        TritonModelException, match=r"^Output tensor for inference response should not be empty\.$"
    ):
        InferenceResponse([tensor("A"), None])  # type: ignore[list-item]


def test_arguments_of_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match=r"expected pb_utils\.Tensor objects, got ndarray"):
        InferenceResponse([np.zeros(1)])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"expected a pb_utils\.TritonError, got str; wrap the text with"):
        InferenceResponse(error="bad")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ([], "Expect dict, got <class 'list'>"),
        ({1: "a"}, "Expect parameters keys to have type str, found type <class 'int'>"),
        ({"a": None}, "values to have type bool/int/str, found type <class 'NoneType'>"),
        ({"a": [1]}, "values to have type bool/int/str, found type <class 'list'>"),
    ],
)
def test_parameters_that_no_protocol_carries_are_refused(parameters: dict[str, object], text: str) -> None:
    with pytest.raises(TritonModelException, match=text):
        InferenceResponse(parameters=parameters)
