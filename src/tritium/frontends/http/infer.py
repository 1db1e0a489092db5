"""``POST /v2/models/<m>[/versions/<v>]/infer``: from a body to a request, and from a response to a reply."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

from tritium.core.model import Model
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import Buffer
from tritium.errors import InvalidArgumentError, TritiumError
from tritium.frontends.http.compression import compress, decompress, preferred_coding
from tritium.frontends.http.exchange import BINARY, JSON, TEXT, Exchange
from tritium.frontends.http.head import RequestHead
from tritium.frontends.http.replies import respond_error
from tritium.protocol.json_codec import (
    ResponseFormat,
    decode_infer_request,
    encode_error,
    encode_infer_response,
)
from tritium.protocol.request_form import RequestForm, form_of
from tritium.protocol.routes import Route
from tritium.server import InferenceServer

_HEADER_LENGTH = re.compile(rb"[0-9]{1,18}")
_UNSUPPORTED_CODING = b"Accept-Encoding: gzip, deflate\r\n"
_MAX_REPLY_FORMS = 64

ReplyForm = tuple[tuple[object, ...], ...]


class _Known:
    """The last form of request that came with a head, and the heads of its replies."""

    __slots__ = ("document", "form", "format", "model", "replies")

    def __init__(
        self, document: bytes, form: RequestForm, model: Model, response_format: ResponseFormat
    ) -> None:
        self.document = document
        self.form = form
        self.model = model
        self.format = response_format
        self.replies: dict[ReplyForm, bytes] = {}


class InferCall:
    """All inferences that come with one head: what the head says is read once."""

    __slots__ = (
        "_accepted",
        "_coding",
        "_header_length",
        "_known",
        "_max_input_bytes",
        "_own",
        "_route",
        "_server",
    )

    def __init__(
        self,
        server: InferenceServer,
        route: Route,
        head: RequestHead,
        max_input_bytes: int,
        own: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        headers = head.headers
        self._server = server
        self._route = route
        self._max_input_bytes = max_input_bytes
        self._own = own
        self._header_length = headers.get(b"inference-header-content-length")
        self._coding = headers.get(b"content-encoding", b"").strip().lower().decode("latin-1")
        accept = headers.get(b"accept-encoding")
        self._accepted = preferred_coding(accept) if accept is not None else None
        self._known: _Known | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Start the inference of one exchange."""
        model = self._server.model(self._route.model, self._route.version)
        body = exchange.body
        known = self._known
        if known is not None and known.model is model and len(body) == known.form.size:
            view = memoryview(body)
            if view[: len(known.document)] == known.document:
                self._start_known(exchange, known, view)
                return
        if self._coding in ("", "identity"):
            self._start(exchange, model, body)
        elif self._coding in ("gzip", "deflate"):
            self._own(self._start_compressed(exchange, model))
        else:
            error = encode_error("Unsupported compression type")
            exchange.respond(501, [error], extra=_UNSUPPORTED_CODING)

    def _start_known(self, exchange: Exchange, known: _Known, body: memoryview) -> None:
        reply = _Reply(self, exchange, known.model)
        reply.known = known
        reply.format = known.format
        stream = ResponseStream(reply.on_response)
        request = known.form.request(body, stream)
        reply.request_id = request.id
        try:
            self._server.infer(known.model, request)
        except TritiumError as error:
            respond_error(exchange, error, JSON)
        else:
            if exchange.reply is None:
                exchange.on_abandoned = stream.cancel

    async def _start_compressed(self, exchange: Exchange, model: Model) -> None:
        """Decompress off the loop, then go on as with a plain body."""
        try:
            body = await asyncio.to_thread(decompress, exchange.body, self._coding, self._max_input_bytes)
            self._start(exchange, model, body)
        except Exception as error:
            respond_error(exchange, error, JSON)

    def _start(self, exchange: Exchange, model: Model, body: Buffer) -> None:
        header_length = _header_length(self._header_length)
        reply = _Reply(self, exchange, model)
        stream = ResponseStream(reply.on_response)
        try:
            request, reply.format = decode_infer_request(
                body, header_length, model.config, self._route.version, stream
            )
            reply.request_id = request.id
            model.check(request)
            if header_length and self._coding == "" and (form := form_of(request, header_length, len(body))):
                self._known = _Known(bytes(body[:header_length]), form, model, reply.format)
            self._server.infer(model, request)
        except TritiumError as error:
            respond_error(exchange, error, JSON)
        else:
            if exchange.reply is None:
                exchange.on_abandoned = stream.cancel

    def send(self, exchange: Exchange, document: bytes, binary: list[Buffer]) -> bytes | None:
        """Send a reply: its head, which is good for replies of the same form, or None if it is compressed."""
        extra, kind = b"", JSON
        if binary:
            extra, kind = b"Inference-Header-Content-Length: %d\r\n" % len(document), BINARY
        if self._accepted is not None:
            self._own(_send_compressed(exchange, extra, [document, *binary], self._accepted))
            return None
        return exchange.respond(200, [document, *binary], content_type=kind, extra=extra) + document


class _Reply:
    """What a response needs to become a reply."""

    __slots__ = ("_call", "_exchange", "_model", "format", "known", "request_id")

    def __init__(self, call: InferCall, exchange: Exchange, model: Model) -> None:
        self._call = call
        self._exchange = exchange
        self._model = model
        self.format = ResponseFormat()
        self.request_id = ""
        self.known: _Known | None = None

    def on_response(self, response: InferenceResponse, final: bool) -> None:
        """The model answered."""
        known = self.known
        exchange = self._exchange
        form: ReplyForm | None = None
        try:
            if (
                known is not None
                and response.error is None
                and response.parameters is None
                and exchange.keep_alive
            ):
                form = tuple([(t.name, t.datatype, t.shape, len(t.buffer)) for t in response.outputs])
                rendered = known.replies.get(form)
                if rendered is not None:
                    exchange.respond_again(rendered, [tensor.buffer for tensor in response.outputs])
                    return
            rendered = self._encode(response)
            if known is not None and form is not None and rendered is not None and self._all_binary(response):
                if len(known.replies) >= _MAX_REPLY_FORMS:
                    known.replies.clear()
                known.replies[form] = rendered
        except Exception as error:
            respond_error(exchange, error, TEXT)

    def _encode(self, response: InferenceResponse) -> bytes | None:
        document, binary = encode_infer_response(
            response,
            self.format,
            request_id=self.request_id,
            config=self._model.config,
            version=self._model.version,
            labels=self._model.labels,
        )
        return self._call.send(self._exchange, document, binary)

    def _all_binary(self, response: InferenceResponse) -> bool:
        """The reply's bytes are its head and the outputs' buffers, nothing else."""
        binary, default = self.format.binary, self.format.binary_default
        return not self.format.classes and all(
            len(t.buffer) and binary.get(t.name, default) for t in response.outputs
        )


async def _send_compressed(exchange: Exchange, extra: bytes, buffers: list[Buffer], coding: str) -> None:
    encoded = await asyncio.to_thread(compress, buffers, coding)
    kind = BINARY if extra else JSON
    exchange.respond(
        200, encoded, content_type=kind, extra=extra + b"Content-Encoding: %b\r\n" % coding.encode()
    )


def _header_length(value: bytes | None) -> int | None:
    """Inference-Header-Content-Length, which Triton 2.51 reads leniently and 2.73, as we, strictly."""
    if value is None:
        return None
    if not _HEADER_LENGTH.fullmatch(value):
        shown = value[:32].decode("latin-1").encode("ascii", "backslashreplace").decode()
        raise InvalidArgumentError(f"Unable to parse Inference-Header-Content-Length, got: {shown}")
    return int(value)
