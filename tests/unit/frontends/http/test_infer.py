from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.unit.builders import FakeScheduler, echo, echo_config, model, model_input, model_output, tensor
from tests.unit.frontends.http.fakes import FakeModels, FakeReplyPath, Reply, exchange, reply_of, server
from tritium.core.model import Model
from tritium.core.model_config import ModelTransactionPolicy
from tritium.core.request import SEQUENCE_START, InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.core.tensor import Buffer
from tritium.errors import InternalError, UnavailableError
from tritium.frontends.http.exchange import Exchange
from tritium.frontends.http.handlers import HttpApi
from tritium.server import InferenceServer

PATH = "/v2/models/echo/infer"
DATA = np.array([[1.5, 2.5]], "<f4").tobytes()


def json_body(**more: Any) -> bytes:
    entry = {"name": "IN", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2.5]}
    return json.dumps({"inputs": [entry], **more}).encode()


def binary_body(data: bytes = DATA, **more: Any) -> tuple[bytes, int]:
    """A body, and the bytes of its JSON."""
    entry = {"name": "IN", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": len(data)}}
    text = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}, **more}).encode()
    return text + data, len(text)


class Client:
    """Sends requests with one head each to one API, as connections do."""

    def __init__(self, *models: Model, max_input_bytes: int = 1 << 20) -> None:
        self.server: InferenceServer = server(*(models or (model(),)))
        self.api = HttpApi(self.server, max_input_bytes=max_input_bytes)
        self._replies = FakeReplyPath()
        self._plans: dict[object, Callable[[Exchange], None]] = {}

    def start(self, body: bytes, path: str = PATH, **headers: str | int) -> Exchange:
        given = {name.replace("_", "-").encode(): str(value).encode() for name, value in headers.items()}
        one = exchange("POST", path, body, headers=given, reply_path=self._replies)
        key = path, len(body), tuple(given.items())
        if key not in self._plans:
            self._plans[key] = self.api.plan(one.head)
        one.head.plan = self._plans[key]
        self.api.handle(one)
        return one

    def post(self, body: bytes, path: str = PATH, **headers: str | int) -> Reply:
        return reply_of(self.start(body, path, **headers))

    async def settled(self, started: Exchange) -> Reply:
        """The reply of an exchange that another thread works on."""
        await asyncio.wait_for(self._replies.settled.wait(), 5)
        self._replies.settled.clear()
        return reply_of(started)

    def post_binary(self, data: bytes = DATA, **more: Any) -> Reply:
        body, length = binary_body(data, **more)
        return self.post(body, inference_header_content_length=length)


def failing(error: Exception) -> FakeScheduler:
    """A scheduler that refuses everything."""

    def refuse(request: InferenceRequest) -> None:
        raise error

    return FakeScheduler(refuse)


def test_json_comes_back_as_json() -> None:
    reply = Client().post(json_body(id="q"))
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert json.loads(reply.body) == {
        "id": "q",
        "model_name": "echo",
        "model_version": "1",
        "outputs": [{"name": "OUT", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]}],
    }


def test_binary_comes_back_as_binary_behind_the_length_of_the_json() -> None:
    reply = Client().post_binary()
    assert reply.headers["Content-Type"] == "application/octet-stream"
    length = int(reply.headers["Inference-Header-Content-Length"])
    assert json.loads(reply.body[:length])["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert reply.body[length:] == DATA


def test_empty_binary_outputs_leave_a_plain_json_reply() -> None:
    body = json.dumps(
        {
            "inputs": [
                {"name": "IN", "shape": [1, 0], "datatype": "FP32", "parameters": {"binary_data_size": 0}}
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    reply = Client().post(body, inference_header_content_length=len(body))
    assert reply.headers["Content-Type"] == "application/json"
    assert "Inference-Header-Content-Length" not in reply.headers


def test_requests_of_one_form_get_their_own_answers() -> None:
    client = Client()
    for value in (1.0, 2.0, 3.0, 4.0):
        data = np.array([[value, -value]], "<f4").tobytes()
        reply = client.post_binary(data, id="same")
        length = int(reply.headers["Inference-Header-Content-Length"])
        assert reply.body[length:] == data
        assert json.loads(reply.body[:length])["id"] == "same"


def test_a_form_is_forgotten_when_the_json_changes() -> None:
    client = Client()
    ids = []
    for name in ("a", "a", "b", "a"):
        reply = client.post_binary(id=name)
        ids.append(json.loads(reply.body[: int(reply.headers["Inference-Header-Content-Length"])])["id"])
    assert ids == ["a", "a", "b", "a"]


def test_requests_that_differ_in_id_and_parameters_get_their_own_answers() -> None:
    scheduler = FakeScheduler(echo)
    client = Client(model(scheduler=scheduler))
    ids = ["", "7", "8", "12", '"quoted"', "ä€", "\n", "9", "", 'a"b', "z"]
    for number, name in enumerate([*ids, *ids]):
        data = np.array([[number, -number]], "<f4").tobytes()
        parameters = {"sequence_id": number + 1, "sequence_start": number % 3 == 0, "x": f"{number}"}
        reply = client.post_binary(data, id=name, parameters={**parameters, "binary_data_output": True})
        length = int(reply.headers["Inference-Header-Content-Length"])
        assert int(reply.headers["Content-Length"]) == len(reply.body)
        assert reply.body[length:] == data
        assert json.loads(reply.body[:length]).get("id", "") == name
        asked = scheduler.requests[-1]
        assert (asked.id, asked.correlation_id, asked.parameters) == (name, number + 1, {"x": f"{number}"})
        assert asked.flags == (SEQUENCE_START if number % 3 == 0 else 0)
    forms = [asked.form for asked in scheduler.requests[12:15]]
    assert forms[0] is not None
    assert forms[0] is forms[1] is forms[2]  # of 7, 8 and 12, though those come with heads of their own


def test_a_form_that_came_with_another_head_is_known_and_what_the_head_says_counts() -> None:
    async def scenario() -> None:
        scheduler = FakeScheduler(echo)
        client = Client(model(scheduler=scheduler))
        client.api = HttpApi(client.server, max_input_bytes=1 << 20, forward=re.compile(b"^own-"))
        client.post_binary(id="a")
        client.post_binary(id="b")
        body, length = binary_body(id="c")
        started = client.start(body, inference_header_content_length=length, own_name="value")
        assert "Content-Encoding" not in (await client.settled(started)).headers
        started = client.start(
            body, inference_header_content_length=length, own_name="value", accept_encoding="gzip"
        )
        reply = await client.settled(started)
        assert reply.headers["Content-Encoding"] == "gzip"
        client.post_binary(id="d")
        assert [asked.parameters for asked in scheduler.requests] == [
            {},
            {},
            {"own-name": "value"},
            {"own-name": "value"},
            {},
        ]
        assert len({id(asked.form) for asked in scheduler.requests[1:]}) == 1
        other = Client(model())
        other.post_binary(id="a")
        other.post_binary(id="b")
        plain = exchange(
            "POST",
            PATH,
            body,
            headers={b"inference-header-content-length": b"%d" % length},
            http_1_0=True,
        )
        plain.head.plan = other.api.plan(plain.head)
        other.api.handle(plain)
        assert reply_of(plain).headers["Connection"] == "keep-alive"

    asyncio.run(scenario())


def test_a_form_is_forgotten_when_another_model_has_taken_the_name() -> None:
    client = Client(model(version=1))
    client.post_binary()
    client.post_binary()
    assert isinstance(client.server.models, FakeModels)
    client.server.models.models[0] = model(version=2)
    assert b'"model_version":"2"' in client.post_binary().body


def test_replies_of_a_form_follow_the_shapes_that_the_model_gives() -> None:
    lengths = iter([1, 2, 1, 2, 2, 0])

    def run(request: InferenceRequest) -> None:
        output = tensor(np.zeros((1, next(lengths)), np.float32), "OUT")
        request.stream.send(InferenceResponse([output]), final=True)

    client = Client(model(scheduler=FakeScheduler(run)))
    shapes = []
    for _ in range(6):
        reply = client.post_binary()
        length = int(reply.headers.get("Inference-Header-Content-Length", len(reply.body)))
        (output,) = json.loads(reply.body[:length])["outputs"]
        assert len(reply.body) - length == output["parameters"]["binary_data_size"]
        shapes.append(output["shape"][1])
    assert shapes == [1, 2, 1, 2, 2, 0]


def test_many_forms_of_reply_do_not_pile_up_and_stay_right() -> None:
    sizes = iter([*range(1, 101), 1])

    def run(request: InferenceRequest) -> None:
        output = tensor(np.zeros((1, next(sizes)), np.float32), "OUT")
        request.stream.send(InferenceResponse([output]), final=True)

    client = Client(model(scheduler=FakeScheduler(run)))
    found = []
    for _ in range(101):
        reply = client.post_binary()
        found.append((len(reply.body) - int(reply.headers["Inference-Header-Content-Length"])) // 4)
    assert found == [*range(1, 101), 1]


def test_errors_and_parameters_of_known_forms_are_not_left_out() -> None:
    responses = iter(
        [
            InferenceResponse([tensor([[1.0]], "OUT")]),
            InferenceResponse([tensor([[1.0]], "OUT")]),
            InferenceResponse([tensor([[1.0]], "OUT")], parameters={"x": 1}),
            InferenceResponse(error=InternalError("broken")),
        ]
    )
    scheduler = FakeScheduler(lambda request: request.stream.send(next(responses), final=True))
    client = Client(model(scheduler=scheduler))
    replies = [client.post_binary() for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 500]
    assert b'"parameters":{"x":1}' in replies[2].body
    assert json.loads(replies[3].body) == {"error": "broken"}


def test_parameters_that_only_look_alike_are_told_apart() -> None:
    wanted: list[dict[str, str | int | float | bool] | None] = [
        {"x": v} for v in (1, True, 1.0, 0.0, -0.0, "1")
    ]
    wanted += [{}, None, {"x": 1}, {"x": 2}]
    responses = iter(
        [InferenceResponse([tensor([[1.0]], "OUT")], parameters=given) for given in wanted for _ in range(2)]
    )
    scheduler = FakeScheduler(lambda request: request.stream.send(next(responses), final=True))
    client = Client(model(scheduler=scheduler))
    for given in wanted:
        for _ in range(2):
            reply = client.post_binary()
            length = int(reply.headers["Inference-Header-Content-Length"])
            assert repr(json.loads(reply.body[:length]).get("parameters")) == repr(given)


def test_what_a_cache_has_at_hand_does_not_reach_the_scheduler() -> None:
    cached = model()
    seen: list[bytes] = []

    def recall(form: object, buffers: Sequence[Buffer]) -> InferenceResponse | None:
        seen.append(b"".join(buffers))
        return InferenceResponse([tensor([[7.0, 8.0]], "OUT")]) if len(seen) == 1 else None

    cached.recall = recall
    client = Client(cached)
    kept = np.array([[7.0, 8.0]], "<f4").tobytes()
    bodies = [client.post_binary(id=name).body for name in ("a", "b", "c")]
    assert [body[-8:] for body in bodies] == [DATA, kept, DATA]
    assert b'"id":"b"' in bodies[1]
    assert seen == [DATA, DATA]
    scheduler = cached.scheduler
    assert isinstance(scheduler, FakeScheduler)
    assert [request.id for request in scheduler.requests] == ["a", "c"]
    assert client.post_binary(parameters={"binary_data_output": True, "x": 1}).body[-8:] == DATA
    assert len(seen) == 2


def test_headers_that_are_parameters_keep_a_request_from_what_is_kept_for_others() -> None:
    cached = model()
    cached.recall = lambda form, buffers: InferenceResponse([tensor([[7.0, 8.0]], "OUT")])
    client = Client(cached)
    client.api = HttpApi(client.server, max_input_bytes=1 << 20, forward=re.compile(b"^own-"))
    kept = np.array([[7.0, 8.0]], "<f4").tobytes()
    assert [client.post_binary().body[-8:] for _ in range(2)] == [DATA, kept]
    body, length = binary_body()
    for _ in range(2):
        assert client.post(body, inference_header_content_length=length, own_tenant="b").body[-8:] == DATA


def test_classes_of_a_known_form_are_made_anew() -> None:
    client = Client(model(labels={"OUT": ("cat", "dog")}))
    outputs = [{"name": "OUT", "parameters": {"binary_data": True, "classification": 1}}]
    found = []
    for values in ([1.0, 2.0], [2.0, 1.0], [1.0, 2.0]):
        reply = client.post_binary(np.array([values], "<f4").tobytes(), outputs=outputs)
        found.append(reply.body[-3:])
    assert found == [b"dog", b"cat", b"dog"]


@pytest.mark.parametrize(
    ("body", "status", "text", "kind"),
    [
        (b"x", 400, "failed to parse the request JSON buffer: Invalid value. at 0", "application/json"),
        (
            json_body(outputs=[{"name": "ZZ"}]),
            400,
            "unexpected inference output 'ZZ' for model 'echo'",
            "application/json",
        ),
        (json_body(parameters={"priority": -1}), 400, "Unable to parse 'priority'", "application/json"),
    ],
)
def test_mistakes_are_answered_with_json(body: bytes, status: int, text: str, kind: str) -> None:
    reply = Client().post(body)
    assert (reply.status, reply.headers["Content-Type"]) == (status, kind)
    assert text in json.loads(reply.body)["error"]


@pytest.mark.parametrize("value", ["abc", "-1", "1.0", "9" * 19, ""])
def test_a_header_length_that_is_no_number_is_refused(value: str) -> None:
    reply = Client().post(json_body(), inference_header_content_length=value)
    assert reply.status == 400
    assert json.loads(reply.body) == {
        "error": f"Unable to parse Inference-Header-Content-Length, got: {value}"
    }


def test_a_body_of_raw_bytes_is_a_request() -> None:
    reply = Client().post(DATA, inference_header_content_length=0)
    assert reply.body.endswith(DATA)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v2/models/nope/infer", "Request for unknown model: 'nope' is not found"),
        ("/v2/models/echo/versions/9/infer", "Request for unknown model: 'echo' version 9 is not found"),
    ],
)
def test_a_model_that_is_not_there_is_not_found(path: str, text: str) -> None:
    reply = Client().post(json_body(), path)
    assert (reply.status, json.loads(reply.body)) == (404, {"error": text})
    assert reply.headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize("times", [1, 2])
def test_a_queue_that_is_full_says_to_come_again(times: int) -> None:
    accepted = [True] * (times - 1)

    def run(request: InferenceRequest) -> None:
        if not accepted:
            raise UnavailableError("Exceeds maximum queue size")
        accepted.pop()
        echo(request)

    client = Client(model(scheduler=FakeScheduler(run)))
    reply = [client.post_binary() for _ in range(times)][-1]
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")


def test_a_failure_of_the_model_is_its_answer() -> None:
    scheduler = FakeScheduler(lambda request: request.stream.fail(InternalError("broken")))
    reply = Client(model(scheduler=scheduler)).post(json_body())
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (
        500,
        b'{"error":"broken"}',
        "text/plain",
    )


def test_an_output_that_json_cannot_carry_is_refused() -> None:
    config = echo_config(input=(model_input("IN", "FP16"),), output=(model_output("OUT", "FP16"),))
    entry = {"name": "IN", "shape": [1, 1], "datatype": "FP16", "parameters": {"binary_data_size": 2}}
    text = json.dumps({"inputs": [entry]}).encode()
    reply = Client(model(config)).post(text + b"\0\0", inference_header_content_length=len(text))
    assert (reply.status, reply.headers["Content-Type"]) == (400, "text/plain")
    assert b"sending FP16 data via JSON is not supported" in reply.body


@pytest.mark.filterwarnings("ignore")
def test_a_fault_of_ours_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    reply = Client(model(scheduler=failing(ZeroDivisionError()))).post(json_body())
    assert reply.status == 500
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("times", [1, 2])
def test_a_client_that_leaves_cancels_its_inference(times: int) -> None:
    scheduler = FakeScheduler()
    client = Client(model(scheduler=scheduler))
    body, length = binary_body()
    for _ in range(times):
        started = client.start(body, inference_header_content_length=length)
    assert started.on_abandoned is not None
    started.on_abandoned()
    assert [request.stream.cancelled for request in scheduler.requests] == [False] * (times - 1) + [True]


def test_nothing_is_left_to_cancel_after_the_answer() -> None:
    assert Client().start(json_body()).on_abandoned is None


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_a_plain_coding_is_no_coding(coding: str) -> None:
    assert Client().post(json_body(), content_encoding=coding).status == 200


def test_an_unknown_coding_is_answered_with_those_that_are_known() -> None:
    reply = Client().post(json_body(), content_encoding="br")
    assert (reply.status, reply.headers["Accept-Encoding"]) == (501, "gzip, deflate")
    assert reply.body == b'{"error":"Unsupported compression type"}'


@pytest.mark.parametrize(("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_read(coding: str, encode: Callable[[bytes], bytes]) -> None:
    async def scenario() -> None:
        body, length = binary_body()
        client = Client()
        for _ in range(2):
            started = client.start(
                encode(body), content_encoding=coding, inference_header_content_length=length
            )
            assert (await client.settled(started)).body.endswith(DATA)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "limit", "status"), [(b"nonsense", 1000, 400), (gzip.compress(bytes(2000)), 1000, 413)]
)
def test_a_compressed_body_that_cannot_be_taken_is_refused(body: bytes, limit: int, status: int) -> None:
    async def scenario() -> None:
        client = Client(max_input_bytes=limit)
        started = client.start(body, content_encoding="gzip")
        assert (await client.settled(started)).status == status

    asyncio.run(scenario())


@pytest.mark.parametrize("binary", [False, True])
def test_a_reply_is_compressed_as_the_client_likes_it(binary: bool) -> None:
    async def scenario() -> None:
        client = Client()
        body, length = binary_body()
        for _ in range(2):
            started = (
                client.start(
                    body, inference_header_content_length=length, accept_encoding="deflate, gzip;q=0.5"
                )
                if binary
                else client.start(json_body(), accept_encoding="deflate, gzip;q=0.5")
            )
            reply = await client.settled(started)
            assert reply.headers["Content-Encoding"] == "deflate"
            assert int(reply.headers["Content-Length"]) == len(reply.body)
            plain = zlib.decompress(reply.body)
            json_length = int(reply.headers.get("Inference-Header-Content-Length", len(plain)))
            assert json.loads(plain[:json_length])["model_name"] == "echo"
            assert plain[json_length:] == (DATA if binary else b"")

    asyncio.run(scenario())


def test_an_error_is_never_compressed() -> None:
    reply = Client().post(b"x", accept_encoding="gzip")
    assert "Content-Encoding" not in reply.headers
    assert json.loads(reply.body)["error"]


def test_a_decoupled_model_has_no_infer_in_tritons_words() -> None:
    policy = ModelTransactionPolicy(decoupled=True)
    reply = Client(model(echo_config(model_transaction_policy=policy))).post(json_body())
    assert (reply.status, reply.headers["Content-Type"]) == (501, "text/plain")
    text = "HTTP end point doesn't support models with decoupled transaction policy"
    assert reply.body.decode() == f'{{"error":"{text}"}}'
