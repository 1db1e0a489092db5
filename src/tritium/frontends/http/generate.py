"""``POST /v2/models/<m>[/versions/<v>]/generate`` and ``/generate_stream``: from a body to a request."""

from __future__ import annotations

import asyncio
from functools import partial

from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.errors import InvalidArgumentError
from tritium.frontends.http.exchange import JSON, Exchange
from tritium.frontends.http.generate_reply import EventStreamReply, GenerateContext, SingleReply
from tritium.frontends.http.head import RequestHead
from tritium.frontends.http.infer_reply import OFF_LOOP_BYTES, Own
from tritium.frontends.http.replies import respond_error
from tritium.protocol.generate_codec import decode_generate_request
from tritium.protocol.routes import Endpoint, Route
from tritium.server import InferenceServer


class GenerateCall:
    """All generations that come with one head."""

    __slots__ = ("_coding", "_own", "_route", "_server")

    def __init__(self, server: InferenceServer, route: Route, head: RequestHead, own: Own) -> None:
        self._server = server
        self._route = route
        self._own = own
        self._coding = head.headers.get(b"content-encoding")

    def __call__(self, exchange: Exchange) -> None:
        """Start the generation of one exchange. Every error is JSON."""
        try:
            model = self._server.model(self._route.model, self._route.version)
            if self._coding is not None and self._coding.lower() != b"identity":
                raise InvalidArgumentError("Unsupported content-encoding, only 'identity' is supported.")
            context = GenerateContext(exchange, model, self._own)
            if len(exchange.body) > OFF_LOOP_BYTES:
                self._own(self._start_off_loop(context))
            else:
                stream = self._stream(context)
                self._run(context, self._decode(exchange, model, stream))
        except Exception as error:
            respond_error(exchange, error, JSON)

    async def _start_off_loop(self, context: GenerateContext) -> None:
        """Decode in a thread, then go on as with a small body."""
        context.model.hold()
        try:
            decode = partial(self._decode, context.exchange, context.model, self._stream(context))
            request = await asyncio.to_thread(decode)
            if not context.exchange.abandoned:
                self._run(context, request)
        except Exception as error:
            respond_error(context.exchange, error, JSON)
        finally:
            context.model.release()

    def _stream(self, context: GenerateContext) -> ResponseStream:
        """Where the model's responses go."""
        streaming = self._route.endpoint is Endpoint.GENERATE_STREAM
        reply = EventStreamReply(context) if streaming else SingleReply(context)
        context.stream = ResponseStream(reply.on_response)
        return context.stream

    def _decode(self, exchange: Exchange, model: Model, stream: ResponseStream) -> InferenceRequest:
        """A request that the model accepts; touches nothing that other threads see.

        Raises:
            InvalidArgumentError: the body breaks the protocol, or does not fit the model.
        """
        request = decode_generate_request(exchange.body, model.config, self._route.version, stream)
        model.check(request)
        return request

    def _run(self, context: GenerateContext, request: InferenceRequest) -> None:
        context.request_id = request.id
        self._server.infer(context.model, request)
        if context.exchange.abandoned:
            request.stream.cancel()
        elif not request.stream.closed:
            context.exchange.on_abandoned = request.stream.cancel
            context.exchange.on_pause = request.stream.pause
            if context.exchange.paused:
                request.stream.pause(True)
