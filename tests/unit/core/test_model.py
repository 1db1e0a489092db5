from __future__ import annotations

import numpy as np
import pytest

from tests.unit.builders import FakeScheduler, echo_config, model, model_input, request, tensor
from tritium.core.model_config import TensorReshape
from tritium.errors import InvalidArgumentError


def test_a_request_that_fits_gets_its_batch_size() -> None:
    accepted = request(tensor(np.zeros((3, 2), np.float32)))
    model().check(accepted)
    assert accepted.batch_size == 3


def test_a_checked_request_is_stamped_and_queued() -> None:
    scheduler = FakeScheduler()
    model(scheduler=scheduler).enqueue(accepted := request(), 1234)
    assert scheduler.requests == [accepted]
    assert accepted.arrival_ns == 1234


def test_a_request_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        model().check(request(tensor([1.0], "FOO")))


def test_the_model_sees_the_shape_of_its_reshape() -> None:
    config = echo_config(input=(model_input(dims=(1,), reshape=TensorReshape(())),))
    accepted = request(tensor(np.zeros((3, 1), np.float32)))
    model(config).check(accepted)
    assert accepted.inputs[0].shape == (3,)


def test_a_model_is_unused_when_nothing_holds_it() -> None:
    held, told = model(), list[str]()
    held.when_unused(lambda: told.append("free"))
    held.hold()
    held.hold()
    held.when_unused(lambda: told.append("released"))
    held.release()
    assert told == ["free"]
    held.release()
    assert told == ["free", "released"]
