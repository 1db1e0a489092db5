"""The endpoints of the v2 protocol: a plain function each, over one InferenceServer.

A handler answers its exchange now, or leaves a callback behind that will. Whatever goes wrong ends in one place,
``HttpApi.handle``.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any

import msgspec

from tritium.core.model import Model
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import Buffer
from tritium.errors import InternalError, InvalidArgumentError, TritiumError, UnavailableError
from tritium.frontends.http.compression import compress, decompress, preferred_coding
from tritium.frontends.http.exchange import BINARY, JSON, TEXT, Exchange, HttpRefusal
from tritium.protocol import documents
from tritium.protocol.json_codec import ResponseFormat, decode_infer_request, encode_error, encode_infer_response
from tritium.protocol.routes import Endpoint, Route, match
from tritium.protocol.status import status_of
from tritium.server import InferenceServer

logger = logging.getLogger("tritium.http")

_EARLY_BYTES = 65536  # a body larger than this is not read for a request that is refused anyway
_HEADER_LENGTH = re.compile(rb"[0-9]{1,18}")
_UNSUPPORTED_CODING = b"Accept-Encoding: gzip, deflate\r\n"


class HttpApi:
    """The v2 endpoints of one server."""

    def __init__(self, server: InferenceServer, *, max_input_bytes: int) -> None:
        self._server = server
        self._max_input_bytes = max_input_bytes
        self._handlers: dict[Endpoint, Callable[[Exchange, Route], None]] = {
            Endpoint.LIVE: self._live,
            Endpoint.READY: self._ready,
            Endpoint.SERVER_METADATA: self._server_metadata,
            Endpoint.MODEL_READY: self._model_ready,
            Endpoint.MODEL_METADATA: self._model_metadata,
            Endpoint.MODEL_CONFIG: self._model_config,
            Endpoint.MODEL_STATS: self._model_stats,
            Endpoint.INFER: self._infer,
        }
        self._compressing: set[asyncio.Task[None]] = set()

    def admit(self, exchange: Exchange) -> None:
        """Find the route; refuse a large body before it is read if nothing would take it."""
        try:
            exchange.route = match(exchange.path)
        except TritiumError:
            exchange.route = None
        announced = int(exchange.headers.get(b"content-length", b"0"))
        if announced <= _EARLY_BYTES and b"transfer-encoding" not in exchange.headers:
            return
        if exchange.route is None:
            raise HttpRefusal(404, "Not Found")
        if exchange.method.decode("latin-1") != exchange.route.endpoint.method:
            raise HttpRefusal(405, "Method Not Allowed")

    def handle(self, exchange: Exchange) -> None:
        """Answer ``exchange``, now or later."""
        try:
            route = exchange.route or match(exchange.path)
            if route is None:
                exchange.respond(404, [encode_error("Not Found")])
            elif exchange.method.decode("latin-1") != route.endpoint.method:
                exchange.respond(405, [encode_error("Method Not Allowed")])
            else:
                self._handlers[route.endpoint](exchange, route)
        except Exception as error:
            respond_error(exchange, error, TEXT)

    def _live(self, exchange: Exchange, route: Route) -> None:
        exchange.respond(200)

    def _ready(self, exchange: Exchange, route: Route) -> None:
        exchange.respond(200 if self._server.ready else 400)

    def _model_ready(self, exchange: Exchange, route: Route) -> None:
        if self._server.model_ready(route.model, route.version):
            exchange.respond(200)
        else:
            exchange.respond(400, [encode_error("Model version not ready")])

    def _server_metadata(self, exchange: Exchange, route: Route) -> None:
        _respond_json(exchange, documents.server_metadata(self._server))

    def _model_metadata(self, exchange: Exchange, route: Route) -> None:
        model = self._server.model(route.model, route.version)
        listed = [model] if route.version is not None else self._server.models.ready_models(route.model)
        _respond_json(exchange, documents.model_metadata(model, [m.version for m in listed]))

    def _model_config(self, exchange: Exchange, route: Route) -> None:
        _respond_json(exchange, self._server.model(route.model, route.version).document)

    def _model_stats(self, exchange: Exchange, route: Route) -> None:
        models = self._server.models.ready_models(route.model or None)
        if route.model and not models:
            raise InvalidArgumentError(f"requested model '{route.model}' is not available")
        if route.version is not None:
            models = [model for model in models if model.version == route.version]
            if not models:
                raise InvalidArgumentError(f"requested model version is not available for model '{route.model}'")
        _respond_json(exchange, documents.statistics(models))

    def _infer(self, exchange: Exchange, route: Route) -> None:
        model = self._server.model(route.model, route.version)
        headers = exchange.headers
        header_length = _header_length(headers.get(b"inference-header-content-length"))
        coding = headers.get(b"content-encoding", b"").strip().lower().decode("latin-1")
        if coding in ("", "identity"):
            self._start(exchange, model, route, header_length, exchange.body)
        elif coding in ("gzip", "deflate"):
            self._own(self._start_compressed(exchange, model, route, header_length, coding))
        else:
            error = encode_error("Unsupported compression type")
            exchange.respond(501, [error], extra=_UNSUPPORTED_CODING)

    async def _start_compressed(
        self, exchange: Exchange, model: Model, route: Route, header_length: int | None, coding: str
    ) -> None:
        """Decompress off the loop, then go on as with a plain body."""
        try:
            body = await asyncio.to_thread(decompress, exchange.body, coding, self._max_input_bytes)
            self._start(exchange, model, route, header_length, body)
        except Exception as error:
            respond_error(exchange, error, JSON)

    def _start(
        self, exchange: Exchange, model: Model, route: Route, header_length: int | None, body: Buffer
    ) -> None:
        reply = _InferReply(self, exchange, model)
        stream = ResponseStream(reply.on_response)
        try:
            request, reply.format = decode_infer_request(body, header_length, model.config, route.version, stream)
            reply.request_id = request.id
            self._server.infer(model, request)
        except TritiumError as error:
            respond_error(exchange, error, JSON)
        else:
            exchange.on_abandoned = stream.cancel

    def send_compressed(self, exchange: Exchange, head: bytes, buffers: list[Buffer], coding: str) -> None:
        """Compress a reply off the loop and send it."""
        self._own(_send_compressed(exchange, head, buffers, coding))

    def _own(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name="http-compression")
        self._compressing.add(task)
        task.add_done_callback(self._compressing.discard)


class _InferReply:
    """What a response needs to become a reply."""

    __slots__ = ("_api", "_exchange", "_model", "format", "request_id")

    def __init__(self, api: HttpApi, exchange: Exchange, model: Model) -> None:
        self._api = api
        self._exchange = exchange
        self._model = model
        self.format = ResponseFormat()
        self.request_id = ""

    def on_response(self, response: InferenceResponse, final: bool) -> None:
        """The model answered."""
        exchange, model = self._exchange, self._model
        try:
            document, binary = encode_infer_response(
                response,
                self.format,
                request_id=self.request_id,
                config=model.config,
                version=model.version,
                labels=model.labels,
            )
            extra, kind = b"", JSON
            if binary:
                extra, kind = b"Inference-Header-Content-Length: %d\r\n" % len(document), BINARY
            accept = exchange.headers.get(b"accept-encoding")
            coding = preferred_coding(accept) if accept is not None else None
            if coding is not None:
                self._api.send_compressed(exchange, extra, [document, *binary], coding)
            else:
                exchange.respond(200, [document, *binary], content_type=kind, extra=extra)
        except Exception as error:
            respond_error(exchange, error, TEXT)


async def _send_compressed(exchange: Exchange, extra: bytes, buffers: list[Buffer], coding: str) -> None:
    encoded = await asyncio.to_thread(compress, buffers, coding)
    kind = BINARY if extra else JSON
    exchange.respond(200, encoded, content_type=kind, extra=extra + b"Content-Encoding: %b\r\n" % coding.encode())


def _header_length(value: bytes | None) -> int | None:
    """Inference-Header-Content-Length, which Triton 2.51 reads leniently and 2.73, as we, strictly."""
    if value is None:
        return None
    if not _HEADER_LENGTH.fullmatch(value):
        shown = value[:32].decode("latin-1").encode("ascii", "backslashreplace").decode()
        raise InvalidArgumentError(f"Unable to parse Inference-Header-Content-Length, got: {shown}")
    return int(value)


def _respond_json(exchange: Exchange, document: Any) -> None:
    exchange.respond(200, [msgspec.json.encode(document)], content_type=JSON)


def respond_error(exchange: Exchange, error: Exception, content_type: bytes) -> None:
    """The reply for anything that was raised while ``exchange`` was handled."""
    if isinstance(error, HttpRefusal):
        exchange.respond(error.status, [encode_error(str(error))], content_type=JSON)
        return
    if not isinstance(error, TritiumError):
        logger.error("a handler failed", exc_info=error)
        error = InternalError("internal error; the server's log has the details")
    extra = b"Retry-After: 1\r\n" if isinstance(error, UnavailableError) else b""
    exchange.respond(status_of(error).http, [encode_error(error)], content_type=content_type, extra=extra)
