from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from tests.unit.frontends.http.fakes import FakeReplyPath, Reply, exchange, reply_of
from tritium.errors import InvalidArgumentError, UnavailableError
from tritium.frontends.http.handlers import HttpApi
from tritium.repository.index import IndexEntry
from tritium.repository.lifecycle import VersionState
from tritium.server import InferenceServer


class FakeServer:
    """Notes what it is asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[object] = []
        self._error = error

    async def load_model(self, name: str, parameters: Mapping[str, object]) -> None:
        self._note("load", name, parameters)

    async def unload_model(self, name: str, *, unload_dependents: bool) -> None:
        self._note("unload", name, unload_dependents)

    async def repository_index(self, *, ready_only: bool) -> list[IndexEntry]:
        self._note("index", ready_only)
        return [IndexEntry("a"), IndexEntry("b", 1, VersionState.READY)]

    def _note(self, *what: object) -> None:
        self.asked.append(what)
        if self._error is not None:
            raise self._error


def ask(server: FakeServer, path: str, body: bytes = b"") -> Reply:
    async def scenario() -> Reply:
        replies = FakeReplyPath()
        api = HttpApi(cast(InferenceServer, server), max_input_bytes=1 << 20)
        asked = exchange("POST", f"/v2/repository{path}", body, reply_path=replies)
        asked.head.plan = api.plan(asked.head)
        api.handle(asked)
        await asyncio.wait_for(replies.settled.wait(), 30)
        return reply_of(asked)

    return asyncio.run(scenario())


def test_a_load_is_answered_when_it_is_done() -> None:
    server = FakeServer()
    reply = ask(server, "/models/m/load", b'{"parameters":{"config":"{}","file:1/x":"eA=="}}')
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, b"", "application/json")
    assert server.asked == [("load", "m", {"config": "{}", "file:1/x": b"x"})]


@pytest.mark.parametrize(
    ("body", "dependents"), [(b"", False), (b'{"parameters":{"unload_dependents":true}}', True)]
)
def test_an_unload_may_take_dependents_along(body: bytes, dependents: bool) -> None:
    server = FakeServer()
    assert ask(server, "/models/m/unload", body).status == 200
    assert server.asked == [("unload", "m", dependents)]


@pytest.mark.parametrize("path", ["/index", "/any/index"])
def test_the_index_is_a_list(path: str) -> None:
    reply = ask(FakeServer(), path, b'{"ready":true}')
    assert reply.body == b'[{"name":"a"},{"name":"b","version":"1","state":"READY"}]'


@pytest.mark.parametrize("action", ["load", "unload"])
def test_a_repository_by_name_is_not_supported(action: str) -> None:
    server = FakeServer()
    reply = ask(server, f"/r/models/m/{action}")
    assert (reply.status, reply.body) == (
        501,
        b'{"error":"\'repository_name\' specification is not supported"}',
    )
    assert server.asked == []


@pytest.mark.parametrize(
    ("error", "status"), [(InvalidArgumentError("no"), 400), (UnavailableError("no"), 503), (KeyError(), 500)]
)
def test_what_goes_wrong_is_json_too(error: Exception, status: int) -> None:
    reply = ask(FakeServer(error), "/models/m/load")
    assert (reply.status, reply.headers["Content-Type"]) == (status, "application/json")
