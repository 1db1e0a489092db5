"""RFC 7541 as ``hpack`` reads it, which is the independent peer here."""

from __future__ import annotations

import pytest
from hpack.exceptions import HPACKError
from hpack.hpack import Decoder, Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from tritium.http2.errors import Http2Code, Http2ConnectionError
from tritium.http2.header_rules import Field
from tritium.http2.hpack_decoder import HpackDecoder

_LIMIT = 1 << 16
_NAMES = st.one_of(st.sampled_from([b":path", b"te", b"cookie", b"own"]), st.binary(max_size=20))
_VALUES = st.one_of(st.sampled_from([b"", b"/", b"v" * 300, b"w" * 4080]), st.binary(max_size=300))
_FIELDS = st.lists(st.tuples(_NAMES, _VALUES, st.booleans()), max_size=6)
_PIECES = st.one_of(
    st.sampled_from(
        [b"\x82", b"\xbe", b"\xbf", b"\xff\x00", b"\x80", b"\x20", b"\x3f\xe1\x1f", b"\x3f\xe2\x1f"]
    ),
    st.sampled_from(
        [b"\x40\x01a\x01b", b"\x7e\x01c", b"\x00\x81\x1f\x00", b"\x41\x83\x1d\x75\xd7", b"\x0f\x00\x01x"]
    ),
    st.binary(max_size=12),
)


def plainly(decoder: Decoder, block: bytes) -> list[Field] | None:
    try:
        return [(field[0], field[1]) for field in decoder.decode(block, raw=True)]
    except HPACKError:
        return None


def ours(decoder: HpackDecoder, block: bytes) -> list[Field] | None:
    try:
        return decoder.decode(block)
    except Http2ConnectionError:
        return None


@settings(deadline=None)
@given(st.lists(st.tuples(_FIELDS, st.booleans(), st.sampled_from([None, None, 0, 100, 4096])), max_size=20))
def test_what_hpack_encodes_is_decoded(
    blocks: list[tuple[list[tuple[bytes, bytes, bool]], bool, int | None]],
) -> None:
    encoder, decoder = Encoder(), HpackDecoder(_LIMIT)
    for fields, huffman, table in blocks:
        if table is not None:
            encoder.header_table_size = table
        assert decoder.decode(encoder.encode(fields, huffman=huffman)) == [(n, v) for n, v, _ in fields]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(_PIECES, max_size=12).map(b"".join), max_size=6))
def test_any_bytes_mean_what_they_mean_to_hpack(blocks: list[bytes]) -> None:
    peer, decoder = Decoder(), HpackDecoder(_LIMIT)
    for block in blocks:
        expected = plainly(peer, block)
        assert ours(decoder, block) == expected
        if expected is None:
            return


def test_changes_of_the_table_are_counted_and_nothing_else() -> None:
    decoder = HpackDecoder(_LIMIT)
    for block, changes in (
        (b"\x82\x00\x01a\x01b\x10\x01a\x01b", 0),
        (b"\x40\x01a\x01b", 1),
        (b"\xbe", 1),
        (b"\x20", 2),
    ):
        decoder.decode(block)
        assert decoder.changes == changes


@pytest.mark.parametrize(
    ("block", "code"),
    [
        (b"\x40\x01n\x7f\xb9\x16" + b"x" * 3000 + b"\xbe" * 30, Http2Code.ENHANCE_YOUR_CALM),
        (b"\x00\x01a\x00" * 3000, Http2Code.ENHANCE_YOUR_CALM),
        (b"\xff\x80\x80\x80\x80\x80\x80", Http2Code.COMPRESSION_ERROR),
        (b"\x00\x7f\xff\xff\xff\xff\x0f", Http2Code.COMPRESSION_ERROR),
        (b"\x00\x01a\x81\x00", Http2Code.COMPRESSION_ERROR),
    ],
)
def test_bombs_and_damage_end_the_connection(block: bytes, code: Http2Code) -> None:
    with pytest.raises(Http2ConnectionError) as caught:
        HpackDecoder(_LIMIT).decode(block)
    assert caught.value.code is code
