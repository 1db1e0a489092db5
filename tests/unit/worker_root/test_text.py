from __future__ import annotations

import numpy as np
import pytest

from tritium_worker.errors import TritonError
from tritium_worker.request import InferenceRequest
from tritium_worker.tensor import Tensor
from tritium_worker.text import text


@pytest.mark.parametrize(
    "value", ["häuser", "häuser".encode(), np.bytes_("häuser".encode()), np.str_("häuser")]
)
def test_strings_and_bytes_are_strings(value: object) -> None:
    assert text(value, "f(name)") == "häuser"


@pytest.mark.parametrize("value", [1, None, ["a"], bytearray(b"a")])
def test_what_is_neither_is_refused_by_name(value: object) -> None:
    with pytest.raises(TypeError, match=rf"^f\(name\): expected a str, got {type(value).__name__}$"):
        text(value, "f(name)")


def test_elements_of_a_string_tensor_name_models_and_tensors() -> None:
    name = np.array([b"other"], np.object_)[0]
    tensor = Tensor(name, np.zeros(1, np.float32))
    request = InferenceRequest(
        inputs=[tensor], requested_output_names=[name], model_name=name, request_id=name
    )
    assert (tensor.name(), request.request_id(), request.requested_output_names()) == (
        "other",
        "other",
        {"other"},
    )
    assert TritonError(name).message() == "other"
