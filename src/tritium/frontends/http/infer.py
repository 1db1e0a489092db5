"""``POST /v2/models/<m>[/versions/<v>]/infer``: from a body to a request that runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import Buffer, DataType
from tritium.errors import InvalidArgumentError, TritiumError, UnsupportedError
from tritium.frontends.http.compression import decompress, preferred_coding
from tritium.frontends.http.exchange import JSON, Exchange
from tritium.frontends.http.head import RequestHead
from tritium.frontends.http.infer_reply import OFF_LOOP_BYTES, InferReply, Known, Own
from tritium.frontends.http.replies import respond_error
from tritium.protocol.json_codec import ResponseFormat, decode_infer_request, encode_error
from tritium.protocol.request_form import form_of
from tritium.protocol.routes import Route
from tritium.server import InferenceServer

_HEADER_LENGTH = re.compile(rb"[0-9]{1,18}")
_UNSUPPORTED_CODING = b"Accept-Encoding: gzip, deflate\r\n"

Decoded = tuple[InferenceRequest, ResponseFormat]


class InferCall:
    """All inferences that come with one head: what the head says is read once."""

    __slots__ = (
        "_accepted",
        "_coding",
        "_forwarded",
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
        own: Own,
        *,
        forwarded: Mapping[str, str],
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
        self._forwarded = forwarded  # headers that are parameters of the request
        self._known: Known | None = None

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
        if model.config.decoupled:
            raise UnsupportedError("HTTP end point doesn't support models with decoupled transaction policy")
        if self._coding in ("gzip", "deflate"):
            self._own(self._start_off_loop(exchange, model))
        elif self._coding not in ("", "identity"):
            error = encode_error("Unsupported compression type")
            exchange.respond(501, [error], extra=_UNSUPPORTED_CODING)
        elif self._slow(model, len(body)):
            self._own(self._start_off_loop(exchange, model))
        else:
            self._start(exchange, model)

    def _slow(self, model: Model, size: int) -> bool:
        """Whether the body is much JSON, or many strings, of which each needs a look."""
        if size <= OFF_LOOP_BYTES:
            return False
        header_length = _header_length(self._header_length)
        if header_length is None or header_length > OFF_LOOP_BYTES:
            return True
        return any(only.data_type == DataType.BYTES.config_name for only in model.config.input)

    def _start_known(self, exchange: Exchange, known: Known, body: memoryview) -> None:
        reply = InferReply(exchange, known.model, self._accepted, self._own)
        reply.known = known
        stream = ResponseStream(reply.on_response)
        request = known.form.request(body, stream)
        self._run(exchange, known.model, reply, (request, known.format))

    def _start(self, exchange: Exchange, model: Model) -> None:
        reply = InferReply(exchange, model, self._accepted, self._own)
        try:
            header_length = _header_length(self._header_length)
            stream = ResponseStream(reply.on_response)
            decoded = self._decode(exchange.body, header_length, model, stream)
        except TritiumError as error:
            respond_error(exchange, error, JSON)
            return
        request, response_format = decoded
        if header_length and not self._coding:
            form = form_of(request, header_length, len(exchange.body))
            if form is not None:
                self._known = Known(bytes(exchange.body[:header_length]), form, model, response_format)
        self._run(exchange, model, reply, decoded)

    async def _start_off_loop(self, exchange: Exchange, model: Model) -> None:
        """Decompress and decode in a thread, then go on as with a small body."""
        model.hold()
        try:
            await self._start_held(exchange, model)
        finally:
            model.release()

    async def _start_held(self, exchange: Exchange, model: Model) -> None:
        reply = InferReply(exchange, model, self._accepted, self._own)
        try:
            header_length = _header_length(self._header_length)
            body = exchange.body
            if self._coding in ("gzip", "deflate"):
                body = await asyncio.to_thread(decompress, body, self._coding, self._max_input_bytes)
            stream = ResponseStream(reply.on_response)
            decoded = await asyncio.to_thread(self._decode, body, header_length, model, stream)
        except Exception as error:
            respond_error(exchange, error, JSON)
            return
        if not exchange.abandoned:
            self._run(exchange, model, reply, decoded)

    def _decode(
        self, body: Buffer, header_length: int | None, model: Model, stream: ResponseStream
    ) -> Decoded:
        """A request that the model accepts; touches nothing that other threads see.

        Raises:
            InvalidArgumentError: the body breaks the protocol, or does not fit the model.
        """
        decoded = decode_infer_request(body, header_length, model.config, self._route.version, stream)
        if self._forwarded:
            decoded[0].parameters.update(self._forwarded)
        model.check(decoded[0])
        return decoded

    def _run(self, exchange: Exchange, model: Model, reply: InferReply, decoded: Decoded) -> None:
        request, reply.format = decoded
        reply.request_id = request.id
        try:
            self._server.infer(model, request)
        except TritiumError as error:
            respond_error(exchange, error, JSON)
            return
        if exchange.reply is None:
            exchange.on_abandoned = request.stream.cancel


def _header_length(value: bytes | None) -> int | None:
    """Inference-Header-Content-Length, which Triton 2.51 reads leniently and 2.73, as we, strictly."""
    if value is None:
        return None
    if not _HEADER_LENGTH.fullmatch(value):
        shown = value[:32].decode("latin-1").encode("ascii", "backslashreplace").decode()
        raise InvalidArgumentError(f"Unable to parse Inference-Header-Content-Length, got: {shown}")
    return int(value)
