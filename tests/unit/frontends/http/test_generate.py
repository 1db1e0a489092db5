from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.unit.builders import FakeScheduler, echo, echo_config, model, tensor
from tests.unit.frontends.http.fakes import FakeReplyPath, exchange, read_reply, server
from tritium.core.model import Model
from tritium.core.model_config import ModelTransactionPolicy
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.core.tensor import Tensor
from tritium.errors import InvalidArgumentError, TritiumError, UnavailableError
from tritium.frontends.http.exchange import Exchange
from tritium.frontends.http.handlers import HttpApi
from tritium.frontends.http.infer_reply import OFF_LOOP_BYTES

NOT_ONE = (
    '{"error":"generate expects model to produce exactly 1 response, use generate stream for model that '
    'generates various number of responses"}'
)
EVENTS = "text/event-stream; charset=utf-8"
JSON = "application/json"

Answer = Tensor | TritiumError | None  # None: the end and nothing else


def decoupled(answers: Sequence[Answer]) -> Model:
    """A model that answers every request with ``answers``."""

    def run(request: InferenceRequest) -> None:
        for number, answer in enumerate(answers):
            response = InferenceResponse([answer] if isinstance(answer, Tensor) else [])
            response.error = answer if isinstance(answer, TritiumError) else None
            response.empty = answer is None
            request.stream.send(response, final=number == len(answers) - 1)

    policy = ModelTransactionPolicy(decoupled=True)
    return model(echo_config(model_transaction_policy=policy), scheduler=FakeScheduler(run))


class Rig:
    """An HTTP API over one model."""

    def __init__(self, over: Model) -> None:
        self.api = HttpApi(server(over), max_input_bytes=1 << 24)
        self.path = FakeReplyPath()

    def begin(self, what: str, body: bytes, headers: dict[bytes, bytes] | None = None) -> Exchange:
        asked = exchange("POST", f"/v2/models/{what}", body, headers=headers, reply_path=self.path)
        asked.head.plan = self.api.plan(asked.head)
        self.api.handle(asked)
        return asked


def ask(
    what: str, body: bytes = b'{"IN":[1,2]}', over: Model | None = None, coding: bytes | None = None
) -> tuple[int, str, str]:
    """Status, content type and body, chunks put together."""

    async def scenario() -> tuple[int, str, str]:
        rig = Rig(over or model())
        asked = rig.begin(what, body, {} if coding is None else {b"content-encoding": coding})
        async with asyncio.timeout(30):
            while asked.reply is None or asked.unfinished:
                rig.path.settled.clear()
                await rig.path.settled.wait()
        reply = read_reply(b"".join(asked.reply))
        text = reply.body
        if "Transfer-Encoding" in reply.headers:
            text = b"".join(joined(text))
        return reply.status, reply.headers["Content-Type"], text.decode()

    return asyncio.run(scenario())


def joined(chunks: bytes) -> list[bytes]:
    parts = []
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        parts.append(rest[: int(size, 16)])
        chunks = rest[int(size, 16) + 2 :]
    return parts


def document(elements: Any = "[1.0,2.0]", extra: str = "") -> str:
    return f'{{"OUT":{elements},{extra}"model_name":"echo","model_version":"1"}}'


def test_one_response_is_one_document() -> None:
    assert ask("echo/generate") == (200, JSON, document())
    assert ask("echo/versions/1/generate", b'{"IN":1,"id":"x"}') == (200, JSON, document("1.0", '"id":"x",'))


def test_a_stream_of_one_response_is_one_event() -> None:
    assert ask("echo/generate_stream") == (200, EVENTS, f"data: {document()}\n\n")


@pytest.mark.parametrize("path", ["generate", "generate_stream"])
@pytest.mark.parametrize(
    ("what", "body", "coding", "status", "text"),
    [
        ("nope", b"{}", None, 404, "Request for unknown model: 'nope' is not found"),
        ("echo/versions/9", b"{}", None, 404, "Request for unknown model: 'echo' version 9 is not found"),
        ("echo", b"", None, 400, "failed to parse the request JSON buffer: The document is empty. at 0"),
        (
            "echo",
            b'{"IN":1}',
            b"gzip",
            400,
            "Unsupported content-encoding, only 'identity' is supported.",
        ),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    path: str, what: str, body: bytes, coding: bytes | None, status: int, text: str
) -> None:
    found = ask(f"{what}/{path}", body, coding=coding)
    assert found == (status, JSON, f'{{"error":"{text}"}}')


def test_what_the_model_does_not_take_is_refused() -> None:
    status, kind, text = ask("echo/generate_stream", b"{}")
    assert (status, kind) == (400, JSON)
    assert "expected 1 inputs but got 0 inputs for model 'echo'" in text


def test_identity_is_a_content_encoding() -> None:
    assert ask("echo/generate", coding=b"Identity")[0] == 200


ONE, TWO = tensor([1.0], "OUT"), tensor([2.0], "OUT")
BAD, LATE = InvalidArgumentError("bad prompt"), UnavailableError("late")
BAD_JSON, LATE_JSON = '{"error":"bad prompt"}', '{"error":"late"}'


@pytest.mark.parametrize(
    ("answers", "status", "text"),
    [
        ([ONE], 200, document("1.0")),
        ([ONE, None], 200, document("1.0")),
        ([None], 200, NOT_ONE),
        ([ONE, TWO], 200, NOT_ONE),
        ([ONE, TWO, TWO, None], 200, NOT_ONE),
        ([ONE, LATE], 200, NOT_ONE),
        ([BAD], 400, BAD_JSON),
        ([BAD, None], 400, BAD_JSON),
        ([LATE], 503, LATE_JSON),
    ],
)
def test_generate_wants_one_response_of_a_decoupled_model(
    answers: list[Answer], status: int, text: str
) -> None:
    assert ask("echo/generate", over=decoupled(answers)) == (status, JSON, text)


@pytest.mark.parametrize(
    ("answers", "status", "events"),
    [
        ([None], 200, []),
        ([ONE, None], 200, [document("1.0")]),
        ([ONE, TWO], 200, [document("1.0"), document("2.0")]),
        ([ONE, LATE], 200, [document("1.0"), LATE_JSON]),
        ([BAD], 400, [BAD_JSON]),
        ([LATE, ONE, None], 503, [LATE_JSON, document("1.0")]),
    ],
)
def test_a_stream_takes_any_number_of_responses_and_the_first_decides_the_status(
    answers: list[Answer], status: int, events: list[str]
) -> None:
    found = ask("echo/generate_stream", over=decoupled(answers))
    assert found == (status, EVENTS, "".join(f"data: {event}\n\n" for event in events))


def test_a_second_response_stops_a_generation_that_may_have_one() -> None:
    async def scenario() -> None:
        scheduler = FakeScheduler()
        policy = ModelTransactionPolicy(decoupled=True)
        rig = Rig(model(echo_config(model_transaction_policy=policy), scheduler=scheduler))
        asked = rig.begin("echo/generate", b'{"IN":1}')
        (request,) = scheduler.requests
        request.stream.send(InferenceResponse([ONE]), final=False)
        assert rig.path.done == []
        request.stream.send(InferenceResponse([TWO]), final=False)
        assert rig.path.done == [asked]
        assert request.stream.cancelled
        request.stream.send(InferenceResponse([TWO]), final=True)

    asyncio.run(scenario())


def test_an_ordinary_model_may_answer_without_outputs() -> None:
    def run(request: InferenceRequest) -> None:
        request.stream.send(InferenceResponse(), final=True)

    silent = model(scheduler=FakeScheduler(run))
    assert ask("echo/generate", over=silent)[2] == '{"model_name":"echo","model_version":"1"}'


def test_an_output_that_json_cannot_carry_is_an_error_in_its_place() -> None:
    half = Tensor.from_array("OUT", np.ones((1, 1), np.float16))
    status, kind, text = ask("echo/generate", over=decoupled([half]))
    assert (status, kind) == (400, JSON)
    assert "sending FP16 data via JSON is not supported" in text
    status, _, text = ask("echo/generate_stream", over=decoupled([ONE, half, TWO]))
    assert (status, text.count("data: "), "FP16" in text) == (200, 3, True)


def test_a_request_that_cannot_be_queued_is_refused() -> None:
    def full(request: InferenceRequest) -> None:
        raise UnavailableError("Exceeds maximum queue size")

    found = ask("echo/generate_stream", over=model(scheduler=FakeScheduler(full)))
    assert found == (503, JSON, '{"error":"Exceeds maximum queue size"}')


@pytest.mark.parametrize("path", ["generate", "generate_stream"])
def test_large_bodies_and_responses_take_the_long_way_and_keep_their_order(path: str) -> None:
    count = OFF_LOOP_BYTES // 4 + 10
    body = b'{"IN":[' + b"1," * (count - 1) + b"1]}"
    status, _, text = ask(f"echo/{path}", body)
    assert (status, text.count("1.0")) == (200, count)
    large = tensor(np.ones((1, count), np.float32), "OUT")
    _, _, text = ask("echo/generate_stream", over=decoupled([ONE, large, TWO, None]))
    sizes = [len(event) for event in text.split("\n\n")]
    assert (sizes[0] < 100, sizes[1] > OFF_LOOP_BYTES, sizes[2] < 100, len(sizes)) == (True, True, True, 4)


def abandoned(path: str, act: Callable[[Exchange], None]) -> InferenceRequest:
    async def scenario() -> InferenceRequest:
        scheduler = FakeScheduler()
        rig = Rig(model(scheduler=scheduler))
        act(rig.begin(f"echo/{path}", b'{"IN":1}'))
        return scheduler.requests[0]

    return asyncio.run(scenario())


@pytest.mark.parametrize("path", ["generate", "generate_stream"])
def test_a_client_that_goes_away_cancels_the_request(path: str) -> None:
    assert abandoned(path, lambda asked: asked.abandon()).stream.cancelled


def test_a_fault_of_the_server_is_not_told() -> None:
    def broken(request: InferenceRequest) -> None:
        raise KeyError("secret")

    status, _, text = ask("echo/generate", over=model(scheduler=FakeScheduler(broken)))
    assert (status, "secret" in text) == (500, False)


def test_a_model_is_held_while_a_large_body_is_read() -> None:
    async def scenario() -> None:
        held, unused = model(scheduler=FakeScheduler(echo)), list[str]()
        rig = Rig(held)
        count = OFF_LOOP_BYTES // 2
        asked = rig.begin("echo/generate", b'{"IN":[' + b"1," * (count - 1) + b"1]}")
        await asyncio.sleep(0)
        held.when_unused(lambda: unused.append("unused"))
        assert unused == []
        async with asyncio.timeout(30):
            while asked.reply is None:
                rig.path.settled.clear()
                await rig.path.settled.wait()
        await asyncio.sleep(0)
        assert unused == ["unused"]

    asyncio.run(scenario())
