"""One HTTP/1.1 connection: bytes to exchanges and replies back to bytes, in the order of the requests.

Up to ``MAX_PIPELINED`` requests run at a time; their replies are sent in order. Time-outs are looked at by
the listener's sweep, not by timers of their own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from tritium.core.tensor import Buffer
from tritium.frontends.http.exchange import JSON, Exchange, HttpRefusal
from tritium.frontends.http.head import HeadCache, RequestHead
from tritium.frontends.http.parser import RequestParser
from tritium.options import HttpOptions
from tritium.protocol.json_codec import encode_error

MAX_PIPELINED = 64
SCRATCH_BYTES = 1 << 18
LARGE_BYTES = 1 << 20  # bodies of which a few make a difference to the memory of the server
_JOIN_BYTES = 32768  # replies up to this size leave in one buffer
_LINGER_S = 2.0  # how long to read past a refusal, so that a client which is still sending gets to see it
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_HEAD = RequestHead(b"", "", {}, http_1_0=False, keep_alive=False, length=None)


class HttpApplication(Protocol):
    """What answers."""

    def plan(self, head: RequestHead) -> Callable[[Exchange], None]:
        """What to do with requests that have this head, perhaps many; raises HttpRefusal to refuse early."""
        ...

    def handle(self, exchange: Exchange) -> None:
        """Answer ``exchange``, now or later. Never raises."""
        ...


class Shared:
    """What the connections of one listener have in common.

    ``scratch`` is where reads land: each read is consumed before the next one anywhere.
    """

    def __init__(
        self, application: HttpApplication, options: HttpOptions, now_s: Callable[[], float]
    ) -> None:
        self.application = application
        self.options = options
        self.now_s = now_s
        self.heads = HeadCache()
        self.large_bodies = False  # some came since memory was last given back
        self.scratch = bytearray(SCRATCH_BYTES)
        self.view = memoryview(self.scratch)


@dataclass(slots=True)
class _Clock:
    """When things began, in seconds of the shared clock."""

    request: float | None = None  # the request that is being received
    progress: float = 0.0  # the last time that anything went forward
    backlog: int = 0  # bytes that waited to be written then
    refused: float = float("-inf")


class HttpConnection(asyncio.BufferedProtocol):
    """A connection; ``on_closed`` is called when it is gone."""

    def __init__(self, shared: Shared, on_closed: Callable[[HttpConnection], None]) -> None:
        self._shared = shared
        self._on_closed = on_closed
        self._handle = shared.application.handle
        self._parser = RequestParser(self, shared.application.plan, shared.options, shared.heads)
        self._transport: asyncio.Transport | None = None
        self._exchanges: deque[Exchange] = deque()
        self._clock = _Clock(progress=shared.now_s())
        self._closing = False  # nothing more is read
        self._draining = False  # the server stops: close when what was received is answered
        self._reading_paused = False
        self._write_blocked = False

    # -- transport --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: what it still waits for is cancelled."""
        self._transport = None
        self._closing = True
        for exchange in self._exchanges:
            exchange.abandon()
        self._exchanges.clear()
        self._on_closed(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport puts what it reads."""
        return self._parser.space() if self._parser.direct else self._shared.view

    def buffer_updated(self, nbytes: int) -> None:
        """``nbytes`` were read into that buffer."""
        parser, clock = self._parser, self._clock
        clock.progress = self._shared.now_s()
        try:
            if parser.direct:
                parser.received(nbytes)
            elif not self._closing:
                parser.feed(self._shared.scratch, self._shared.view, nbytes)
        except HttpRefusal as refusal:
            if not self._closing:
                self._refuse(refusal)
            return
        if clock.request is None and (parser.mid_head or parser.awaiting_body is not None):
            clock.request = clock.progress

    def eof_received(self) -> bool:
        """The client closed: replies that are there still go out, the others are cancelled."""
        return False

    def pause_writing(self) -> None:
        """The client reads slowly: take no more work from it."""
        self._write_blocked = True
        self._update_reading()

    def resume_writing(self) -> None:
        """The client caught up."""
        self._write_blocked = False
        self._update_reading()
        if self._exchanges and self._exchanges[0].unfinished:
            self.exchange_done(self._exchanges[0])

    # -- requests --

    def on_request(self, head: RequestHead, body: Buffer) -> bool:
        """The parser has a whole request; whether another may follow."""
        if self._closing:
            return False
        exchange = Exchange(self, head, body)
        if len(body) >= LARGE_BYTES:
            self._shared.large_bodies = True
        self._clock.request = None
        if self._draining:
            exchange.keep_alive = False
        if not exchange.keep_alive:
            self._closing = True
        self._exchanges.append(exchange)
        if len(self._exchanges) >= MAX_PIPELINED:
            self._update_reading()
        self._handle(exchange)
        return not self._closing

    def on_expectation(self) -> None:
        """The parser met ``Expect: 100-continue``."""
        if not self._exchanges and self._transport is not None:
            self._transport.write(_CONTINUE)

    # -- replies --

    def exchange_done(self, exchange: Exchange) -> None:
        """Send the replies at the head of the queue that are there."""
        exchanges, transport = self._exchanges, self._transport
        while transport is not None and exchanges and (reply := exchanges[0].reply) is not None:
            if exchanges[0].unfinished:
                self._send_pieces(transport, exchanges[0])
                return
            keep_alive = exchanges.popleft().keep_alive
            _write(transport, reply)
            if not keep_alive:
                self._close(transport)
                return
        if exchanges or transport is None:
            return
        if self._reading_paused:
            self._update_reading()
        if self._draining and self._clock.request is None:
            transport.close()

    def _send_pieces(self, transport: asyncio.Transport, exchange: Exchange) -> None:
        """Send what is there of a reply whose end is not; while the client does not read, it waits."""
        if self._write_blocked:
            return
        pieces = exchange.take_pieces()
        if pieces:
            _write(transport, pieces)
            exchange.pieces_sent()

    def _close(self, transport: asyncio.Transport) -> None:
        """End the connection; after a refusal only our half, for closing with bytes unread would reset it."""
        self._closing = True
        if self._shared.now_s() - self._clock.refused < _LINGER_S and transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()

    def _refuse(self, refusal: HttpRefusal) -> None:
        """Answer what cannot be read any further, after what came before it, and close."""
        self._closing = True
        self._clock.refused = self._shared.now_s()
        exchange = Exchange(self, _NO_HEAD, b"")
        self._exchanges.append(exchange)
        exchange.respond(refusal.status, [encode_error(str(refusal))], content_type=JSON)

    def _update_reading(self) -> None:
        transport = self._transport
        pause = self._write_blocked or len(self._exchanges) >= MAX_PIPELINED
        if transport is None or pause == self._reading_paused:
            return
        self._reading_paused = pause
        if pause:
            transport.pause_reading()
        else:
            transport.resume_reading()

    # -- the listener's side --

    @property
    def idle(self) -> bool:
        """No request is under way."""
        return not self._exchanges and self._clock.request is None

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
        transport, clock, options = self._transport, self._clock, self._shared.options
        if transport is None:
            return
        backlog = transport.get_write_buffer_size()
        if backlog != clock.backlog:
            clock.backlog = backlog
            clock.progress = now_s
        if backlog:
            if now_s - clock.progress > options.write_timeout_s:
                self.abort()
        elif self._closing:
            if not self._exchanges and now_s - clock.refused > _LINGER_S:
                transport.close()
        elif clock.request is not None:
            self._sweep_request(now_s, clock.request)
        elif not self._exchanges:
            self._parser.rest()
            if now_s - clock.progress > options.idle_timeout_s:
                transport.close()

    def _sweep_request(self, now_s: float, began_s: float) -> None:
        options, body = self._shared.options, self._parser.awaiting_body
        elapsed_s = now_s - began_s
        if body is None:
            if elapsed_s > options.header_timeout_s:
                self._refuse(
                    HttpRefusal(408, f"request headers took longer than {options.header_timeout_s:g} s")
                )
        elif elapsed_s > options.body_grace_s and body.size < elapsed_s * options.min_body_rate:
            self._refuse(HttpRefusal(408, f"request body came slower than {options.min_body_rate} bytes/s"))


def _write(transport: asyncio.Transport, buffers: list[Buffer]) -> None:
    size = 0
    for buffer in buffers:
        size += len(buffer)
    if size <= _JOIN_BYTES:
        transport.write(b"".join(buffers))
    else:
        transport.writelines(buffers)
