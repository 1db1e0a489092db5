from __future__ import annotations

import numpy as np
import pytest

from tests.unit.builders import Answers, echo_config, model, model_input, request, tensor
from tritium.core.model import Model
from tritium.core.model_config import ModelConfig, TensorReshape
from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import Array, Tensor
from tritium.errors import InvalidArgumentError
from tritium.scheduling.ensemble_member import EnsembleMember, with_rank


class Observer:
    """Does not look."""

    def executed(self, *times: int) -> None:
        """Nothing."""


def member(of: Model | ModelConfig | None = None, rank: int = 2) -> EnsembleMember:
    taker = of if isinstance(of, Model) else model(of)
    return EnsembleMember(taker, [("IN", "x", rank)], [("y", "OUT")])


def ask(
    one: EnsembleMember, given: Tensor | None, parent: InferenceRequest | None = None
) -> InferenceRequest:
    stream = ResponseStream(Answers())
    return one.request({"x": given}, parent or request(), stream, Observer())


def parent(form: object) -> InferenceRequest:
    return request(form=form)


def test_a_request_is_checked_and_knows_its_rows() -> None:
    asked = ask(member(), tensor([[1], [2], [3]], "x"))
    assert (asked.batch_size, asked.inputs[0].name, asked.requested_outputs) == (3, "IN", ("OUT",))
    with pytest.raises(InvalidArgumentError, match="batch-size must be <= 8"):
        ask(member(), tensor([[1]] * 9, "x"))


def test_what_is_not_there_is_left_out() -> None:
    config = echo_config(input=(model_input(optional=True),))
    assert ask(member(config), None).inputs == []


def test_requests_of_one_form_and_shape_have_one_form_of_their_own() -> None:
    one, form = member(), object()
    first, again = (ask(one, tensor([[value]], "x"), parent(form)) for value in (1, 2))
    assert first.form is not None
    assert first.form is again.form
    assert again.batch_size == 1
    assert ask(one, tensor([[1], [2]], "x"), parent(form)).form is not first.form
    assert ask(one, tensor([[1]], "x"), parent(object())).form is not first.form
    assert ask(one, tensor([[1]], "x")).form is None


def test_a_form_remembers_the_shape_that_the_model_sees() -> None:
    reshaped = echo_config(input=(model_input(dims=(2,), reshape=TensorReshape((1, 2))),))
    one, form = member(reshaped), object()
    shapes = [ask(one, tensor([[1, 2]], "x"), parent(form)).inputs[0].shape for _ in range(2)]
    assert shapes == [(1, 1, 2)] * 2


def test_strings_are_looked_at_each_time() -> None:
    words: Array = np.array([[b"word"]], object)
    config = echo_config(input=(model_input(data_type="STRING"),))
    one, form = member(config), object()
    assert ask(one, tensor(words, "x"), parent(form)).form is None
    bad = Tensor("x", tensor(words).datatype, (1, 1), b"\x09\0\0\0word")
    with pytest.raises(InvalidArgumentError, match="incomplete string data"):
        ask(one, bad, parent(form))


def test_forms_are_kept_but_not_without_bound() -> None:
    one, form = member(), object()
    first = ask(one, tensor([[1]], "x"), parent(form)).form
    for _ in range(300):
        ask(one, tensor([[1]], "x"), parent(object()))
    assert ask(one, tensor([[1]], "x"), parent(form)).form is not first


@pytest.mark.parametrize(
    ("shape", "rank", "seen"),
    [((2,), 2, (1, 2)), ((1, 2), 1, (2,)), ((3, 2), 1, (3, 2)), ((3, 2), 2, (3, 2)), ((), 2, ())],
)
def test_a_batch_of_one_comes_and_goes_where_models_differ_in_it(
    shape: tuple[int, ...], rank: int, seen: tuple[int, ...]
) -> None:
    assert with_rank(shape, rank) == seen
