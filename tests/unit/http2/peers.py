"""The two ends of a connection without a network: ours, whose application notes everything, and h2's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from tritium.http2.connection import Http2Connection
from tritium.http2.errors import Http2Code
from tritium.http2.frames import GOAWAY, HEAD, PREFACE, RST_STREAM, SETTINGS, U32
from tritium.http2.headers import ReplyBlocks, encode_fields
from tritium.http2.limits import Http2Limits
from tritium.http2.stream import Http2Stream

REQUEST = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/p"), (b":authority", b"a")]
REQUEST_BLOCK = encode_fields(REQUEST)
OK_BLOCK = encode_fields([(b":status", b"200")])
DONE_BLOCK = encode_fields([(b"done", b"1")])
OK_REPLY = ReplyBlocks([(b":status", b"200")], [(b"done", b"1")])


LIMITS = Http2Limits()


@dataclass
class Noted:
    """A request as the application saw it."""

    stream: Http2Stream
    answer: Callable[[Noted], None]
    body: bytearray = field(default_factory=bytearray)
    pieces: int = 0
    ended: bool = False
    reset: int | None = None
    writable_calls: list[int] = field(default_factory=list)

    def on_data(self, data: memoryview, end: bool) -> None:
        assert not self.ended and self.reset is None
        self.body += data
        self.pieces += 1
        if end:
            self.ended = True
            self.answer(self)

    def on_reset(self, code: int) -> None:
        assert self.reset is None
        self.reset = code

    def on_writable(self) -> None:
        self.writable_calls.append(self.stream.queued_bytes)


def echo(noted: Noted) -> None:
    """Send the body back."""
    noted.stream.send_response(OK_REPLY, (bytes(noted.body),))


def consume(noted: Noted) -> None:
    """Do not answer."""


@dataclass(frozen=True)
class Frame:
    """A frame that our side sent."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of RST_STREAM and GOAWAY."""
        return int(U32.unpack_from(self.payload, 4 if self.kind == GOAWAY else 0)[0])


class Server:
    """Our end."""

    def __init__(
        self,
        answer: Callable[[Noted], None] = echo,
        limits: Http2Limits = LIMITS,
        *,
        settled: bool = True,
    ) -> None:
        self.answer = answer
        self.now_s = 0.0
        self.requests: dict[int, Noted] = {}
        self.connection = Http2Connection(self._accept, limits)
        self.opening = self.output()
        if settled:
            self.receive(PREFACE + frame(SETTINGS))
            self.output()

    def _accept(self, stream: Http2Stream) -> Noted:
        noted = self.requests[stream.id] = Noted(stream, self.answer)
        return noted

    def receive(self, data: bytes, step: int | None = None) -> None:
        """Bytes arrive, in pieces of ``step``."""
        for start in range(0, len(data), step or max(1, len(data))):
            self.connection.receive(memoryview(data[start : start + (step or len(data))]), self.now_s)

    def output(self) -> bytes:
        """What was written since the last time."""
        return b"".join(self.connection.take_output())

    def frames(self) -> list[Frame]:
        """The same as frames."""
        return parse(self.output())

    def code(self, kind: int = GOAWAY) -> Http2Code | None:
        """The error code of the last frame of this kind since the last time."""
        codes = [f.code for f in self.frames() if f.kind == kind]
        return Http2Code(codes[-1]) if codes else None

    def reset_code(self) -> Http2Code | None:
        """The error code of the last RST_STREAM, on a connection that is well."""
        assert self.connection.error is None
        return self.code(RST_STREAM)


def parse(data: bytes) -> list[Frame]:
    """Whole frames."""
    frames: list[Frame] = []
    while data:
        head, flags, stream_id = HEAD.unpack_from(data)
        end = 9 + (head >> 8)
        assert len(data) >= end
        frames.append(Frame(head & 0xFF, flags, stream_id, data[9:end]))
        data = data[end:]
    return frames


def frame(kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"") -> bytes:
    """A frame, legal or not."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


class H2Client:
    """h2's end, joined to one of ours. Everything h2 says goes there, and back, until both are silent."""

    def __init__(self, server: Server, *, validate: bool = True) -> None:
        self.server = server
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                header_encoding=False, validate_outbound_headers=validate, normalize_outbound_headers=validate
            )
        )
        self.events: list[h2.events.Event] = []
        self.h2.initiate_connection()
        self.h2.receive_data(server.opening)

    def exchange(self, step: int | None = None) -> None:
        """Deliver, in pieces of ``step``, until nothing is under way."""
        while data := self.h2.data_to_send():
            self.server.receive(data, step)
            self.listen()

    def listen(self) -> None:
        """Read what the server wrote."""
        data = self.server.output()
        for event in self.h2.receive_data(data):
            self.events.append(event)
            if isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def body(self, stream_id: int) -> bytes:
        """What came for a stream."""
        received = [
            e for e in self.events if isinstance(e, h2.events.DataReceived) and e.stream_id == stream_id
        ]
        return b"".join(event.data for event in received)

    def has(self, kind: type[h2.events.Event], stream_id: int) -> bool:
        """Whether such an event came for a stream."""
        return any(isinstance(e, kind) and getattr(e, "stream_id", None) == stream_id for e in self.events)
