"""One gRPC connection: a transport's bytes to HTTP/2 and back, and each of its streams to a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from tritium.frontends.grpc.buffers import MessageBuffers
from tritium.frontends.grpc.call import GrpcCall
from tritium.frontends.grpc.deadlines import Deadlines
from tritium.frontends.grpc.inputs import StreamInput, UnaryInput
from tritium.frontends.grpc.keepalive import Keepalive, Step
from tritium.frontends.grpc.plan import CallPlan, make_plan
from tritium.frontends.grpc.restriction import forwarded_metadata, restriction_refusal
from tritium.frontends.grpc.service import GrpcService, Streaming, Unary
from tritium.frontends.grpc.settings import GrpcSettings
from tritium.http2.connection import Http2Connection
from tritium.http2.header_rules import RequestHeaders
from tritium.http2.stream import DEAF, Http2Stream, StreamListener

SCRATCH_BYTES = 1 << 18
_JOIN_BYTES = 1 << 15  # output up to this size leaves in one buffer
_WRITE_HIGH_BYTES = 1 << 20  # in the transport; above it DATA waits in its stream
_LINGER_S = 2.0  # how long to read past the end, so that a client which is still sending gets to see why
_DRAIN_S = 5.0  # how long a client may take to answer the ping of a shutdown
_HTTP_1 = (b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"OPTI", b"PATC")
_HTTP_1_ANSWER = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"this port speaks gRPC, over HTTP/2 only; the HTTP port answers HTTP/1.1\n"
)
Methods = Mapping[bytes, Unary | Streaming]


class Shared:
    """What the connections of one listener have in common.

    ``scratch`` is where reads land: each read is consumed before the next one anywhere.

    Args:
        call_soon: the loop's, by which answers of one turn are written together; without it, each at once.
    """

    def __init__(
        self,
        service: GrpcService,
        settings: GrpcSettings,
        now_s: Callable[[], float],
        deadlines: Deadlines,
        call_soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.methods: Methods = service.methods
        self.settings = settings
        self.now_s = now_s
        self.deadlines = deadlines
        self.call_soon = call_soon
        self.buffers = MessageBuffers()
        self.scratch = memoryview(bytearray(SCRATCH_BYTES))

    def plan(self, headers: RequestHeaders) -> CallPlan[Unary | Streaming]:
        """What to do with calls that have these headers."""
        settings = self.settings
        headers.plan = plan = make_plan(
            headers,
            self.methods,
            compression=settings.compression,
            max_header_list=settings.limits.max_header_list_bytes,
        )
        if plan.refusal is None:
            plan.refusal = restriction_refusal(settings.restrictions, plan.path, dict(headers.fields))
            plan.forwarded = forwarded_metadata(settings.forward, plan.metadata)
        return plan


class ConnectionOwner(Protocol):
    """Who looks after connections."""

    def opened(self, connection: GrpcConnection) -> None:
        """It has begun: TCP, and TLS if there is any, are established."""
        ...

    def closed(self, connection: GrpcConnection) -> None:
        """It is gone."""
        ...


class GrpcConnection(asyncio.BufferedProtocol):
    """A connection."""

    def __init__(self, shared: Shared, owner: ConnectionOwner, age_factor: float = 1.0) -> None:
        self.now_s = shared.now_s
        self.deadlines = shared.deadlines
        self.allocate = shared.buffers.lend
        self._shared = shared
        self._owner = owner
        self._limit = shared.settings.max_message_bytes
        self._http2 = Http2Connection(self._accept, shared.settings.limits)
        self._transport: asyncio.Transport | None = None
        now_s = shared.now_s()
        self._keepalive = Keepalive(shared.settings.keepalive, now_s, age_factor=age_factor)
        self._planned = False  # a flush
        self._busy = False  # a read is under way: what is to be written waits for its end
        self._target: memoryview | None = None
        self._began_s = now_s
        self._stopping = False
        self._lingering_s: float | None = None  # since when nothing is read or written any more
        self._draining_s: float | None = None
        self._backlog = (0, now_s)  # bytes that waited to be written, and since when there are as many
        self._sent = 0

    # -- transport --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open. Nothing is written before it is known to be HTTP/2."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH_BYTES)
        self._owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: its calls are cancelled."""
        self._transport = None
        self._http2.lost()
        self._owner.closed(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport puts what it reads: a long message goes straight to its place."""
        self._target = self._http2.space()
        return self._shared.scratch if self._target is None else self._target

    def buffer_updated(self, nbytes: int) -> None:
        """``nbytes`` were read into that buffer."""
        now_s = self.now_s()
        self._keepalive.heard(now_s)
        self._busy = True
        target, self._target = self._target, None
        if target is None:
            data = self._shared.scratch[:nbytes]
            self._http2.receive(data, now_s)
            if self._http2.error is not None and not self._http2.settled and bytes(data[:4]) in _HTTP_1:
                self._refuse_http_1()
        else:
            self._http2.received(target[:nbytes], now_s)
        self._busy = False
        self.flush()

    def eof_received(self) -> bool:
        """The client closed: its calls are cancelled."""
        return False

    def pause_writing(self) -> None:
        """The client reads slowly: keep DATA back, and take nothing more from it."""
        self._http2.hold(True)
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client caught up."""
        self._http2.hold(False)
        if self._transport is not None:
            self._transport.resume_reading()
        self.flush()

    def flush_soon(self) -> None:
        """Write at the end of this turn of the loop, with what else is answered in it."""
        call_soon = self._shared.call_soon
        if call_soon is None:
            self.flush()
        elif not (self._planned or self._busy):
            self._planned = True
            call_soon(self._flush_planned)

    def _flush_planned(self) -> None:
        self._planned = False
        self.flush()

    def flush(self) -> None:
        """Write what there is to write; at the end of the read under way, if there is one."""
        transport = self._transport
        if self._busy or transport is None or self._lingering_s is not None:
            return
        frames = self._http2.take_output()
        if len(frames) == 1:
            transport.write(frames[0])
        elif frames:
            if sum(map(len, frames)) <= _JOIN_BYTES:
                transport.write(b"".join(frames))
            else:
                transport.writelines(frames)
        if self._http2.finished:
            self._end(transport)

    def _end(self, transport: asyncio.Transport) -> None:
        """End the connection; after an error only our half, for closing with bytes unread would hide it."""
        if self._http2.error is None or not transport.can_write_eof():
            transport.close()
        else:
            self._lingering_s = self.now_s()
            transport.write_eof()

    def _refuse_http_1(self) -> None:
        self._http2.take_output()
        if self._transport is not None:
            self._transport.write(_HTTP_1_ANSWER)

    # -- calls --

    def _accept(self, stream: Http2Stream) -> StreamListener:
        """A new stream: who listens to it."""
        headers = stream.headers
        plan = headers.plan
        if not isinstance(plan, CallPlan):
            plan = self._shared.plan(headers)
        method = plan.method
        if plan.refusal is not None or method is None:
            stream.send_headers(plan.refusal or b"", end=True)
            return DEAF
        call = GrpcCall(stream, plan, self)
        if isinstance(method, Unary):
            return UnaryInput(stream, call, method.handle, plan.coding, self._limit)
        try:
            receiver = method.open(call)
        except Exception as error:
            call.fail(error)
            return DEAF
        listener = StreamInput(stream, call, receiver, plan.coding, self._limit)
        if self._stopping:
            listener.stop()
        return listener

    # -- the listener's side --

    def stop(self) -> None:
        """The server stops: drain, and ask streaming calls that may last for ever to end."""
        self._stopping = True
        for listener in self._http2.listeners:
            if isinstance(listener, StreamInput):
                listener.stop()
        self.drain()

    def drain(self) -> None:
        """Close as soon as every call that has begun is over; the client is told to begin no more."""
        if self._draining_s is None:
            self._draining_s = self.now_s()
            self._http2.shut_down()
            self.flush()

    def abort(self) -> None:
        """Close now, whatever is unsent."""
        if self._transport is not None:
            self._transport.abort()

    def sweep(self, now_s: float) -> None:
        """Look at the clocks: ping, end or cut the connection where its time has come."""
        transport, settings = self._transport, self._shared.settings
        if transport is None:
            return
        self._sweep_writing(transport, now_s)
        if self._lingering_s is not None and now_s - self._lingering_s > _LINGER_S:
            transport.close()
            return
        if not self._http2.settled and now_s - self._began_s > settings.keepalive.handshake_s:
            self.abort()
            return
        if self._draining_s is not None and now_s - self._draining_s > _DRAIN_S:
            self._http2.shut_down()
        if self._http2.sent != self._sent:
            self._sent = self._http2.sent
            self._keepalive.sent_data()
        step = self._keepalive.next_step(now_s, calls=self._http2.open_streams)
        if step is Step.PING:
            self._http2.ping(bytes(8))
        elif step is Step.SHUT_DOWN:
            self.drain()
        elif step is Step.ABORT:
            self.abort()
        self.flush()

    def _sweep_writing(self, transport: asyncio.Transport, now_s: float) -> None:
        backlog = transport.get_write_buffer_size()
        if backlog != self._backlog[0] or not backlog:
            self._backlog = (backlog, now_s)
        elif now_s - self._backlog[1] > self._shared.settings.keepalive.write_timeout_s:
            self.abort()
