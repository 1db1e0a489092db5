"""Stand-ins for what surrounds a connection: a transport, an application, a clock, a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from tritium.core.model import Model
from tritium.core.tensor import Buffer
from tritium.errors import ModelNotFoundError
from tritium.frontends.http.exchange import Exchange
from tritium.frontends.http.head import RequestHead
from tritium.repository.lifecycle import ModelVersion, VersionState
from tritium.repository.manager import ModelRepositoryManager
from tritium.server import InferenceServer


class FakeTransport(asyncio.Transport):
    """Keeps what is written; ``backlog`` is what the client has not taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.writes = 0
        self.ended = ""  # "eof", "closed" or "aborted"
        self.reading = True
        self.backlog = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended, "written after the end"
        self.writes += 1
        self.sent += data

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = "eof"

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return self.backlog


@dataclass
class FakeApplication:
    """Keeps every exchange; answers at once if there is an ``answer``.

    ``refuse`` is called at the end of each head that is not known, and may raise.
    """

    answer: Callable[[Exchange], object] | None = lambda exchange: exchange.respond(200, [b"ok"])
    refuse: Callable[[RequestHead], None] = lambda head: None
    seen: list[Exchange] = field(default_factory=list)

    def plan(self, head: RequestHead) -> Callable[[Exchange], None]:
        self.refuse(head)
        return lambda exchange: None

    def handle(self, exchange: Exchange) -> None:
        self.seen.append(exchange)
        if self.answer is not None:
            self.answer(exchange)


@dataclass
class FakeClock:
    """A clock that stands still until it is set."""

    s: float = 1000.0

    def __call__(self) -> float:
        return self.s


class FakeReplyPath:
    """Keeps exchanges that are done; ``settled`` is set by each."""

    def __init__(self) -> None:
        self.done: list[Exchange] = []
        self.aborted = False
        self.settled = asyncio.Event()

    def exchange_done(self, exchange: Exchange) -> None:
        self.done.append(exchange)
        self.settled.set()

    def abort(self) -> None:
        self.aborted = True


def exchange(
    method: str = "GET",
    path: str = "/",
    body: Buffer = b"",
    *,
    headers: Mapping[bytes, bytes] | None = None,
    http_1_0: bool = False,
    keep_alive: bool = True,
    reply_path: FakeReplyPath | None = None,
) -> Exchange:
    """An exchange as the parser makes it."""
    given = dict(headers or {})
    if body:
        given.setdefault(b"content-length", b"%d" % len(body))
    announced = given.get(b"content-length")
    length = int(announced) if announced is not None else None
    spelled = tuple(given.items())
    head = RequestHead(method.encode(), path, given, http_1_0, keep_alive, length, spelled=spelled)
    return Exchange(reply_path or FakeReplyPath(), head, body)


@dataclass
class Reply:
    """A reply as the client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes


def read_reply(raw: bytes) -> Reply:
    """The only reply in ``raw``."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines), "a header twice"
    return Reply(int(first.split(" ")[1]), headers, body)


def reply_of(answered: Exchange) -> Reply:
    """The reply of an exchange that was answered."""
    assert answered.reply is not None, "no answer"
    return read_reply(b"".join(answered.reply))


class FakeModels:
    """As much of a manager as the endpoints ask: every model is ready."""

    def __init__(self, *models: Model) -> None:
        self.models = list(models)

    def get(self, name: str, version: int | None) -> Model:
        for model in reversed(self.models):
            if model.config.name == name and version in (None, model.version):
                return model
        raise ModelNotFoundError(name, version)

    def ready_models(self, name: str | None = None) -> list[Model]:
        return [model for model in self.models if name in (None, model.config.name)]

    def versions(self, name: str | None = None) -> Iterator[ModelVersion]:
        for model in self.ready_models(name):
            yield ModelVersion(model.config.name, model.version, VersionState.READY, "", model)


def server(*models: Model) -> InferenceServer:
    """A server that takes requests for these models."""
    manager = cast(ModelRepositoryManager, FakeModels(*models))
    made = InferenceServer(manager, server_id="triton", strict_readiness=True)
    made.open()
    return made
