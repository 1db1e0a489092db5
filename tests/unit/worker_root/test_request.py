from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tritium_worker.board import BYTES, Board
from tritium_worker.channel import Channel
from tritium_worker.errors import TritonModelException
from tritium_worker.replies import Replies
from tritium_worker.request import InferenceRequest
from tritium_worker.sender import Origin
from tritium_worker.tensor import Tensor


def tensor(name: str = "IN") -> Tensor:
    return Tensor(name, np.zeros(1, dtype=np.float32))


def received(meta: dict[str, Any] | None = None, origin: Origin | None = None) -> InferenceRequest:
    told = b"" if meta is None else json.dumps(meta).encode()
    return InferenceRequest._received([tensor()], ["OUT"], told, origin)


def outgoing(**changes: Any) -> InferenceRequest:
    arguments: dict[str, Any] = {
        "inputs": [tensor()],
        "requested_output_names": ["OUT"],
        "model_name": "other",
    }
    return InferenceRequest(**{**arguments, **changes})


def test_a_bare_request_has_tritons_defaults() -> None:
    request = received()
    assert [t.name() for t in request.inputs()] == ["IN"]
    assert request.requested_output_names() == {"OUT"}
    assert (request.request_id(), request.correlation_id(), request.flags(), request.timeout()) == (
        "",
        0,
        0,
        0,
    )
    assert (request.parameters(), request.is_cancelled()) == ("{}", False)
    assert request.trace().get_context() is None


def test_a_request_tells_what_came_with_it() -> None:
    meta = {
        "id": "r1",
        "correlation_id": "seq",
        "flags": 3,
        "timeout_us": 250,
        "parameters": {"b": 1, "a": "x"},
    }
    request = received(meta)
    assert (request.request_id(), request.correlation_id()) == ("r1", "seq")
    assert (request.flags(), request.timeout()) == (3, 250)
    assert request.parameters() == '{"b": 1, "a": "x"}'


def test_flags_can_be_set_without_touching_other_requests() -> None:
    shared: dict[str, Any] = {}
    request, other = received(shared), received(shared)
    request.set_flags(2)
    assert (request.flags(), other.flags(), shared) == (2, 0, {})


def test_a_request_sees_its_client_leave() -> None:
    with tempfile.TemporaryFile() as page, socket.socket() as sock:
        page.truncate(BYTES)
        board = Board(page.fileno())
        origin = Origin(Replies(Channel(sock, -1, -1, 0)), 1, 0, 7, board, decoupled=False)
        request = received(origin=origin)
        assert not request.is_cancelled()
        board.cancel(7)
        assert request.is_cancelled()


def test_models_build_requests_with_tritons_arguments() -> None:
    request = outgoing(
        request_id="r2",
        correlation_id=9,
        model_version=np.int64(2),
        flags=np.uint8(1),
        timeout=np.int32(5),
        priority=2,
        trace=(trace := received().trace()),
        preferred_memory=None,
        parameters={"k": True},
    )
    assert (request.request_id(), request.correlation_id(), request.flags()) == ("r2", 9, 1)
    assert (request.timeout(), request.priority()) == (5, 2)
    assert (request.parameters(), request.trace()) == ('{"k": true}', trace)
    assert request.requested_output_names() == {"OUT"}
    assert not request.is_cancelled()


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        (
            {"inputs": [None], "request_id": "r"},
            TritonModelException,
            "^Input tensor for request with id 'r' and model name 'other' should not be empty.$",
        ),
        (
            {"requested_output_names": [""]},
            TritonModelException,
            "^Requested output name for request with id '' and model name 'other' should not be empty.$",
        ),
        ({"timeout": -1}, TypeError, "expected integers from 0 on, got -1 and 0"),
        ({"priority": "high"}, TypeError, r"^InferenceRequest\(priority\): expected an integer, got str$"),
        ({"model_version": None}, TypeError, r"\(model_version\): expected an integer, got NoneType$"),
        ({"requested_output_names": "OUT"}, TypeError, "expected a list of names, got one$"),
        ({"inputs": [3]}, TypeError, "expected pb_utils.Tensor objects, got int"),
        ({"inputs": [np.zeros(2)]}, TypeError, "expected pb_utils.Tensor objects, got ndarray"),
        ({"correlation_id": 1.5}, TritonModelException, "^Correlation ID must be integer or string$"),
        ({"parameters": {"a": []}}, TritonModelException, "type bool/int/str, found type <class 'list'>"),
        (
            {"preferred_memory": object()},
            TypeError,
            r"^InferenceRequest\(preferred_memory\): expected a pb_utils.PreferredMemory, got object$",
        ),
        ({"trace": None}, TypeError, r"expected what another request's trace\(\) gives, got NoneType"),
        ({"trace": "00-0af7651916cd43dd"}, TypeError, r"\(trace\): .* got str; leave the argument out"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        outgoing(**changes)


@pytest.mark.parametrize(
    "use", [lambda request: request.exec(), lambda request: request.exec(decoupled=True)]
)
def test_without_a_server_no_model_can_be_asked(use: Callable[[InferenceRequest], Any]) -> None:
    with pytest.raises(TritonModelException, match="there is no server to ask"):
        use(outgoing())


def test_a_request_that_a_model_made_has_no_response_sender() -> None:
    with pytest.raises(TritonModelException, match="this request was not received from the server"):
        outgoing().get_response_sender()


def test_both_releases_are_accepted_and_unknown_ones_are_not() -> None:
    request = received()
    request.set_release_flags(1)
    request.set_release_flags(2)
    with pytest.raises(
        TritonModelException, match=r"expected TRITONSERVER_REQUEST_RELEASE_ALL \(1\) or .* got 4"
    ):
        request.set_release_flags(4)
