from __future__ import annotations

import numpy as np

from tests.unit.builders import echo_config, model_input, request, tensor
from tritium.core.model_config import ModelInput
from tritium.core.request import InferenceRequest
from tritium.scheduling.compatibility import batch_signature


def together(inputs: tuple[ModelInput, ...], one: InferenceRequest, other: InferenceRequest) -> bool:
    signature = batch_signature(echo_config(input=inputs))
    return signature is None or signature(one) == signature(other)


def of(**lengths: int) -> InferenceRequest:
    return request(*(tensor(np.zeros((1, size), np.float32), name) for name, size in lengths.items()))


FREE = (model_input("A"), model_input("B"))


def test_shapes_have_to_be_the_same() -> None:
    assert together((model_input("A"),), of(A=2), of(A=2))
    assert not together((model_input("A"),), of(A=2), of(A=3))
    assert together(FREE, of(A=2, B=3), of(A=2, B=3))
    assert not together(FREE, of(A=2, B=3), of(A=2, B=4))


def test_the_batch_dimension_may_differ() -> None:
    assert together((model_input(),), request(rows=1), request(rows=3))


def test_the_order_of_inputs_means_nothing() -> None:
    assert together(FREE, of(A=2, B=3), of(B=3, A=2))


def test_ragged_inputs_may_differ_and_others_may_not() -> None:
    inputs = (model_input("A", allow_ragged_batch=True), model_input("B"))
    assert together(inputs, of(A=2, B=3), of(A=5, B=3))
    assert not together(inputs, of(A=2, B=3), of(A=2, B=4))


def test_the_same_optional_inputs_have_to_be_there() -> None:
    fixed = (model_input("A", dims=(2,)), model_input("B", dims=(2,), optional=True))
    assert together(fixed, of(A=2, B=2), of(B=2, A=2))
    assert not together(fixed, of(A=2, B=2), of(A=2))
    ragged = (model_input("A"), model_input("B", allow_ragged_batch=True, optional=True))
    assert not together(ragged, of(A=2, B=2), of(A=2))


def test_a_single_optional_input_is_there_or_not() -> None:
    only = (model_input("A", dims=(2,), optional=True),)
    nothing = of(A=2)
    nothing.inputs.clear()
    assert together(only, of(A=2), of(A=2))
    assert not together(only, of(A=2), nothing)
    assert not together((model_input("A", optional=True),), of(A=2), nothing)


def test_models_of_fixed_shapes_need_not_look() -> None:
    assert batch_signature(echo_config(input=(model_input(dims=(2, 3)),))) is None
