"""A gRPC connection with everything around it: a transport that keeps what is written, h2, a clock."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from tests.unit.frontends.http.fakes import FakeTransport
from tests.unit.http2.peers import Frame, parse
from tritium.frontends.grpc.connection import GrpcConnection, Shared
from tritium.frontends.grpc.deadlines import Deadlines
from tritium.frontends.grpc.service import Streaming, Unary
from tritium.frontends.grpc.settings import GrpcSettings
from tritium.http2.header_rules import Field

Methods = Mapping[bytes, Unary | Streaming]
REQUEST: tuple[Field, ...] = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/t.Toy/Echo"),
    (b":authority", b"a"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
)
SETTINGS = GrpcSettings(max_message_bytes=1 << 20)


class GrpcTransport(FakeTransport):
    """Takes bounds on its buffer as well."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high


@dataclass
class Service:
    """What is served."""

    methods: Methods


@dataclass
class Reply:
    """What a call brought."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None

    @property
    def messages(self) -> list[tuple[int, bytes]]:
        """Flag and content of each message."""
        found, rest = [], bytes(self.body)
        while rest:
            flag, size = struct.unpack_from(">BI", rest)
            found.append((flag, rest[5 : 5 + size]))
            rest = rest[5 + size :]
        return found

    @property
    def status(self) -> tuple[int, str]:
        """The gRPC status, from wherever it stands, and its text as it was encoded."""
        fields = {**self.headers, **self.trailers}
        return int(fields[b"grpc-status"]), fields.get(b"grpc-message", b"").decode()


class Rig:
    """A connection, its transport, its clock and its client."""

    def __init__(self, methods: Methods, settings: GrpcSettings = SETTINGS, *, begun: bool = True) -> None:
        self.now_s = 1000.0
        self.alarms: list[float] = []
        self.deadlines = Deadlines(self.alarms.append)
        self.shared = Shared(Service(methods), settings, lambda: self.now_s, self.deadlines)
        self.gone: list[GrpcConnection] = []
        self.transport = GrpcTransport()
        self.connection = GrpcConnection(self.shared, self)
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding=False, validate_outbound_headers=False)
        )
        self.replies: dict[int, Reply] = {}
        self.events: list[h2.events.Event] = []
        self.connection.connection_made(self.transport)
        if begun:
            self.h2.initiate_connection()
            self.exchange()

    def opened(self, connection: GrpcConnection) -> None:
        """The connection has begun."""

    def closed(self, connection: GrpcConnection) -> None:
        """The connection is gone."""
        self.gone.append(connection)

    def exchange(self) -> None:
        """Deliver what either end says until both are silent."""
        self.listen()
        while data := self.h2.data_to_send():
            self.deliver(data)
            self.listen()

    def deliver(self, data: bytes) -> None:
        """As the transport does: into the buffer that the connection offers."""
        while data and not self.transport.ended:
            space = self.connection.get_buffer(-1)
            size = min(len(space), len(data))
            space[:size] = data[:size]
            data = data[size:]
            self.connection.buffer_updated(size)

    def listen(self) -> None:
        """Let the client read what was written."""
        data = bytes(self.transport.sent)
        self.transport.sent.clear()
        for event in self.h2.receive_data(data):
            self.events.append(event)
            reply = self.replies.setdefault(getattr(event, "stream_id", 0) or 0, Reply())
            if isinstance(event, h2.events.ResponseReceived):
                reply.headers = dict(event.headers or ())
            elif isinstance(event, h2.events.TrailersReceived):
                reply.trailers = dict(event.headers or ())
            elif isinstance(event, h2.events.DataReceived):
                reply.body += event.data or b""
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
            elif isinstance(event, h2.events.StreamEnded):
                reply.ended = True
            elif isinstance(event, h2.events.StreamReset):
                reply.reset = int(event.error_code or 0)

    def call(self, body: bytes, *extra: Field, headers: Sequence[Field] = REQUEST, end: bool = True) -> Reply:
        """One call, as far as it gets."""
        stream_id = self.begin(*extra, headers=headers)
        self.h2.send_data(stream_id, body, end_stream=end)
        self.exchange()
        return self.replies.setdefault(stream_id, Reply())

    def begin(self, *extra: Field, headers: Sequence[Field] = REQUEST) -> int:
        """Send the headers of a call."""
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, [*headers, *extra])
        return stream_id

    def sweep(self, after_s: float) -> None:
        """The listener looks, ``after_s`` later."""
        self.now_s += after_s
        self.connection.sweep(self.now_s)

    def written(self) -> list[Frame]:
        """The frames that the client has not read; h2 reads nothing after GOAWAY."""
        data = bytes(self.transport.sent)
        self.transport.sent.clear()
        return parse(data)


def message(content: bytes, flag: int = 0) -> bytes:
    """A message as it stands in a body."""
    return struct.pack(">BI", flag, len(content)) + content


def changed(name: bytes, value: bytes | None) -> tuple[Field, ...]:
    """The usual headers with one of them changed or, with None, left out."""
    kept = [(n, value if n == name and value is not None else v) for n, v in REQUEST]
    return tuple(f for f in kept if value is not None or f[0] != name)
