"""The endpoints of the v2 protocol but for inference: a plain function each, over one InferenceServer.

A handler answers its exchange now, or leaves a callback behind that will. Whatever goes wrong ends in one
place, ``HttpApi.handle``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import msgspec

from tritium.errors import TritiumError
from tritium.frontends.http.exchange import JSON, TEXT, Exchange, HttpRefusal
from tritium.frontends.http.generate import GenerateCall
from tritium.frontends.http.head import RequestHead
from tritium.frontends.http.infer import InferCall
from tritium.frontends.http.replies import respond_error
from tritium.frontends.http.repository_api import RepositoryApi
from tritium.options import HttpOptions
from tritium.protocol import documents
from tritium.protocol.json_codec import encode_error
from tritium.protocol.json_forms import JsonForms
from tritium.protocol.restrictions import Restrictions, forward_pattern, forwarded_parameters
from tritium.protocol.routes import Endpoint, Route, match
from tritium.server import InferenceServer

_EARLY_BYTES = 65536  # a body larger than this is not read for a request that is refused anyway


class HttpApi:
    """The v2 endpoints of one server."""

    def __init__(
        self,
        server: InferenceServer,
        *,
        max_input_bytes: int,
        restrictions: Restrictions | None = None,
        forward: re.Pattern[bytes] | None = None,
    ) -> None:
        self._server = server
        self._restrictions = restrictions or Restrictions()
        self._forward = forward
        self._max_input_bytes = max_input_bytes
        self._forms = JsonForms()
        repository = RepositoryApi(server, self._own)
        self._handlers: dict[Endpoint, Callable[[Route, Exchange], None]] = {
            Endpoint.LIVE: self._live,
            Endpoint.READY: self._ready,
            Endpoint.SERVER_METADATA: self._server_metadata,
            Endpoint.MODEL_READY: self._model_ready,
            Endpoint.MODEL_METADATA: self._model_metadata,
            Endpoint.MODEL_CONFIG: self._model_config,
            Endpoint.MODEL_STATS: self._model_stats,
            Endpoint.REPOSITORY_INDEX: repository.handle,
            Endpoint.MODEL_LOAD: repository.handle,
            Endpoint.MODEL_UNLOAD: repository.handle,
        }
        self._tasks: set[asyncio.Task[None]] = set()

    def plan(self, head: RequestHead) -> Callable[[Exchange], None]:
        """What answers requests with this head; a large body that nothing would take is not read."""
        try:
            route = match(head.path)
        except TritiumError as error:
            return partial(_raise, error)
        missing = route and self._restrictions.missing(route.endpoint.category, head.headers)
        if missing:
            return _refusing(head, 403, f"This API is restricted, expecting header '{missing}'")
        if route is not None and head.method.decode("latin-1") == route.endpoint.method:
            if route.endpoint is Endpoint.INFER:
                forwarded = forwarded_parameters(self._forward, head.spelled)
                return InferCall(
                    self._server,
                    route,
                    head,
                    self._max_input_bytes,
                    self._own,
                    forms=self._forms,
                    forwarded=forwarded,
                )
            if route.endpoint in (Endpoint.GENERATE, Endpoint.GENERATE_STREAM):
                return GenerateCall(self._server, route, head, self._own)
            return partial(self._handlers[route.endpoint], route)
        status, text = (404, "Not Found") if route is None else (405, "Method Not Allowed")
        return _refusing(head, status, text)

    def handle(self, exchange: Exchange) -> None:
        """Answer ``exchange``, now or later."""
        try:
            exchange.head.plan(exchange)
        except Exception as error:
            respond_error(exchange, error, TEXT)

    def _live(self, route: Route, exchange: Exchange) -> None:
        exchange.respond(200)

    def _ready(self, route: Route, exchange: Exchange) -> None:
        exchange.respond(200 if self._server.ready else 400)

    def _model_ready(self, route: Route, exchange: Exchange) -> None:
        if self._server.model_ready(route.model, route.version):
            exchange.respond(200)
        else:
            exchange.respond(400, [encode_error("Model version not ready")])

    def _server_metadata(self, route: Route, exchange: Exchange) -> None:
        _respond_json(exchange, documents.server_metadata(self._server))

    def _model_metadata(self, route: Route, exchange: Exchange) -> None:
        model = self._server.model(route.model, route.version)
        listed = [model] if route.version is not None else self._server.models.ready_models(route.model)
        _respond_json(exchange, documents.model_metadata(model, [m.version for m in listed]))

    def _model_config(self, route: Route, exchange: Exchange) -> None:
        _respond_json(exchange, self._server.model(route.model, route.version).document)

    def _model_stats(self, route: Route, exchange: Exchange) -> None:
        models = self._server.models_with_statistics(route.model, route.version)
        _respond_json(exchange, documents.statistics(models))

    def _own(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a slow path to its end."""
        task = asyncio.get_running_loop().create_task(coroutine, name="http-slow-path")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def make_api(server: InferenceServer, options: HttpOptions) -> HttpApi:
    """The endpoints as the options want them.

    Raises:
        InvalidArgumentError: they cannot be so.
    """
    return HttpApi(
        server,
        max_input_bytes=options.max_input_bytes,
        restrictions=Restrictions(options.restricted),
        forward=forward_pattern(options.forward_pattern),
    )


def _raise(error: Exception, exchange: Exchange) -> None:
    raise error


def _refusing(head: RequestHead, status: int, text: str) -> Callable[[Exchange], None]:
    """What refuses requests with this head; raises HttpRefusal where their bodies are not worth reading."""
    if head.chunked or (head.length or 0) > _EARLY_BYTES:
        raise HttpRefusal(status, text)
    return partial(_respond_refusal, status, text)


def _respond_refusal(status: int, text: str, exchange: Exchange) -> None:
    exchange.respond(status, [encode_error(text)])


def _respond_json(exchange: Exchange, document: Any) -> None:
    exchange.respond(200, [msgspec.json.encode(document)], content_type=JSON)
