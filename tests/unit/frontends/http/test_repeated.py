from __future__ import annotations

from tritium.frontends.http.head import RequestHead
from tritium.frontends.http.repeated import RepeatedRequest, new_buffer

RAW = b"POST /m HTTP/1.1\r\nContent-Length: 5\r\n\r\n"


def repeated() -> RepeatedRequest:
    return RepeatedRequest(RAW, RequestHead(b"POST", "/m", {}, http_1_0=False, keep_alive=True, length=5))


def test_there_is_space_for_the_request_and_no_more() -> None:
    assert len(repeated().space()) == len(RAW) + 5


def test_the_body_is_received_where_it_stays() -> None:
    expected = repeated()
    space = expected.space()
    space[:] = RAW + b"01234"
    _, body = expected.take(len(space))
    assert body is not None
    space[-1:] = b"!"
    assert bytes(body) == b"0123!"


def test_a_body_may_come_in_part() -> None:
    expected = repeated()
    expected.space()[: len(RAW) + 2] = RAW + b"01"
    piece, body = expected.take(len(RAW) + 2)
    assert bytes(piece) == RAW + b"01"
    assert body is not None
    assert len(body) == 5


def test_another_request_is_not_taken_for_it() -> None:
    expected = repeated()
    other = RAW.replace(b"/m", b"/n")
    expected.space()[: len(other)] = other
    piece, body = expected.take(len(other))
    assert (bytes(piece), body) == (other, None)
    expected.space()[:3] = RAW[:3]
    piece, body = expected.take(3)
    assert (bytes(piece), body) == (RAW[:3], None)


def test_each_request_has_memory_of_its_own() -> None:
    expected = repeated()
    first = expected.space()
    expected.take(0)
    assert expected.space() is not first


def test_a_new_buffer_can_be_written() -> None:
    buffer = new_buffer(3)
    buffer[:] = b"abc"
    assert buffer.tobytes() == b"abc"
