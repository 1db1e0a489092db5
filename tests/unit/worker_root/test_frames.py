from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritium_worker import frames
from tritium_worker.frames import FrameReader, Part

PARTS: list[Part] = [
    (b"[[],[]]", b"", (), [], 0),
    (b"spec", b'{"id":"q"}', (), [b"abc", bytearray(b"de"), memoryview(b"f")], 65535),
    (b"spec", b"", (-1, 0, 1 << 40), [b"xyz"], 3),
]


def joined(part: Part) -> tuple[bytes, bytes, tuple[int, ...], bytes, int]:
    spec, meta, places, inline, slot = part
    return spec, meta, tuple(places), b"".join(map(bytes, inline)), slot


def read(reader: FrameReader, chunks: list[bytes]) -> list[tuple[int, bytes]]:
    return [(kind, bytes(body)) for chunk in chunks for kind, body in reader.feed(memoryview(chunk))]


@pytest.mark.parametrize("times", [None, frames.TIMES.pack(1, 2, 3)])
@pytest.mark.parametrize("parts", [[], PARTS[:1], PARTS])
def test_a_batch_is_read_as_it_was_written(parts: list[Part], times: bytes | None) -> None:
    raw = b"".join(map(bytes, frames.encode_batch(frames.EXECUTE, 0xFFFFFFFF, parts, times)))
    ((kind, body),) = FrameReader().feed(memoryview(raw))
    assert kind == frames.EXECUTE
    assert frames.BATCH.unpack_from(body) == (0xFFFFFFFF, len(parts))
    position = frames.BATCH.size
    if times is not None:
        assert bytes(body[position : position + frames.TIMES.size]) == times
        position += frames.TIMES.size
    found = frames.decode_parts(body, position, len(parts))
    assert [(s, m, p, bytes(i), slot) for s, m, p, i, slot in found] == [joined(part) for part in parts]


def test_inline_bytes_are_a_view_of_the_frame() -> None:
    body = bytearray(
        b"".join(map(bytes, frames.encode_batch(frames.RESULT, 1, PARTS[1:2])))[frames.HEAD.size :]
    )
    ((_, _, _, inline, _),) = frames.decode_parts(memoryview(body), frames.BATCH.size, 1)
    body[-1:] = b"!"
    assert bytes(inline) == b"abcde!"


def test_a_part_that_is_cut_short_is_an_error() -> None:
    with pytest.raises(struct.error):
        frames.decode_parts(memoryview(b"\0" * 10), 0, 1)


@pytest.mark.parametrize("offsets", [(), (0,), (0, 65536, 1 << 40)])
def test_released_blocks_are_read_as_they_were_written(offsets: tuple[int, ...]) -> None:
    ((kind, body),) = FrameReader().feed(memoryview(frames.encode_release(offsets)))
    assert kind == frames.RELEASE
    assert frames.decode_release(body) == offsets


def stream_of(bodies: list[bytes]) -> bytes:
    return b"".join(frames.HEAD.pack(len(body), 1 + index % 200) + body for index, body in enumerate(bodies))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=6), st.lists(st.integers(0, 200), max_size=10))
def test_frames_are_cut_the_same_whatever_pieces_they_come_in(bodies: list[bytes], cuts: list[int]) -> None:
    raw = stream_of(bodies)
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    chunks = [raw[a:b] for a, b in pairwise(edges)]
    assert read(FrameReader(), chunks) == [(1 + i % 200, body) for i, body in enumerate(bodies)]


def test_frames_can_come_one_byte_at_a_time() -> None:
    bodies = [b"", b"a", b"bc" * 20]
    chunks = [bytes([byte]) for byte in stream_of(bodies)]
    assert read(FrameReader(), chunks) == [(1 + i, body) for i, body in enumerate(bodies)]


def test_bodies_of_whole_frames_are_views_of_what_was_received() -> None:
    received = bytearray(stream_of([b"abc"]))
    ((_, body),) = FrameReader().feed(memoryview(received))
    received[-1:] = b"!"
    assert bytes(body) == b"ab!"


def test_nothing_comes_out_of_half_a_frame() -> None:
    reader = FrameReader()
    assert read(reader, [stream_of([b"abc"])[:-1]]) == []
    assert read(reader, [b"c"]) == [(1, b"abc")]
