"""What the fuzz tests and the long fuzz run have in common."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.unit.http2.peers import DONE_BLOCK, REQUEST_BLOCK, Noted, Server, echo, frame, parse
from tritium.http2.frames import GOAWAY
from tritium.http2.limits import Http2Limits

LIMITS = Http2Limits(
    max_concurrent_streams=4,
    max_frame_bytes=16_384,
    stream_window_bytes=500,
    connection_window_bytes=70_000,
    send_high_water_bytes=100,
    send_low_water_bytes=10,
)

_WORDS = st.sampled_from([0, 1, 8, 255, 65_535, (1 << 31) - 1, (1 << 32) - 1]).map(
    lambda n: n.to_bytes(4, "big")
)
_SETTING = st.tuples(st.integers(0, 8).map(lambda n: n.to_bytes(2)), _WORDS).map(b"".join)
_BLOCKS = st.one_of(
    st.sampled_from(
        [
            REQUEST_BLOCK,
            REQUEST_BLOCK,
            DONE_BLOCK,
            b"\x82\x86\x84\x41\x01a",
            b"\xbe",
            b"\x20",
            b"\x3f\xe1\x1f",
        ]
    ),
    st.binary(max_size=40),
)
_PAYLOADS = st.one_of(
    _BLOCKS, _WORDS, st.lists(_SETTING, max_size=3).map(b"".join), st.binary(max_size=30), st.just(bytes(8)),
    st.integers(0, 600).map(bytes),
)  # fmt: skip
_KINDS = st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 200])
_FLAGS = st.sampled_from([0, 0, 1, 4, 4, 5, 5, 5, 8, 9, 0x24, 0x2D, 0xFF])
_IDS = st.sampled_from([0, 1, 1, 3, 3, 5, 7, 9, 2, 0x7FFFFFFF, 0xFFFFFFFF])
_FITTING = st.one_of(
    st.tuples(st.just(1), st.sampled_from([4, 5]), _IDS, st.just(REQUEST_BLOCK)),
    st.tuples(st.just(0), st.sampled_from([0, 1]), _IDS, st.integers(0, 600).map(bytes)),
    st.tuples(st.just(8), st.just(0), _IDS, _WORDS),
    st.tuples(st.just(4), st.just(0), st.just(0), st.lists(_SETTING, max_size=3).map(b"".join)),
)

FRAMES = st.one_of(_FITTING, _FITTING, st.tuples(_KINDS, _FLAGS, _IDS, _PAYLOADS)).map(lambda f: frame(*f))


@st.composite
def plausible(draw: st.DrawFn) -> list[bytes]:
    """Frames of a client that mostly keeps the rules: requests that begin, go on and end."""
    frames: list[bytes] = []
    begun: list[int] = []
    for _ in range(draw(st.integers(1, 40))):
        act = draw(st.integers(0, 9))
        if act <= 2 or not begun:
            begun.append(2 * len(begun) + 1)
            block = draw(
                st.sampled_from([REQUEST_BLOCK, REQUEST_BLOCK + b"\x40\x01a\x01b", REQUEST_BLOCK + b"\xbe"])
            )
            frames.append(frame(1, draw(st.sampled_from([4, 5])), begun[-1], block))
        elif act <= 5:
            size = draw(st.integers(0, 200))
            frames.append(
                frame(0, draw(st.sampled_from([0, 0, 1])), draw(st.sampled_from(begun)), bytes(size))
            )
        elif act == 6:
            frames.append(frame(8, 0, draw(st.sampled_from([0, *begun])), draw(_WORDS)))
        elif act == 7:
            frames.append(frame(3, 0, draw(st.sampled_from(begun)), b"\0\0\0\x08"))
        elif act == 8:
            frames.append(frame(4, 0, 0, draw(st.lists(_SETTING, max_size=2).map(b"".join))))
        else:
            frames.append(draw(FRAMES))
    return frames


def mutated(data: bytes, draw: st.DataObject) -> bytes:
    """``data`` with up to four bytes changed."""
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        changed[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    return bytes(changed)


def _answer(noted: Noted) -> None:
    assert noted.stream.receiving is False
    if noted.stream.writable:
        echo(noted)
    else:
        noted.stream.reset()


def check_session(data: bytes, step: int) -> int:
    """Give a connection all of ``data`` and check what must hold always: how many requests it became."""
    server = Server(_answer, LIMITS, settled=False)
    for start in range(0, len(data), step):
        server.receive(data[start : start + step])
        assert server.connection.open_streams <= LIMITS.max_concurrent_streams
    written = parse(server.output())
    assert all(len(f.payload) <= (1 << 24) - 1 for f in written)
    connection = server.connection
    if connection.error is not None:
        assert connection.finished
        assert written[-1].kind == GOAWAY
        assert written[-1].code == connection.error.code
        assert connection.open_streams == 0
    for noted in server.requests.values():
        assert len(noted.body) <= LIMITS.stream_window_bytes
    connection.lost()
    assert connection.open_streams == 0
    assert connection.take_output() == []
    return len(server.requests)
