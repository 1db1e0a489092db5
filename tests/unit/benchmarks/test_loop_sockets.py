"""benchmarks.loop_sockets: one connection of many."""

from __future__ import annotations

import asyncio
import math
from typing import cast

import pytest

from benchmarks.load import LoadFailedError
from benchmarks.loop_sockets import RepeatingClient
from benchmarks.sockets import RawRequest

REQUEST = RawRequest(b"head", b"body", 4, b"data")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n{}data"


class FakeTransport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


def exchange(pieces: list[bytes], end: float = math.inf) -> tuple[RepeatingClient, FakeTransport, str]:
    """A client that received ``pieces``, and how it ended: "" for not at all."""

    async def run() -> tuple[RepeatingClient, FakeTransport, str]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        client, transport = RepeatingClient(REQUEST, end, done), FakeTransport()
        client.connection_made(cast(asyncio.Transport, transport))
        for piece in pieces:
            client.data_received(piece)
        error = done.exception() if done.done() else None
        return client, transport, repr(error) if done.done() else ""

    return asyncio.run(run())


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_each_answer_makes_the_next_request_whatever_pieces_it_comes_in(size: int) -> None:
    pieces = [ANSWER[i : i + size] for i in range(0, len(ANSWER), size)] * 3
    client, transport, ended = exchange(pieces)
    assert (len(client.latencies_s), transport.written, ended) == (3, [b"headbody"] * 4, "")


def test_the_first_answer_after_the_end_is_the_last() -> None:
    client, transport, ended = exchange([ANSWER], end=-math.inf)
    assert (len(client.latencies_s), len(transport.written), transport.closed, ended) == (1, 1, True, "None")


@pytest.mark.parametrize(
    "answers",
    [
        [ANSWER.replace(b"data", b"atad")],
        [ANSWER.replace(b"200", b"500")],
        [ANSWER, ANSWER.replace(b"200", b"503")],
        [ANSWER, ANSWER + b"more"],
    ],
    ids=["other data", "not 200", "later not 200", "too long"],
)
def test_a_wrong_answer_fails_the_window(answers: list[bytes]) -> None:
    client, transport, ended = exchange(answers)
    assert ended.startswith(LoadFailedError.__name__)
    assert transport.closed and len(client.latencies_s) == len(answers) - 1
