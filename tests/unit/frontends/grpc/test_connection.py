from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.unit.frontends.grpc.rig import REQUEST, Rig, changed, message
from tests.unit.http2.peers import frame
from tritium.core.tensor import Buffer
from tritium.errors import ModelNotFoundError
from tritium.frontends.grpc.call import GrpcCall
from tritium.frontends.grpc.keepalive import KeepaliveRules
from tritium.frontends.grpc.service import Streaming, Unary
from tritium.frontends.grpc.settings import GrpcSettings
from tritium.frontends.grpc.status import GrpcError, GrpcStatus
from tritium.http2.frames import ACK, DATA, GOAWAY, HEADERS, PING
from tritium.http2.limits import Http2Limits

ECHO = message(b"hello")
SETTINGS = GrpcSettings()


@dataclass
class Kept:
    """A method that keeps its calls and answers when the test does."""

    calls: list[GrpcCall] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    cancelled: int = 0

    def handle(self, call: GrpcCall, content: Buffer) -> None:
        call.on_cancel = self.cancel
        self.calls.append(call)
        self.messages.append(bytes(content))

    def cancel(self) -> None:
        self.cancelled += 1


class Received:
    """The receiver of a streaming call."""

    def __init__(self, call: GrpcCall) -> None:
        self.call = call
        self.messages: list[bytes] = []
        self.half_closed = False
        self.cancelled = False
        self.writable = 0
        call.on_cancel = self.cancel
        call.on_writable = self.more

    def on_message(self, content: Buffer) -> None:
        self.messages.append(bytes(content))

    def on_half_close(self) -> None:
        self.half_closed = True

    def cancel(self) -> None:
        self.cancelled = True

    def more(self) -> None:
        self.writable += 1


def answer(handle: Callable[[GrpcCall, Buffer], None], settings: GrpcSettings = SETTINGS) -> Rig:
    return Rig({b"/t.Toy/Echo": Unary(handle)}, settings)


def echo(settings: GrpcSettings = SETTINGS) -> Rig:
    return answer(lambda call, content: call.respond(content), settings)


def streaming(settings: GrpcSettings = SETTINGS) -> tuple[Rig, list[Received]]:
    opened: list[Received] = []

    def begin(call: GrpcCall) -> Received:
        opened.append(Received(call))
        return opened[-1]

    return Rig({b"/t.Toy/Echo": Streaming(begin)}, settings), opened


def test_a_unary_call_is_answered_in_one_write() -> None:
    rig = echo()
    rig.transport.writes = 0
    reply = rig.call(ECHO)
    assert reply.messages == [(0, b"hello")]
    assert reply.status == (0, "")
    assert reply.headers[b"content-type"] == b"application/grpc"
    assert reply.headers[b"grpc-accept-encoding"] == b"identity, deflate, gzip"
    assert rig.transport.writes == 1


@pytest.mark.parametrize("size", [0, 1, 100, 70_000, 1_000_000])
def test_messages_of_any_size_come_back(size: int) -> None:
    rig = echo(GrpcSettings(limits=Http2Limits(max_frame_bytes=(1 << 24) - 1, stream_window_bytes=1 << 20)))
    content = bytes(i % 251 for i in range(size))
    stream_id, body = rig.begin(), message(content)
    rig.exchange()
    for start in range(0, len(body), 60_000):
        rig.h2.send_data(stream_id, body[start : start + 60_000])
        rig.exchange()
    rig.h2.end_stream(stream_id)
    rig.exchange()
    assert rig.replies[stream_id].messages == [(0, content)]


def test_a_message_may_come_in_pieces_of_one_byte() -> None:
    rig = echo()
    stream_id = rig.begin()
    for byte in ECHO:
        rig.h2.send_data(stream_id, bytes([byte]))
        rig.exchange()
    assert rig.replies.get(stream_id) is None
    rig.h2.end_stream(stream_id)
    rig.exchange()
    assert rig.replies[stream_id].messages == [(0, b"hello")]


def test_a_long_message_is_received_into_its_own_buffer() -> None:
    kept = Kept()
    rig = answer(kept.handle, GrpcSettings(limits=Http2Limits(max_frame_bytes=(1 << 24) - 1)))
    body = message(bytes(5_000_000))
    stream_id = rig.begin()
    rig.exchange()
    rig.h2.send_data(stream_id, body[:100_000])
    rig.exchange()
    assert rig.h2.local_flow_control_window(stream_id) == len(body) - 100_000
    rig.h2.send_data(stream_id, body[100_000:], end_stream=True)
    data = rig.h2.data_to_send()
    rig.deliver(data[:50])
    assert len(rig.connection.get_buffer(-1)) == len(data) - 50
    rig.deliver(data[50:])
    assert kept.messages == [bytes(5_000_000)]


def test_many_calls_run_at_once_and_are_answered_in_any_order() -> None:
    kept = Kept()
    rig = answer(kept.handle)
    replies = [rig.call(message(b"%d" % number)) for number in range(5)]
    for number in (3, 1, 4, 0, 2):
        kept.calls[number].respond(b"r%d" % number)
    rig.exchange()
    assert [reply.messages for reply in replies] == [[(0, b"r%d" % number)] for number in range(5)]


def test_a_reply_in_parts_is_one_message() -> None:
    reply = answer(lambda call, content: call.respond(b"a", memoryview(b"bc"), b"")).call(ECHO)
    assert reply.messages == [(0, b"abc")]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (GrpcError(GrpcStatus.ABORTED, "no"), (10, "no")),
        (ModelNotFoundError("m"), (5, "Request for unknown model: 'm' is not found")),
        (GrpcError(GrpcStatus.UNKNOWN, "100 % ünwell\n"), (2, "100 %25 %C3%BCnwell%0A")),
        (ValueError("secret"), (13, "internal error; the server's log has the details")),
    ],
)
def test_what_a_handler_raises_is_the_status(
    error: Exception, status: tuple[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    def handle(call: GrpcCall, content: Buffer) -> None:
        raise error

    with caplog.at_level(logging.ERROR):
        reply = answer(handle).call(ECHO)
    assert reply.status == status
    assert reply.ended
    assert ("secret" in caplog.text) == isinstance(error, ValueError)


def test_trailers_carry_metadata() -> None:
    def handle(call: GrpcCall, content: Buffer) -> None:
        call.finish(GrpcStatus.OK, "", [(b"key", b"value")])

    assert answer(handle).call(ECHO).headers[b"key"] == b"value"


def test_a_handler_sees_path_metadata_and_deadline() -> None:
    kept = Kept()
    rig = answer(kept.handle)
    rig.call(ECHO, (b"key", b"v1"), (b"key", b"v2"), (b"grpc-timeout", b"1500m"), (b"user-agent", b"u"))
    (call,) = kept.calls
    assert call.path == b"/t.Toy/Echo"
    assert call.metadata == ((b"key", b"v1"), (b"key", b"v2"), (b"user-agent", b"u"))
    assert call.deadline_s == 1001.5


REFUSED = {
    "unknown method": (changed(b":path", b"/t.Toy/None"), (12, "")),
    "GET": (changed(b":method", b"GET"), (13, "Bad method header")),
    "no te": (changed(b"te", None), (13, "Missing :te header")),
    "no authority": (changed(b":authority", None), (13, "Missing :authority header")),
    "bad timeout": ((*REQUEST, (b"grpc-timeout", b"1x")), (13, "Error parsing 'grpc-timeout' metadata")),
    "unknown coding": (
        (*REQUEST, (b"grpc-encoding", b"br")),
        (12, "grpc-encoding 'br' is not supported, expected identity, deflate or gzip"),
    ),
    "much metadata": (
        (*REQUEST, (b"k", b"v" * 17_000)),
        (8, "received metadata size exceeds hard limit of 16384 bytes"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_call_is_refused_for(name: str) -> None:
    headers, status = REFUSED[name]
    rig = echo()
    for _ in range(2):
        reply = rig.call(ECHO, headers=headers)
        assert reply.status == status
        assert reply.headers[b":status"] == b"200"
    assert rig.call(ECHO).status == (0, "")


@pytest.mark.parametrize(
    "content_type", [b"application/json", b"application/grpcx", b"application/grp", None]
)
def test_another_content_type_is_refused_with_415(content_type: bytes | None) -> None:
    reply = echo().call(ECHO, headers=changed(b"content-type", content_type))
    assert reply.headers[b":status"] == b"415"
    assert reply.ended


@pytest.mark.parametrize("content_type", [b"application/grpc+proto", b"application/grpc;charset=utf-8"])
def test_kinds_of_grpc_are_taken(content_type: bytes) -> None:
    assert echo().call(ECHO, headers=changed(b"content-type", content_type)).status == (0, "")


BODIES = {
    "no message": (b"", (12, "'/t.Toy/Echo' requires exactly one request message.")),
    "half a prefix": (b"\0\0", (12, "'/t.Toy/Echo' requires exactly one request message.")),
    "half a message": (b"\0\0\0\0\5x", (12, "'/t.Toy/Echo' requires exactly one request message.")),
    "a flag without coding": (
        message(b"x", 1),
        (13, "Compression bit set but no encoding configured"),
    ),
    "too long": (
        b"\0\0\1\0\0" + bytes(70),
        (8, "SERVER: Received message larger than max (65536 vs. 65535)"),
    ),
    "far too long": (
        b"\0\xff\xff\xff\xff",
        (8, "SERVER: Received message larger than max (4294967295 vs. 65535)"),
    ),
}


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_refused_that_has(name: str, end: bool) -> None:
    body, status = BODIES[name]
    rig = echo(GrpcSettings(max_message_bytes=65_535))
    stream_id = rig.begin()
    rig.h2.send_data(stream_id, body, end_stream=end)
    rig.exchange()
    if not end and status[0] == 12:
        rig.h2.end_stream(stream_id)
        rig.exchange()
    assert rig.replies[stream_id].status == status


def test_messages_after_the_first_of_a_unary_call_are_ignored() -> None:
    assert echo().call(ECHO + message(b"more")).messages == [(0, b"hello")]


@pytest.mark.parametrize(("coding", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)])
def test_compressed_messages_are_read(coding: bytes, pack: Callable[[bytes], bytes]) -> None:
    reply = echo().call(message(pack(b"hello" * 99), 1), (b"grpc-encoding", coding))
    assert reply.messages == [(0, b"hello" * 99)]
    assert echo().call(ECHO, (b"grpc-encoding", coding)).messages == [(0, b"hello")]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"garbage", (13, "Decompression failed due to data error")),
        (gzip.compress(b"hello")[:-9], (13, "Decompression failed due to data error")),
        (gzip.compress(b"hello") + b"x", (13, "Decompression failed due to data error")),
        (gzip.compress(bytes(100_000)), (8, "Decompressed message larger than max")),
    ],
)
def test_damaged_or_explosive_messages_are_refused(content: bytes, status: tuple[int, str]) -> None:
    rig = echo(GrpcSettings(max_message_bytes=65_535))
    assert rig.call(message(content, 1), (b"grpc-encoding", b"gzip")).status == status


def test_replies_are_compressed_for_those_who_accept_it() -> None:
    rig = echo(GrpcSettings(compression="gzip"))
    reply = rig.call(ECHO, (b"grpc-accept-encoding", b"identity, deflate, gzip"))
    ((flag, content),) = reply.messages
    assert (flag, gzip.decompress(content)) == (1, b"hello")
    assert reply.headers[b"grpc-encoding"] == b"gzip"
    assert rig.call(ECHO, (b"grpc-accept-encoding", b"identity, deflate")).messages == [(0, b"hello")]


def test_a_deadline_ends_a_call_and_tells_its_handler() -> None:
    kept = Kept()
    rig = answer(kept.handle)
    reply = rig.call(ECHO, (b"grpc-timeout", b"200m"))
    (alarm,) = rig.alarms
    assert 1000.2 <= alarm <= 1000.21
    rig.deadlines.expire(1000.19)
    assert kept.cancelled == 0
    rig.deadlines.expire(alarm)
    rig.exchange()
    assert reply.status == (4, "Deadline Exceeded")
    assert kept.cancelled == 1
    kept.calls[0].respond(b"late")
    rig.exchange()
    assert reply.messages == []


def test_an_answer_in_time_leaves_no_deadline_behind() -> None:
    rig = echo()
    reply = rig.call(ECHO, (b"grpc-timeout", b"200m"))
    rig.deadlines.expire(2000.0)
    assert reply.status == (0, "")


def test_a_client_that_gives_up_cancels_its_call() -> None:
    kept = Kept()
    rig = answer(kept.handle)
    rig.call(ECHO)
    rig.h2.reset_stream(1, 8)
    rig.exchange()
    assert kept.cancelled == 1
    kept.calls[0].respond(b"late")
    assert rig.transport.sent == b""


def test_a_lost_connection_cancels_its_calls() -> None:
    kept = Kept()
    rig = answer(kept.handle)
    rig.call(ECHO)
    rig.call(ECHO)
    rig.connection.connection_lost(None)
    assert kept.cancelled == 2
    assert rig.gone == [rig.connection]
    for call in kept.calls:
        call.respond(b"late")


def test_a_stream_carries_messages_both_ways() -> None:
    rig, opened = streaming()
    stream_id = rig.begin()
    rig.exchange()
    (received,) = opened
    received.call.send(b"first")
    rig.h2.send_data(stream_id, message(b"a") + message(b"b")[:3])
    rig.exchange()
    assert received.messages == [b"a"]
    rig.h2.send_data(stream_id, message(b"b")[3:] + message(b""), end_stream=True)
    rig.exchange()
    assert (received.messages, received.half_closed) == ([b"a", b"b", b""], True)
    received.call.send(b"second", b"part")
    received.call.finish(GrpcStatus.ABORTED, "enough", [(b"k", b"v")])
    received.call.send(b"late")
    rig.exchange()
    reply = rig.replies[stream_id]
    assert reply.messages == [(0, b"first"), (0, b"secondpart")]
    assert reply.status == (10, "enough")
    assert reply.trailers[b"k"] == b"v"


def test_a_client_of_a_stream_waits_until_its_messages_are_consumed() -> None:
    rig, opened = streaming(GrpcSettings(limits=Http2Limits(stream_window_bytes=20_000)))
    stream_id = rig.begin()
    rig.exchange()
    for _ in range(4):
        rig.h2.send_data(stream_id, message(bytes(4995)))
        rig.exchange()
    assert rig.h2.local_flow_control_window(stream_id) == 0
    for _ in range(3):
        opened[0].call.consumed()
    rig.exchange()
    assert rig.h2.local_flow_control_window(stream_id) == 10_000
    for _ in range(9):
        opened[0].call.consumed()
    rig.exchange()
    assert rig.h2.local_flow_control_window(stream_id) == 20_000


def test_a_slow_client_of_a_stream_is_waited_for() -> None:
    rig, opened = streaming(
        GrpcSettings(limits=Http2Limits(send_high_water_bytes=1000, send_low_water_bytes=10))
    )
    stream_id = rig.begin()
    rig.exchange()
    call = opened[0].call
    rig.connection.pause_writing()
    assert call.writable
    call.send(bytes(2000))
    assert [call.writable] == [False]
    reading = [rig.transport.reading]
    rig.connection.resume_writing()
    rig.exchange()
    assert [*reading, rig.transport.reading] == [False, True]
    assert opened[0].writable == 1
    assert rig.replies[stream_id].messages == [(0, bytes(2000))]


def test_a_cancelled_stream_tells_its_receiver() -> None:
    rig, opened = streaming()
    rig.begin()
    rig.exchange()
    rig.h2.reset_stream(1, 8)
    rig.exchange()
    assert opened[0].cancelled


def test_what_a_receiver_raises_ends_the_stream() -> None:
    def begin(call: GrpcCall) -> Received:
        raise GrpcError(GrpcStatus.PERMISSION_DENIED, "no")

    assert Rig({b"/t.Toy/Echo": Streaming(begin)}).call(ECHO).status == (7, "no")
    rig, opened = streaming()
    rig.begin()
    rig.exchange()
    opened[0].on_message = _raise  # type: ignore[method-assign]
    rig.h2.send_data(1, ECHO)
    rig.exchange()
    assert rig.replies[1].status == (9, "not so")


def _raise(content: Buffer) -> None:
    raise GrpcError(GrpcStatus.FAILED_PRECONDITION, "not so")


def test_a_stream_that_ends_within_a_message_fails() -> None:
    rig, opened = streaming()
    assert rig.call(ECHO + b"\0\0").status == (13, "the last message is cut short")
    assert not opened[0].half_closed


def test_a_client_of_http_1_is_told_so() -> None:
    rig = Rig({}, begun=False)
    rig.deliver(b"GET / HTTP/1.1\r\n\r\n")
    assert rig.transport.sent.endswith(b"the HTTP port answers HTTP/1.1\n")
    assert rig.transport.ended == "eof"


def test_the_end_of_a_client_that_breaks_rules_is_delayed_until_it_could_see_why() -> None:
    rig = echo()
    rig.deliver(frame(DATA, 0, 0, b"x"))
    rig.connection.get_buffer(-1)
    rig.connection.buffer_updated(100)
    assert [f.kind for f in rig.written()] == [GOAWAY]
    assert rig.transport.ended == "eof"
    rig.sweep(1)
    rig.connection.drain()
    assert rig.transport.ended == "eof"
    rig.sweep(2)
    assert rig.transport.ended == "closed"


def test_draining_waits_for_calls_and_then_closes() -> None:
    kept = Kept()
    rig = answer(kept.handle)
    rig.call(ECHO)
    rig.connection.drain()
    goaway, ping = rig.written()
    assert (goaway.kind, ping.kind) == (GOAWAY, PING)
    rig.deliver(frame(PING, ACK, 0, ping.payload))
    assert rig.transport.ended == ""
    kept.calls[0].respond(b"done")
    assert [f.kind for f in rig.written()] == [GOAWAY, HEADERS, DATA, HEADERS]
    assert rig.transport.ended == "closed"


def test_draining_closes_an_idle_connection_even_if_the_client_is_silent() -> None:
    rig = echo()
    rig.connection.drain()
    rig.sweep(1)
    assert rig.transport.ended == ""
    rig.sweep(5)
    assert rig.transport.ended == "closed"


def test_a_client_that_does_not_begin_is_cut() -> None:
    for begun, ended in ((True, ""), (False, "aborted")):
        rig = Rig({}, begun=begun)
        rig.sweep(11)
        assert rig.transport.ended == ended


def test_silent_clients_are_pinged_and_then_cut() -> None:
    rig = answer(Kept().handle, GrpcSettings(keepalive=KeepaliveRules(time_s=10, timeout_s=2)))
    rig.call(ECHO)
    rig.sweep(11)
    assert [f.kind for f in rig.written()] == [PING]
    rig.sweep(3)
    assert rig.transport.ended == "aborted"


def test_an_old_connection_is_ended_gracefully() -> None:
    rig = echo(GrpcSettings(keepalive=KeepaliveRules(max_age_s=60, max_age_grace_s=10)))
    rig.sweep(61)
    goaway, ping = rig.written()
    rig.deliver(frame(PING, ACK, 0, ping.payload))
    assert goaway.kind == GOAWAY
    assert rig.transport.ended == "closed"


def test_a_client_that_takes_nothing_is_cut() -> None:
    rig = echo()
    rig.transport.backlog = 100
    rig.sweep(1)
    rig.sweep(59)
    assert rig.transport.ended == ""
    rig.sweep(2)
    assert rig.transport.ended == "aborted"


def test_a_stop_asks_streaming_calls_to_end_and_an_age_does_not() -> None:
    rig, opened = streaming()
    stream_id = rig.begin()
    rig.exchange()
    asked: list[int] = []
    opened[0].call.on_stop = lambda: asked.append(stream_id)
    rig.connection.drain()
    assert asked == []
    rig.connection.stop()
    assert asked == [stream_id]


def test_a_receiver_that_fails_to_stop_ends_its_stream() -> None:
    rig, opened = streaming()
    rig.begin()
    rig.exchange()
    opened[0].call.on_stop = lambda: _raise(b"")
    rig.connection.stop()
    assert opened[0].call.over
