"""Requests out of a byte stream: httptools for heads and chunked bodies, with bounds on everything. Sans-I/O.

A head that is known by its bytes does not reach httptools at all; a body whose length is announced goes
straight into its own buffer. The parser's strictness is llhttp's: what it refuses is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import httptools

from tritium.core.tensor import Buffer
from tritium.frontends.http.body import RequestBody
from tritium.frontends.http.exchange import Exchange, HttpRefusal
from tritium.frontends.http.head import HeadCache, RequestHead
from tritium.frontends.http.repeated import MAX_BYTES, MIN_BYTES, RepeatedRequest, new_buffer
from tritium.options import HttpOptions

MAX_TARGET_BYTES = 8192
_SINGLE_HEADERS = frozenset(
    (
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"inference-header-content-length",
        b"content-encoding",
    )
)
_CHUNK_OVERHEAD_BYTES = 16  # a size of ten digits, its CRLF and that of the data, and a few for an extension
_BLANK_LINE = b"\r\n\r\n"


class ParserOwner(Protocol):
    """Who wants the requests."""

    def on_request(self, head: RequestHead, body: Buffer) -> bool:
        """A request is whole; whether another may follow."""
        ...

    def on_expectation(self) -> None:
        """The client waits for ``100 Continue`` before it sends the body."""
        ...


class RequestParser:
    """The requests of one connection.

    ``awaiting_body`` is the body that is being received, ``mid_head`` says that a head has begun.
    """

    def __init__(
        self,
        owner: ParserOwner,
        plan: Callable[[RequestHead], Callable[[Exchange], None]],
        options: HttpOptions,
        heads: HeadCache,
    ) -> None:
        self._owner = owner
        self._plan = plan
        self._options = options
        self._heads = heads
        self._parser = httptools.HttpRequestParser(self)
        self._head: RequestHead | None = None
        self._refusal: HttpRefusal | None = None
        self._candidate = b""  # the bytes of the head that the parser reads, if they are all there
        self._received = 0  # bytes of the head, and of a chunked body as it was sent, so far
        self._began = False  # a request began in the piece that is being parsed
        self.awaiting_body: RequestBody | None = None
        self._repeated: RepeatedRequest | None = None  # what is likely to come after a large request
        self.direct = False  # what comes is received past the parser
        self.mid_head = False
        self._reset_head()

    def _reset_head(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._spelled: list[tuple[bytes, bytes]] = []
        self._header_count = self._header_bytes = 0

    def feed(self, data: bytearray, view: memoryview, size: int) -> None:
        """The first ``size`` bytes of ``data``, of which ``view`` is a view, were received.

        Raises:
            HttpRefusal: nothing after this can be read; the connection ends with this answer.
        """
        position = 0
        while position < size:
            if self.mid_head or self.awaiting_body is not None:
                self._parse(view[position:size])
                return
            end = data.find(_BLANK_LINE, position, size) + 4
            if end < 4:
                self._parse(view[position:size])
                return
            raw = bytes(view[position:end])
            head = self._heads.find(raw)
            if head is None:
                head = self._parse_head(raw)
            # A request without a length has been handed over, or its body goes through httptools.
            position = self._take_body(raw, head, view, end, size) if head is not None else end
            if position < 0:
                return

    def _parse_head(self, raw: bytes) -> RequestHead | None:
        """A head that is not known yet: kept, and given back if a body of known length follows."""
        if len(raw) > self._options.max_header_bytes:
            raise _header_refusal(self._options.max_header_bytes)
        self._candidate = raw
        try:
            self._parse(memoryview(raw))
        finally:
            self._candidate = b""
        head = self._head
        if head is None or head.chunked or self.awaiting_body is None:
            return None
        # httptools waits for the body, which is not to go through it.
        self._parser = httptools.HttpRequestParser(self)
        self._head = self.awaiting_body = None
        return head

    def _take_body(self, raw: bytes, head: RequestHead, view: memoryview, start: int, size: int) -> int:
        """Take the body that begins at ``start``: where the next request begins, -1 if none may follow."""
        length = head.length or 0
        stop = start + length
        if stop <= size:
            more = self._owner.on_request(head, bytes(view[start:stop]) if length else b"")
            return stop if more else -1
        target = new_buffer(length)
        target[: size - start] = view[start:size]
        self._go_direct(head, target, size - start)
        if MIN_BYTES <= length <= MAX_BYTES and self._heads.find(raw) is head:
            self._repeated = RepeatedRequest(raw, head)
        return size

    def _go_direct(self, head: RequestHead, target: memoryview, filled: int) -> None:
        self._head = head
        self.awaiting_body = RequestBody(len(target), limit=self._options.max_input_bytes, chunk_limit=0)
        self.awaiting_body.go_direct(target, filled)
        self.direct = True

    def space(self) -> memoryview:
        """Where what goes past the parser is to be written."""
        if self.awaiting_body is not None:
            return self.awaiting_body.space()
        assert self._repeated is not None
        return self._repeated.space()

    def received(self, count: int) -> None:
        """``count`` bytes were written there.

        Raises:
            HttpRefusal: as ``feed``.
        """
        if self.awaiting_body is None and (count := self._begin_repeated(count)) < 0:
            return
        body, head = self.awaiting_body, self._head
        assert body is not None and head is not None
        if body.received(count):
            self.direct = self._repeated is not None
            self.awaiting_body = self._head = None
            self._owner.on_request(head, body.take())

    def _begin_repeated(self, count: int) -> int:
        """Bytes of the body in the first piece of the expected request; -1 if another one came instead."""
        repeated = self._repeated
        assert repeated is not None
        piece, body = repeated.take(count)
        if body is not None:
            self._go_direct(repeated.head, body, 0)
            return count - repeated.head_bytes
        self._repeated, self.direct = None, False
        copy = bytearray(piece)
        self.feed(copy, memoryview(copy), count)
        return -1

    def rest(self) -> None:
        """Hold no memory for what may come: nothing did for some time."""
        if self._repeated is not None:
            self._repeated.rest()

    def _parse(self, piece: memoryview) -> None:
        self._began = False
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            pass  # an offer that may be declined: the request is answered as it stands, and is the last
        except httptools.HttpParserError as error:
            raise self._refusal or HttpRefusal(400, f"malformed HTTP request: {error}") from None
        if self._refusal is not None:
            raise self._refusal
        if (
            not self._began
        ):  # else an unknown part of the piece, which is one read at most, belongs to earlier requests
            self._count(len(piece))

    def _count(self, size: int) -> None:
        """Bound what httptools may collect: a head, or the extensions and trailers of a chunked body."""
        self._received += size
        limit = self._options.max_header_bytes
        if self.mid_head and self._received > limit:
            raise _header_refusal(limit)
        body = self.awaiting_body
        if body is not None:
            overhead = self._received - body.size
            if overhead > limit + self._options.max_chunks * _CHUNK_OVERHEAD_BYTES:
                raise HttpRefusal(431, "extensions and trailers of the chunked body are too long")

    # -- called by httptools; what goes wrong is kept, for httptools would wrap it --

    def on_message_begin(self) -> None:
        """A request begins."""
        self.mid_head = self._began = True
        self._received = 0
        self._reset_head()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._target += url
        if len(self._target) > MAX_TARGET_BYTES:
            self._refusal = HttpRefusal(414, f"request target exceeds {MAX_TARGET_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._header_count += 1
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > self._options.max_header_bytes:
            self._refusal = _header_refusal(self._options.max_header_bytes)
            return
        if self._header_count > self._options.max_headers:
            self._refusal = HttpRefusal(431, f"request has more than {self._options.max_headers} headers")
            return
        if self._head is not None:  # a trailer: what it says comes too late to be heard
            return
        value = value.strip(b" \t")  # llhttp leaves what follows it
        self._spelled.append((name, value))
        name = name.lower()
        if name in self._headers and name in _SINGLE_HEADERS:
            self._refusal = HttpRefusal(400, f"header '{name.decode('latin-1')}' is given twice")
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._refusal is not None:
            return
        try:
            self._head = head = self._read_head()
            if head.has_body:
                self.awaiting_body = RequestBody(
                    head.length, limit=self._options.max_input_bytes, chunk_limit=self._options.max_chunks
                )
                self._expect(head)
        except HttpRefusal as refusal:
            self._refusal = refusal
            return
        self.mid_head = False
        if self._candidate:
            self._heads.remember(self._candidate, head)

    def _read_head(self) -> RequestHead:
        parser = self._parser
        version = parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise HttpRefusal(505, f"HTTP version {version} is not supported, expected 1.0 or 1.1")
        path = self._target.partition(b"?")[0]
        if not path.startswith(b"/"):
            path = _absolute_form(path)
        coding = self._headers.get(b"transfer-encoding")
        if coding is not None and coding.strip().lower() != b"chunked":
            raise HttpRefusal(501, "transfer coding is not supported, expected 'chunked'")
        announced = self._headers.get(b"content-length")
        head = RequestHead(
            parser.get_method(),
            path.decode("latin-1"),
            self._headers,
            http_1_0=version == "1.0",
            keep_alive=parser.should_keep_alive() and not parser.should_upgrade(),
            length=int(announced) if announced is not None else None,
        )
        head.spelled = self._spelled
        head.plan = self._plan(head)
        return head

    def _expect(self, head: RequestHead) -> None:
        expectation = head.headers.get(b"expect")
        if expectation is None:
            return
        if expectation.lower() != b"100-continue":
            raise HttpRefusal(417, "expectation is not supported, expected '100-continue'")
        self._owner.on_expectation()

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._guard(lambda body: body.count_chunk())

    def on_body(self, chunk: bytes) -> None:
        """A piece of the body."""
        self._guard(lambda body: body.feed(chunk))

    def _guard(self, step: Callable[[RequestBody], None]) -> None:
        if self._refusal is None and self.awaiting_body is not None:
            try:
                step(self.awaiting_body)
            except HttpRefusal as refusal:
                self._refusal = refusal

    def on_message_complete(self) -> None:
        """The request is whole."""
        head, body = self._head, self.awaiting_body
        if self._refusal is not None or head is None:
            return
        self._head = self.awaiting_body = None
        self._owner.on_request(head, body.take() if body is not None else b"")


def _absolute_form(target: bytes) -> bytes:
    """The path of an absolute-form target; anything else is refused."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise HttpRefusal(400, "request target is neither a path nor an http URI")
    return b"/" + rest.partition(b"/")[2]


def _header_refusal(limit: int) -> HttpRefusal:
    return HttpRefusal(431, f"request headers exceed {limit} bytes")
