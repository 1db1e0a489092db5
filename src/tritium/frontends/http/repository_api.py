"""The repository endpoints: index, load and unload. Every reply is JSON, as Triton's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from tritium.errors import UnsupportedError
from tritium.frontends.http.exchange import JSON, Exchange
from tritium.frontends.http.infer_reply import Own
from tritium.frontends.http.replies import respond_error
from tritium.protocol.repository_codec import (
    decode_index_request,
    decode_load_request,
    decode_unload_request,
    encode_index,
)
from tritium.protocol.routes import Endpoint, Route
from tritium.server import InferenceServer

Action = Callable[[Route, Exchange], Awaitable[bytes]]


class RepositoryApi:
    """What clients may ask of the model repository. A load goes on when the client that asked goes away."""

    def __init__(self, server: InferenceServer, own: Own) -> None:
        self._server = server
        self._own = own
        self._actions: dict[Endpoint, Action] = {
            Endpoint.REPOSITORY_INDEX: self._index,
            Endpoint.MODEL_LOAD: self._load,
            Endpoint.MODEL_UNLOAD: self._unload,
        }

    def handle(self, route: Route, exchange: Exchange) -> None:
        """Answer when it is done."""
        self._own(self._answer(route, exchange))

    async def _answer(self, route: Route, exchange: Exchange) -> None:
        try:
            if route.repository and route.endpoint is not Endpoint.REPOSITORY_INDEX:
                raise UnsupportedError("'repository_name' specification is not supported")
            body = await self._actions[route.endpoint](route, exchange)
        except Exception as error:
            respond_error(exchange, error, JSON)
        else:
            exchange.respond(200, [body] if body else [], content_type=JSON)

    async def _index(self, route: Route, exchange: Exchange) -> bytes:
        entries = await self._server.repository_index(ready_only=decode_index_request(exchange.body))
        return msgspec.json.encode(encode_index(entries))

    async def _load(self, route: Route, exchange: Exchange) -> bytes:
        parameters = await asyncio.to_thread(decode_load_request, exchange.body)
        await self._server.load_model(route.model, parameters)
        return b""

    async def _unload(self, route: Route, exchange: Exchange) -> bytes:
        dependents = decode_unload_request(exchange.body)
        await self._server.unload_model(route.model, unload_dependents=dependents)
        return b""
