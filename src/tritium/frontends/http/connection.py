"""One HTTP/1.1 connection: bytes to exchanges and replies back to bytes, in the order of the requests.

Requests are parsed by httptools (llhttp, strict). Up to ``MAX_PIPELINED`` run at a time; their replies are sent in
order. A body that does not come in one read goes straight into its own buffer, past the parser, which is replaced
afterwards. Time-outs are looked at by the listener's sweep, not by timers of their own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from tritium.core.tensor import Buffer
from tritium.frontends.http.body import RequestBody
from tritium.frontends.http.exchange import JSON, Exchange, HttpRefusal
from tritium.options import HttpOptions
from tritium.protocol.json_codec import encode_error

MAX_PIPELINED = 64
MAX_TARGET_BYTES = 8192
_JOIN_BYTES = 32768  # replies up to this size leave in one buffer
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpApplication(Protocol):
    """What answers."""

    def admit(self, exchange: Exchange) -> None:
        """Refuse early, at the end of the headers; raises HttpRefusal."""
        ...

    def handle(self, exchange: Exchange) -> None:
        """Answer ``exchange``, now or later. Never raises."""
        ...


class HttpConnection(asyncio.BufferedProtocol):
    """A connection; see the module's first lines.

    Args:
        scratch: where reads land; shared by all connections of a loop, for each read is consumed at once.
        on_closed: called when the connection is gone.
    """

    def __init__(
        self,
        application: HttpApplication,
        options: HttpOptions,
        scratch: memoryview,
        now_s: Callable[[], float],
        on_closed: Callable[[HttpConnection], None],
    ) -> None:
        self._application = application
        self._options = options
        self._scratch = scratch
        self._now_s = now_s
        self._on_closed = on_closed
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._exchanges: deque[Exchange] = deque()
        self._body: RequestBody | None = None
        self._direct = False
        self._refusal: HttpRefusal | None = None
        self._closing = False  # nothing more is read
        self._draining = False  # the server stops: close when what was received is answered
        self._reading_paused = False
        self._write_blocked = False
        self._last_backlog = 0
        self._last_progress_s = now_s()
        self._message_began_s: float | None = None
        self._body_began_s = 0.0
        self._reset_message()

    def _reset_message(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_count = 0
        self._header_bytes = 0
        self._exchange: Exchange | None = None

    # -- transport ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: what it still waits for is cancelled."""
        self._transport = None
        self._closing = True
        for exchange in self._exchanges:
            if exchange.reply is None and exchange.on_abandoned is not None:
                exchange.on_abandoned()
        self._exchanges.clear()
        self._on_closed(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport puts what it reads."""
        return self._body.space() if self._direct and self._body is not None else self._scratch

    def buffer_updated(self, nbytes: int) -> None:
        """``nbytes`` were read into that buffer."""
        if self._direct and self._body is not None:
            self._last_progress_s = self._now_s()
            if self._body.received(nbytes):
                self._direct = False
                self._parser = httptools.HttpRequestParser(self)
                self.on_message_complete()
            return
        if not self._closing:
            self._feed(self._scratch[:nbytes])

    def eof_received(self) -> bool:
        """The client closed: replies that are there still go out, the others are cancelled with the connection."""
        return False

    def pause_writing(self) -> None:
        """The client reads slowly: take no more work from it."""
        self._write_blocked = True
        self._last_progress_s = self._now_s()
        self._update_reading()

    def resume_writing(self) -> None:
        """The client caught up."""
        self._write_blocked = False
        self._update_reading()

    # -- parsing -----------------------------------------------------------------------------------------------

    def _feed(self, data: memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # An upgrade is an offer that may be declined: the request was answered as it stands, the rest is not ours.
            self._closing = True
        except httptools.HttpParserError as error:
            if not self._closing:
                self._refuse(self._refusal or HttpRefusal(400, f"malformed HTTP request: {error}"))
            return
        if self._refusal is not None and not self._closing:
            self._refuse(self._refusal)
            return
        if self._message_began_s is None:
            return
        if self._exchange is None:
            self._header_bytes += len(data)
            if self._header_bytes > self._options.max_header_bytes:
                self._refuse(HttpRefusal(431, f"request headers exceed {self._options.max_header_bytes} bytes"))
        elif self._body is not None and self._body.announced is not None:
            self._body.go_direct()
            self._direct = True

    def on_message_begin(self) -> None:
        """Parser: a request begins."""
        self._message_began_s = self._now_s()
        self._reset_message()

    def on_url(self, url: bytes) -> None:
        """Parser: a piece of the target."""
        self._target += url
        if len(self._target) > MAX_TARGET_BYTES:
            self._refusal = HttpRefusal(414, f"request target exceeds {MAX_TARGET_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: a header."""
        self._header_count += 1
        if self._header_count > self._options.max_headers:
            self._refusal = HttpRefusal(431, f"request has more than {self._options.max_headers} headers")
            return
        name = name.lower()
        if name in self._headers and name in _SINGLE_HEADERS:
            self._refusal = HttpRefusal(400, f"header '{name.decode('latin-1')}' is given twice")
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """Parser: the headers are whole; the body follows."""
        if self._refusal is not None:
            return
        try:
            self._exchange = self._open_exchange()
        except HttpRefusal as refusal:
            self._refusal = refusal

    def _open_exchange(self) -> Exchange:
        parser, headers, options = self._parser, self._headers, self._options
        version = parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise HttpRefusal(505, f"HTTP version {version} is not supported, expected 1.0 or 1.1")
        path = self._target.partition(b"?")[0]
        if not path.startswith(b"/"):
            path = _absolute_form(path)
        exchange = Exchange(self, parser.get_method(), path.decode("latin-1"), headers, http_1_0=version == "1.0")
        exchange.keep_alive = parser.should_keep_alive() and not self._draining
        announced = headers.get(b"content-length")
        length = int(announced) if announced is not None else None
        self._application.admit(exchange)
        if length is not None or b"transfer-encoding" in headers:
            self._body = RequestBody(length, limit=options.max_input_bytes, chunk_limit=options.max_chunks)
            self._body_began_s = self._last_progress_s = self._now_s()
            self._answer_expectation(headers)
        return exchange

    def _answer_expectation(self, headers: dict[bytes, bytes]) -> None:
        expectation = headers.get(b"expect")
        if expectation is None:
            return
        if expectation.lower() != b"100-continue":
            raise HttpRefusal(417, "expectation is not supported, expected '100-continue'")
        if not self._exchanges and self._transport is not None:
            self._transport.write(_CONTINUE)

    def on_chunk_header(self) -> None:
        """Parser: a chunk begins."""
        self._guard(lambda body: body.count_chunk())

    def on_body(self, chunk: bytes) -> None:
        """Parser: a piece of the body."""
        self._guard(lambda body: body.feed(chunk))

    def _guard(self, step: Callable[[RequestBody], None]) -> None:
        if self._refusal is None and self._body is not None:
            try:
                step(self._body)
            except HttpRefusal as refusal:
                self._refusal = refusal

    def on_message_complete(self) -> None:
        """Parser, or the direct path: the request is whole."""
        exchange, body = self._exchange, self._body
        if self._refusal is not None or exchange is None:
            return
        self._exchange = self._body = None
        self._message_began_s = None
        self._last_progress_s = self._now_s()
        if body is not None:
            exchange.body = body.take()
        if not exchange.keep_alive:
            self._closing = True
        self._exchanges.append(exchange)
        if len(self._exchanges) >= MAX_PIPELINED:
            self._update_reading()
        self._application.handle(exchange)

    # -- replies -----------------------------------------------------------------------------------------------

    def exchange_done(self, exchange: Exchange) -> None:
        """Send the replies at the head of the queue that are there."""
        exchanges = self._exchanges
        transport = self._transport
        if transport is None or not exchanges or exchanges[0].reply is None:
            return
        while exchanges and exchanges[0].reply is not None:
            done = exchanges.popleft()
            self._write(transport, done.reply or [])
            if not done.keep_alive:
                transport.close()
                return
        if self._draining and not exchanges and self._message_began_s is None:
            transport.close()
        elif self._closing and not exchanges:
            transport.close()
        elif self._reading_paused:
            self._update_reading()

    def _write(self, transport: asyncio.Transport, buffers: list[Buffer]) -> None:
        if len(buffers) == 1:
            transport.write(buffers[0])
        elif sum(map(len, buffers)) <= _JOIN_BYTES:
            transport.write(b"".join(buffers))
        else:
            transport.writelines(buffers)

    def _refuse(self, refusal: HttpRefusal) -> None:
        """Answer what cannot be read any further, after what came before it, and close."""
        self._closing = True
        self._body = None
        exchange = Exchange(self, b"", "", {}, http_1_0=False)
        exchange.keep_alive = False
        self._exchanges.append(exchange)
        exchange.respond(refusal.status, [encode_error(str(refusal))], content_type=JSON)

    def _update_reading(self) -> None:
        transport = self._transport
        if transport is None:
            return
        pause = self._write_blocked or len(self._exchanges) >= MAX_PIPELINED
        if pause != self._reading_paused:
            self._reading_paused = pause
            if pause:
                transport.pause_reading()
            else:
                transport.resume_reading()

    # -- the listener's side -----------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """No request is under way."""
        return not self._exchanges and self._message_began_s is None

    def drain(self) -> None:
        """Close as soon as every request that has begun is answered."""
        self._draining = True
        if self.idle and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now, unsent replies included."""
        if self._transport is not None:
            self._transport.abort()

    def sweep(self, now_s: float) -> None:
        """Cut the connection if it has taken longer over something than it may."""
        options = self._options
        if self._transport is None:
            return
        backlog = self._transport.get_write_buffer_size()
        if backlog != self._last_backlog:
            self._last_backlog = backlog
            self._last_progress_s = now_s
        if backlog:
            if now_s - self._last_progress_s > options.write_timeout_s:
                self.abort()
        elif self._message_began_s is not None and not self._closing:
            self._sweep_request(now_s)
        elif self._closing and not self._exchanges:
            self._transport.close()
        elif self.idle and now_s - self._last_progress_s > options.idle_timeout_s:
            self._transport.close()

    def _sweep_request(self, now_s: float) -> None:
        options = self._options
        assert self._message_began_s is not None
        if self._body is None:
            if now_s - self._message_began_s > options.header_timeout_s:
                self._refuse(HttpRefusal(408, f"request headers took longer than {options.header_timeout_s:g} s"))
            return
        elapsed_s = now_s - self._body_began_s
        if elapsed_s > options.body_grace_s and self._body.size < elapsed_s * options.min_body_rate:
            self._refuse(HttpRefusal(408, f"request body came slower than {options.min_body_rate} bytes/s"))


_SINGLE_HEADERS = frozenset((b"host", b"content-length", b"inference-header-content-length", b"content-encoding"))


def _absolute_form(target: bytes) -> bytes:
    """The path of an absolute-form target; anything else is refused."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise HttpRefusal(400, "request target is neither a path nor an http URI")
    return b"/" + rest.partition(b"/")[2]
