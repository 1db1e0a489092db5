from __future__ import annotations

import pytest
from hpack.hpack import Decoder, Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.http2.peers import LIMITS, REQUEST
from tritium.http2.errors import Http2Code, Http2ConnectionError
from tritium.http2.header_rules import Field, MalformedError
from tritium.http2.headers import HeaderDecoder, ReplyBlocks, encode_fields
from tritium.http2.limits import Http2Limits

NAMES = st.sampled_from([b"alpha", b"beta", b"user-agent", b"te-x"])
VALUES = st.sampled_from([b"", b"1", b"2", b"v" * 900, b"w" * 4100])
Act = tuple[list[tuple[bytes, bytes, bool]], str]
FIELDS = st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=4)


def decoder(limits: Http2Limits = LIMITS) -> HeaderDecoder:
    return HeaderDecoder(limits)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(FIELDS, st.sampled_from(["request", "skip", "resize"])), max_size=30))
def test_every_block_is_read_as_without_a_memory(
    acts: list[Act],
) -> None:
    encoder, plain, ours = Encoder(), Decoder(), decoder()
    for fields, act in acts:
        if act == "resize":
            encoder.header_table_size = 4096 if encoder.header_table_size == 0 else 0
        block = encoder.encode([*[(n, v, False) for n, v in REQUEST], *fields])
        expected = tuple((field[0], field[1]) for field in plain.decode(block, raw=True))
        if act == "skip":
            ours.skip(block)
        else:
            headers = ours.request(block)
            assert (headers.path, headers.fields) == (b"/p", expected[4:])


def test_a_block_that_repeats_is_read_once() -> None:
    encoder, ours = Encoder(), decoder()
    first, second, third = (ours.request(encoder.encode(REQUEST)) for _ in range(3))
    assert second is third
    assert first is not second
    assert first.path == second.path


def test_a_block_means_something_else_once_the_table_has_changed() -> None:
    ours = decoder()
    start = encode_fields(REQUEST)
    ours.skip(b"\x40\x01a\x011")
    assert ours.request(start + b"\xbe").fields == ((b"a", b"1"),)
    ours.skip(b"\x40\x01a\x012")
    assert ours.request(start + b"\xbe").fields == ((b"a", b"2"),)
    ours.skip(b"\x20")
    with pytest.raises(Http2ConnectionError):
        ours.request(start + b"\xbe")


def test_the_memory_is_bounded() -> None:
    ours = decoder()
    for number in range(1000):
        ours.request(encode_fields([*REQUEST, (b"n", b"%d" % number)]))
    again = encode_fields([*REQUEST, (b"n", b"0")])
    assert ours.request(again) is ours.request(again)


def test_a_list_beyond_the_announced_limit_is_marked() -> None:
    limits = Http2Limits(max_header_list_bytes=500, max_header_block_bytes=1000)
    assert not decoder(limits).request(encode_fields([*REQUEST, (b"n", b"x" * 200)])).oversized
    assert decoder(limits).request(encode_fields([*REQUEST, (b"n", b"x" * 400)])).oversized
    with pytest.raises(Http2ConnectionError) as caught:
        decoder(limits).request(encode_fields([*REQUEST, (b"n", b"x" * 900)]))
    assert caught.value.code is Http2Code.ENHANCE_YOUR_CALM


def test_a_malformed_list_is_refused_every_time() -> None:
    ours = decoder()
    for _ in range(3):
        with pytest.raises(MalformedError, match="method"):
            ours.request(b"\x84")


def test_trailers_are_fields_without_pseudo_headers() -> None:
    assert decoder().trailers(encode_fields([(b"a", b"b")])) == ((b"a", b"b"),)
    with pytest.raises(MalformedError):
        decoder().trailers(encode_fields([(b":path", b"/")]))


@given(st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=300))))
def test_what_is_encoded_is_decoded_by_hpack(fields: list[Field]) -> None:
    decoded = Decoder(max_header_list_size=1 << 20).decode(encode_fields(fields), raw=True)
    assert [(field[0], field[1]) for field in decoded] == fields


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(block: bytes) -> None:
    ours = decoder()
    for read in (ours.request, ours.trailers, ours.skip):
        try:
            read(block)
        except (Http2ConnectionError, MalformedError):
            continue


def test_a_reply_that_repeats_means_the_same_in_a_byte_for_each_field() -> None:
    headers = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"long", b"x" * 200)]
    trailers = [(b"grpc-status", b"0")]
    blocks, plain = ReplyBlocks(headers, trailers), Decoder()
    for sent in (blocks.literal, blocks.first, blocks.later, blocks.later):
        assert [plain.decode(block, raw=True) for block in sent] == [headers, trailers]
    assert [len(block) for block in blocks.later] == [3, 1]
