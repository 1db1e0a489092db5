"""Header blocks: decoding with a memory for blocks that repeat, and encoding, mostly without a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tritium.http2.header_rules import Field, RequestHeaders, check_fields, read_request
from tritium.http2.hpack_decoder import DYNAMIC, ENTRY_OVERHEAD, STATIC, HpackDecoder
from tritium.http2.limits import Http2Limits

_MAX_CACHED = 32
_MAX_CACHED_BYTES = 1024  # of one block

TABLE_EMPTIED = b"\x20"  # a block that begins so sets the decoder's dynamic table to size 0


class HeaderDecoder:
    """The header blocks of one connection.

    What a block means depends on the block and the dynamic table alone. So a block that did not change the
    table means the same again as long as nothing else changes the table: that is what the cache holds.
    """

    __slots__ = ("_cache", "_decoder", "_limits", "_seen")

    def __init__(self, limits: Http2Limits) -> None:
        self._decoder = HpackDecoder(limits.max_header_block_bytes)
        self._limits = limits
        self._cache: dict[bytes, RequestHeaders] = {}
        self._seen = 0

    def request(self, block: bytes) -> RequestHeaders:
        """The headers of a request.

        Raises:
            MalformedError: this stream is to be refused.
            Http2ConnectionError: the block cannot be decoded.
        """
        headers = self._cache.get(block)
        return self._decode_request(block) if headers is None else headers

    def _decode_request(self, block: bytes) -> RequestHeaders:
        fields, pure = self._decode(block)
        headers = read_request(fields)
        size = sum(len(name) + len(value) + ENTRY_OVERHEAD for name, value in fields)
        headers.oversized = size > self._limits.max_header_list_bytes
        if pure and len(block) <= _MAX_CACHED_BYTES:
            if len(self._cache) >= _MAX_CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[block] = headers
        return headers

    def trailers(self, block: bytes) -> tuple[Field, ...]:
        """The fields of a trailer section; raises as ``request``."""
        fields, _ = self._decode(block)
        check_fields(fields)
        return tuple(fields)

    def skip(self, block: bytes) -> None:
        """Decode a block that nobody wants, for what it does to the table."""
        self._decode(block)

    def _decode(self, block: bytes) -> tuple[list[Field], bool]:
        """The fields, and whether the table is as it was."""
        fields = self._decoder.decode(block)
        pure = self._decoder.changes == self._seen
        if not pure:
            self._seen = self._decoder.changes
            self._cache.clear()
        return fields, pure


def encode_fields(fields: Iterable[Field]) -> bytes:
    """A header block of literals that uses no dynamic table, so that it fits any connection at any time."""
    return b"".join(
        b"\x00" + _length(len(name)) + name + _length(len(value)) + value for name, value in fields
    )


class ReplyBlocks:
    """The headers and trailers that all replies of one kind have, as blocks.

    The fields get entries in the client's dynamic table, so that all but the first reply of a connection name
    them in a byte each. They have to be the only entries, and few.

    Attributes:
        literal: headers and trailers without a table.
        first: the same, which make the entries.
        later: the same, by the entries.
    """

    __slots__ = ("first", "later", "literal")

    def __init__(self, headers: Sequence[Field], trailers: Sequence[Field]) -> None:
        entered = [field for field in (*headers, *trailers) if field not in STATIC]
        last = DYNAMIC + len(entered) - 1  # the index of the oldest entry

        def enter(field: Field) -> bytes:
            return name_entry(field) if field in STATIC else b"\x40" + encode_fields((field,))[1:]

        def name_entry(field: Field) -> bytes:
            index = STATIC.index(field) if field in STATIC else last - entered.index(field)
            return bytes((0x80 | index,))

        self.literal = encode_fields(headers), encode_fields(trailers)
        self.first = b"".join(map(enter, headers)), b"".join(map(enter, trailers))
        self.later = b"".join(map(name_entry, headers)), b"".join(map(name_entry, trailers))


def _length(size: int) -> bytes:
    """A length as RFC 7541, section 5.1 writes it with a 7-bit prefix and no Huffman bit."""
    if size < 127:
        return bytes((size,))
    size -= 127
    encoded = bytearray((127,))
    while size >= 128:
        encoded.append(size & 127 | 128)
        size >>= 7
    encoded.append(size)
    return bytes(encoded)
