from __future__ import annotations

import h2.events
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.http2.peers import (
    DONE_BLOCK,
    OK_BLOCK,
    OK_REPLY,
    REQUEST,
    REQUEST_BLOCK,
    H2Client,
    Noted,
    Server,
    consume,
    echo,
    frame,
)
from tritium.http2.errors import Http2Code
from tritium.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from tritium.http2.headers import ReplyBlocks, encode_fields
from tritium.http2.limits import Http2Limits

GET = frame(HEADERS, END_HEADERS | END_STREAM, 1, REQUEST_BLOCK)


def test_a_request_of_h2_is_answered() -> None:
    client = H2Client(Server(settled=False))
    client.h2.send_headers(1, REQUEST)
    client.h2.send_data(1, b"hello", end_stream=True)
    client.exchange()
    assert client.body(1) == b"hello"
    assert client.has(h2.events.TrailersReceived, 1)
    assert client.has(h2.events.StreamEnded, 1)
    assert client.server.connection.open_streams == 0


def test_the_first_frames_announce_the_limits() -> None:
    limits = Http2Limits(max_concurrent_streams=7, max_frame_bytes=1 << 17)
    client = H2Client(Server(limits=limits, settled=False))
    client.exchange()
    assert client.h2.remote_settings.max_concurrent_streams == 7
    assert client.h2.max_outbound_frame_size == 1 << 17
    assert client.h2.outbound_flow_control_window == limits.connection_window_bytes


def test_a_conversation_works_one_byte_at_a_time() -> None:
    client = H2Client(Server(settled=False))
    client.h2.send_headers(1, [*REQUEST, (b"long", b"x" * 3000)])
    client.h2.send_data(1, b"hello" * 100, pad_length=20)
    client.h2.send_headers(1, [(b"trailer", b"t")], end_stream=True)
    client.exchange(step=1)
    assert client.body(1) == b"hello" * 100
    assert client.server.requests[1].stream.trailers == ((b"trailer", b"t"),)


def test_a_large_body_flows_through_the_windows_in_both_directions() -> None:
    limits = Http2Limits(stream_window_bytes=50_000, connection_window_bytes=70_000)
    server = Server(limits=limits, settled=False)
    client = H2Client(server)
    client.h2.send_headers(1, REQUEST)
    client.exchange()
    body = bytes(range(256)) * 4000
    noted, sent = server.requests[1], 0
    while sent < len(body):
        size = min(
            client.h2.local_flow_control_window(1), client.h2.max_outbound_frame_size, len(body) - sent
        )
        assert size > 0, "the window was not given back"
        client.h2.send_data(1, body[sent : sent + size], end_stream=sent + size == len(body))
        sent += size
        client.exchange()
        noted.stream.consumed(size)
        client.listen()
    client.exchange()
    assert client.body(1) == body
    assert client.has(h2.events.StreamEnded, 1)


def test_what_nobody_consumes_is_not_given_back() -> None:
    limits = Http2Limits(stream_window_bytes=50_000)
    client = H2Client(Server(limits=limits, settled=False))
    client.h2.send_headers(1, REQUEST)
    client.exchange()
    for _ in range(4):
        client.h2.send_data(1, b"x" * 12_500)
        client.exchange()
    assert client.h2.local_flow_control_window(1) == 0


def test_a_long_piece_is_received_in_its_place_beyond_the_window() -> None:
    limits = Http2Limits(stream_window_bytes=100_000, max_frame_bytes=1 << 20)
    server = Server(consume, limits)
    server.receive(frame(HEADERS, END_HEADERS, 1, REQUEST_BLOCK))
    stream, body = server.requests[1].stream, bytes(range(256)) * 1000
    target = bytearray(len(body))
    stream.receive_into(memoryview(target))
    (update,) = server.frames()
    assert (update.kind, update.stream_id, update.payload) == (
        WINDOW_UPDATE,
        1,
        (len(body) - 100_000).to_bytes(4, "big"),
    )
    connection, data = server.connection, frame(DATA, END_STREAM, 1, body)
    assert connection.space() is None
    server.receive(data[:50_009])
    space = connection.space()
    assert space is not None
    assert len(space) == len(body) - 50_000
    space[:1000] = data[50_009:51_009]
    connection.received(space[:1000], 0.0)
    server.receive(data[51_009:])
    assert target == body
    assert server.requests[1].ended
    assert server.requests[1].body == b""


def test_what_follows_a_filled_target_reaches_the_listener() -> None:
    server = Server(consume)
    server.receive(frame(HEADERS, END_HEADERS, 1, REQUEST_BLOCK))
    noted, target = server.requests[1], bytearray(4)
    noted.stream.receive_into(memoryview(target))
    server.receive(frame(DATA, 0, 1, b"ab"))
    assert noted.pieces == 0
    server.receive(frame(DATA, 0, 1, b"cdEF"))
    assert (bytes(target), bytes(noted.body), noted.pieces) == (b"abcd", b"EF", 2)


def test_the_end_of_a_body_tells_how_much_of_the_target_is_missing() -> None:
    missing: list[int] = []
    server = Server(lambda noted: missing.append(len(noted.stream.target or b"")))
    server.receive(frame(HEADERS, END_HEADERS, 1, REQUEST_BLOCK))
    server.requests[1].stream.receive_into(memoryview(bytearray(10)))
    server.receive(frame(DATA, END_STREAM, 1, b"1234"))
    assert missing == [6]


def test_an_extra_window_for_a_long_piece_is_not_given_back_a_second_time() -> None:
    server = Server(consume, Http2Limits(stream_window_bytes=70_000))
    server.receive(frame(HEADERS, END_HEADERS, 1, REQUEST_BLOCK))
    stream = server.requests[1].stream
    stream.receive_into(memoryview(bytearray(100_000)))
    assert stream.recv_window == 100_000
    server.receive(frame(DATA, 0, 1, b"x" * 100_000))
    stream.consumed(100_000)
    assert stream.recv_window == 70_000


def test_replies_wait_for_the_clients_window_and_a_slow_stream_says_when_it_can_go_on() -> None:
    limits = Http2Limits(send_high_water_bytes=1000, send_low_water_bytes=100)
    server = Server(consume, limits)
    server.receive(GET)
    noted = server.requests[1]
    noted.stream.send_headers(OK_BLOCK)
    noted.stream.send_data(b"x" * 65_535, b"y" * 1000)
    assert noted.stream.writable
    noted.stream.send_data(b"y")
    assert [noted.stream.writable] == [False]
    noted.stream.send_trailers(DONE_BLOCK)
    server.receive(frame(WINDOW_UPDATE, 0, 1, (10_000).to_bytes(4, "big")))
    assert noted.writable_calls == []
    assert sum(len(f.payload) for f in server.frames() if f.kind == DATA) == 65_535
    server.receive(frame(WINDOW_UPDATE, 0, 0, (900).to_bytes(4, "big")))
    assert noted.writable_calls == []
    server.receive(frame(WINDOW_UPDATE, 0, 0, (1).to_bytes(4, "big")))
    assert noted.writable_calls == [100]
    server.receive(frame(WINDOW_UPDATE, 0, 0, (100).to_bytes(4, "big")))
    sent = server.frames()
    assert b"".join(f.payload for f in sent if f.kind == DATA) == b"y" * 1001
    assert (sent[-1].kind, sent[-1].flags) == (HEADERS, END_HEADERS | END_STREAM)
    assert server.connection.open_streams == 0


def test_streams_that_wait_for_the_connections_window_take_turns() -> None:
    server = Server(consume)
    server.receive(frame(SETTINGS, 0, 0, b"\0\x04\0\x10\0\0"))
    for stream_id in (1, 3, 5):
        server.receive(frame(HEADERS, END_HEADERS | END_STREAM, stream_id, REQUEST_BLOCK))
        server.requests[stream_id].stream.send_data(b"x" * 200_000)
    server.output()
    server.receive(frame(WINDOW_UPDATE, 0, 0, (16_384 * 4).to_bytes(4, "big")))
    assert [f.stream_id for f in server.frames()] == [1, 3, 5, 1]


def test_no_data_is_sent_while_the_transport_is_full() -> None:
    server = Server(consume)
    server.receive(GET)
    server.connection.hold(True)
    server.requests[1].stream.send_response(OK_REPLY, (b"body",))
    assert [f.kind for f in server.frames()] == [HEADERS]
    server.connection.hold(False)
    assert [f.kind for f in server.frames()] == [DATA, HEADERS]


def test_a_reply_before_the_end_of_the_request_tells_the_client_to_stop() -> None:
    server = Server(consume)
    server.receive(frame(HEADERS, END_HEADERS, 1, REQUEST_BLOCK))
    server.requests[1].stream.send_response(OK_REPLY, (b"enough",))
    assert server.reset_code() is Http2Code.NO_ERROR
    server.receive(frame(DATA, END_STREAM, 1, b"late"))
    server.receive(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"))
    assert server.connection.error is None
    assert server.frames() == []


def test_a_reset_by_the_client_reaches_the_application_and_drops_what_is_unsent() -> None:
    server = Server(consume)
    server.receive(GET)
    noted = server.requests[1]
    noted.stream.send_data(b"x" * 100_000)
    server.output()
    server.receive(frame(RST_STREAM, 0, 1, b"\0\0\0\x08"))
    assert noted.reset == Http2Code.CANCEL
    server.receive(frame(WINDOW_UPDATE, 0, 0, b"\0\1\0\0"))
    noted.stream.send_data(b"late")
    noted.stream.send_trailers(DONE_BLOCK)
    assert server.frames() == []


def test_a_reset_by_the_application_is_sent_and_forgotten() -> None:
    server = Server(consume)
    server.receive(GET)
    noted = server.requests[1]
    noted.stream.reset(Http2Code.INTERNAL_ERROR)
    noted.stream.reset(Http2Code.INTERNAL_ERROR)
    assert [f.code for f in server.frames() if f.kind == RST_STREAM] == [Http2Code.INTERNAL_ERROR]
    assert noted.reset is None


def test_a_lost_connection_resets_every_stream() -> None:
    server = Server(consume)
    server.receive(GET + frame(HEADERS, END_HEADERS, 3, REQUEST_BLOCK))
    server.connection.lost()
    assert [noted.reset for noted in server.requests.values()] == [Http2Code.CANCEL, Http2Code.CANCEL]
    assert server.connection.finished


def test_a_ping_is_answered() -> None:
    server = Server()
    server.receive(frame(PING, 0, 0, b"12345678"))
    (answer,) = server.frames()
    assert (answer.kind, answer.flags, answer.payload) == (PING, 1, b"12345678")


def test_a_window_of_settings_applies_to_open_streams_too() -> None:
    server = Server(consume)
    server.receive(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x0a") + GET)
    stream = server.requests[1].stream
    stream.send_data(b"x" * 30)
    assert [len(f.payload) for f in server.frames() if f.kind == DATA] == [10]
    server.receive(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x04"))
    assert stream.send_window == -6
    server.receive(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x14"))
    assert [len(f.payload) for f in server.frames() if f.kind == DATA] == [10]


def test_a_client_that_forbids_the_header_table_is_obeyed() -> None:
    client = H2Client(Server(settled=False))
    client.h2.update_settings({1: 0})
    for stream_id in (1, 3):
        client.h2.send_headers(stream_id, REQUEST, end_stream=True)
    client.exchange()
    assert client.has(h2.events.StreamEnded, 1)
    assert client.has(h2.events.StreamEnded, 3)


def header_bytes(server: Server, stream_id: int) -> int:
    """Answer a request: how long the header blocks of the reply are together."""
    server.receive(frame(HEADERS, END_HEADERS | END_STREAM, stream_id, REQUEST_BLOCK))
    return sum(len(f.payload) for f in server.frames() if f.kind == HEADERS)


def test_headers_of_replies_are_named_in_a_byte_from_the_second_one_on() -> None:
    server = Server()
    assert [header_bytes(server, stream_id) for stream_id in (1, 3, 5)] == [9, 2, 2]


def test_headers_are_spelled_out_again_when_the_client_forbids_the_header_table() -> None:
    client = H2Client(Server(settled=False))
    for stream_id, table_bytes in ((1, 4096), (3, 4096), (5, 0), (7, 0), (9, 4096)):
        if client.h2.local_settings.header_table_size != table_bytes:
            client.h2.update_settings({1: table_bytes})
        client.h2.send_headers(stream_id, REQUEST, end_stream=True)
        client.exchange()
        (response,) = [
            e for e in client.events if isinstance(e, h2.events.ResponseReceived) and e.stream_id == stream_id
        ]
        assert response.headers is not None
        assert [*response.headers] == [(b":status", b"200")]
        assert client.has(h2.events.TrailersReceived, stream_id)
    assert header_bytes(client.server, 11) == len(OK_BLOCK + DONE_BLOCK)


def test_a_second_kind_of_reply_is_spelled_out() -> None:
    other = ReplyBlocks([(b":status", b"200"), (b"other", b"1")], [(b"done", b"2")])
    server = Server(lambda noted: noted.stream.send_response(other, (b"",)))
    server.answer, answer_other = echo, server.answer
    assert [header_bytes(server, stream_id) for stream_id in (1, 3)] == [9, 2]
    server.answer = answer_other
    assert [header_bytes(server, stream_id) for stream_id in (5, 7)] == [sum(map(len, other.literal))] * 2


def test_what_a_wider_window_lets_go_obeys_the_other_settings_of_its_frame() -> None:
    client = H2Client(Server(settled=False))
    client.h2.update_settings({4: 0})
    client.h2.send_headers(1, REQUEST)
    client.h2.send_data(1, b"x", end_stream=True)
    client.exchange()
    client.h2.update_settings({4: 1000, 1: 0})
    client.exchange()
    assert client.body(1) == b"x"
    assert client.has(h2.events.StreamEnded, 1)


def test_a_long_header_block_is_sent_in_frames_that_the_client_takes() -> None:
    block = encode_fields([(b":status", b"200"), (b"long", b"x" * 40_000)])
    client = H2Client(Server(lambda noted: noted.stream.send_headers(block, end=True), settled=False))
    client.h2.send_headers(1, REQUEST, end_stream=True)
    client.exchange()
    (response,) = [e for e in client.events if isinstance(e, h2.events.ResponseReceived)]
    assert response.headers is not None
    assert dict(response.headers)[b"long"] == b"x" * 40_000


def test_shutting_down_finishes_what_was_sent_before_the_client_knew() -> None:
    server = Server(consume)
    server.receive(GET)
    server.connection.shut_down()
    first, ping = server.frames()
    assert (first.kind, first.payload[:4]) == (GOAWAY, b"\x7f\xff\xff\xff")
    server.receive(frame(HEADERS, END_HEADERS | END_STREAM, 3, REQUEST_BLOCK))
    server.receive(frame(PING, 1, 0, ping.payload))
    (final,) = server.frames()
    assert (final.kind, final.payload[:8]) == (GOAWAY, b"\0\0\0\3\0\0\0\0")
    server.receive(frame(HEADERS, END_HEADERS | END_STREAM, 5, REQUEST_BLOCK))
    assert server.reset_code() is Http2Code.REFUSED_STREAM
    finished = []
    for stream_id in (1, 3):
        server.requests[stream_id].stream.send_response(OK_REPLY, (b"",))
        finished.append(server.connection.finished)
    assert finished == [False, True]


def test_shutting_down_twice_does_not_wait_for_the_client() -> None:
    server, finished = Server(), []
    for _ in range(2):
        server.connection.shut_down()
        finished.append(server.connection.finished)
    assert finished == [False, True]
    assert [f.kind for f in server.frames()] == [GOAWAY, PING, GOAWAY]


def test_priority_and_unknown_frames_are_ignored() -> None:
    server = Server()
    server.receive(frame(2, 0, 9, b"\0\0\0\0\1") + frame(0x42, 0xFF, 9, b"x" * 50_000) + GET, step=1000)
    assert server.connection.error is None
    assert server.requests[1].ended


def test_no_more_requests_are_taken_than_were_allowed() -> None:
    server = Server(consume, Http2Limits(max_concurrent_streams=1))
    server.receive(GET + frame(HEADERS, END_HEADERS | END_STREAM, 3, REQUEST_BLOCK))
    assert server.reset_code() is Http2Code.REFUSED_STREAM
    server.requests[1].stream.send_response(OK_REPLY, (b"",))
    server.receive(frame(HEADERS, END_HEADERS | END_STREAM, 5, REQUEST_BLOCK))
    assert [*server.requests] == [1, 5]


def test_what_comes_after_the_end_of_the_connection_is_ignored() -> None:
    server = Server()
    server.receive(frame(DATA, 0, 0, b"x") + GET)
    server.receive(GET)
    assert server.connection.finished
    assert server.requests == {}


def test_the_preface_may_come_in_pieces_with_the_first_request() -> None:
    server = Server(settled=False)
    server.receive(PREFACE + frame(SETTINGS) + GET, step=7)
    assert server.requests[1].ended


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 16_384, 16_385, 70_000])
def test_bodies_of_any_size_come_back(size: int) -> None:
    client = H2Client(Server(settled=False, limits=Http2Limits(max_frame_bytes=16_384)))
    client.h2.send_headers(1, REQUEST)
    client.exchange()
    body = bytes(size)
    for start in range(0, size, 16_384):
        client.h2.send_data(1, body[start : start + 16_384])
    client.h2.end_stream(1)
    client.exchange()
    assert client.body(1) == body


class Conversation:
    """What h2 does next, as hypothesis draws it."""

    def __init__(self, client: H2Client, data: st.DataObject) -> None:
        self.client, self.data = client, data
        self.open: dict[int, bytearray] = {}
        self.done: dict[int, bytes] = {}
        self.reset: set[int] = set()

    def step(self) -> None:
        """One legal act."""
        acts = [self.begin, self.ping, self.settings]
        if self.open:
            acts += [self.send] * 4 + [self.end, self.end_with_trailers, self.cancel]
        self.data.draw(st.sampled_from(acts))()

    def begin(self) -> None:
        stream_id = self.client.h2.get_next_available_stream_id()
        extra = self.data.draw(
            st.lists(st.tuples(st.sampled_from([b"k", b"longer-key"]), st.binary(max_size=9)))
        )
        fields = [(name, value.hex().encode()) for name, value in extra]
        priority = self.data.draw(st.sampled_from([None, 7]))
        self.client.h2.send_headers(stream_id, [*REQUEST, *fields], priority_weight=priority)
        self.open[stream_id] = bytearray()
        request = self.client.server.requests
        self.client.exchange(self.chunk())
        assert request[stream_id].stream.headers.fields == tuple(fields)

    def chunk(self) -> int | None:
        return self.data.draw(st.sampled_from([None, None, 1, 5, 100]))

    def pick(self) -> int:
        return self.data.draw(st.sampled_from(sorted(self.open)))

    def send(self) -> None:
        stream_id = self.pick()
        body = self.data.draw(st.binary(max_size=300)) * self.data.draw(st.sampled_from([1, 60]))
        padding = self.data.draw(st.sampled_from([None, 0, 1, 255]))
        room = self.client.h2.local_flow_control_window(stream_id) - 256
        body = body[: max(0, min(room, self.client.h2.max_outbound_frame_size - 256))]
        self.client.h2.send_data(stream_id, body, pad_length=padding)
        self.open[stream_id] += body
        self.client.exchange(self.chunk())
        self.client.server.requests[stream_id].stream.consumed(len(body))
        self.client.listen()

    def end(self) -> None:
        stream_id = self.pick()
        self.client.h2.end_stream(stream_id)
        self.done[stream_id] = bytes(self.open.pop(stream_id))
        self.client.exchange(self.chunk())

    def end_with_trailers(self) -> None:
        stream_id = self.pick()
        self.client.h2.send_headers(stream_id, [(b"x", b"y")], end_stream=True)
        self.done[stream_id] = bytes(self.open.pop(stream_id))
        self.client.exchange(self.chunk())

    def cancel(self) -> None:
        stream_id = self.pick()
        self.client.h2.reset_stream(stream_id, 8)
        del self.open[stream_id]
        self.reset.add(stream_id)
        self.client.exchange(self.chunk())

    def ping(self) -> None:
        self.client.server.now_s += 10_000
        self.client.h2.ping(b"abcdefgh")
        self.client.exchange(self.chunk())

    def settings(self) -> None:
        self.client.server.now_s += 10_000
        window = self.data.draw(st.sampled_from([0, 1000, 65_535, 1 << 20]))
        frame_size = self.data.draw(st.sampled_from([16_384, 20_000]))
        self.client.h2.update_settings(
            {4: window, 5: frame_size, 1: self.data.draw(st.sampled_from([0, 4096]))}
        )
        self.client.exchange(self.chunk())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_legal_conversation_of_h2_is_answered(data: st.DataObject) -> None:
    client = H2Client(Server(settled=False, limits=Http2Limits(stream_window_bytes=70_000)))
    conversation = Conversation(client, data)
    for _ in range(data.draw(st.integers(1, 25))):
        conversation.step()
    client.h2.update_settings({4: 1 << 24})
    client.exchange()
    client.h2.increment_flow_control_window(1 << 24)
    client.exchange()
    assert client.server.connection.error is None
    for stream_id, body in conversation.done.items():
        assert client.body(stream_id) == body
        assert client.has(h2.events.StreamEnded, stream_id)
    for stream_id in conversation.reset:
        assert client.server.requests[stream_id].reset == Http2Code.CANCEL
    assert client.server.connection.open_streams == len(conversation.open)


def test_a_listener_that_answers_at_once_gets_no_body() -> None:
    answered: list[Noted] = []
    server = Server(answered.append)
    server.receive(GET)
    server.receive(frame(HEADERS, END_HEADERS, 3, REQUEST_BLOCK))
    server.requests[3].stream.send_headers(OK_BLOCK, end=True)
    server.receive(frame(DATA, END_STREAM, 3, b"x"))
    assert [noted.stream.id for noted in answered] == [1]
