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
from tritium.frontends.http.infer_reply import OFF_LOOP_BYTES, InferReply, Own
from tritium.frontends.http.replies import respond_error
from tritium.protocol.json_codec import ResponseFormat, decode_infer_request, encode_error
from tritium.protocol.json_forms import JsonForm, JsonForms
from tritium.protocol.request_form import MAX_FORM_BYTES
from tritium.protocol.restrictions import forward
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
        "_document_bytes",
        "_forms",
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
        forms: JsonForms,
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
        self._forms = forms
        self._known: JsonForm | None = None  # of the last request whose form was seen before
        self._document_bytes = 0  # of such requests

    def __call__(self, exchange: Exchange) -> None:
        """Start the inference of one exchange."""
        model = self._server.model(self._route.model, self._route.version)
        body = exchange.body
        if self._known is not None and self._start_known(exchange, self._known, model):
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

    def _start_known(self, exchange: Exchange, known: JsonForm, model: Model) -> bool:
        """Start the inference if its body has a known form: whether it has."""
        body = memoryview(exchange.body)
        begin = self._document_bytes
        if known.model is not model or len(body) != begin + known.size:
            return False
        identity, options = known.identity, known.options
        document = bytes(body[:begin])  # comparing that is faster than comparing a view
        if document != known.document:
            read = known.read(document, self._forms.options)
            if read is None:
                return False
            identity, options = read
        reply = InferReply(exchange, model, self._accepted, self._own)
        reply.known = known
        if model.recall is not None and options.plain and not self._forwarded:
            response = model.recall(known.form, known.form.buffers(body, begin))
            if response is not None:
                reply.format, reply.request_id = known.format, identity
                reply.on_response(response, True)
                return True
        stream = ResponseStream(reply.on_response)
        request = known.request(body, begin, stream, identity=identity, options=options)
        self._run(exchange, model, reply, (request, known.format))
        return True

    def _start(self, exchange: Exchange, model: Model) -> None:
        reply = InferReply(exchange, model, self._accepted, self._own)
        body = exchange.body
        try:
            header_length = _header_length(self._header_length)
            if header_length and not self._coding and self._start_shared(exchange, model, header_length):
                return
            stream = ResponseStream(reply.on_response)
            decoded = self._decode(body, header_length, model, stream)
        except TritiumError as error:
            respond_error(exchange, error, JSON)
            return
        if header_length and not self._coding:
            document = memoryview(body)[:header_length]
            self._known = self._forms.remember(document, len(body) - header_length, model, *decoded)
            self._document_bytes = header_length
        self._run(exchange, model, reply, decoded)

    def _start_shared(self, exchange: Exchange, model: Model, header_length: int) -> bool:
        """Start the inference if its body has a form that came with another head: whether it has."""
        size = len(exchange.body) - header_length
        form = self._forms.find(self._route.model, self._route.version, size)
        if form is None or form is self._known or header_length > MAX_FORM_BYTES:
            return False
        self._document_bytes = header_length
        if not self._start_known(exchange, form, model):
            self._known = None
            return False
        self._known = form
        return True

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
        model.check(decoded[0])
        return decoded

    def _run(self, exchange: Exchange, model: Model, reply: InferReply, decoded: Decoded) -> None:
        request, reply.format = decoded
        reply.request_id = request.id
        if self._forwarded:
            forward(request, self._forwarded)
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
