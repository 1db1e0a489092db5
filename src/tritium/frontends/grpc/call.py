"""One call as its handler sees it: what the client said, and the way back."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tritium.core.tensor import Buffer
from tritium.errors import TritiumError
from tritium.frontends.grpc.deadlines import Deadlines
from tritium.frontends.grpc.messages import PREFIX, compress
from tritium.frontends.grpc.status import (
    OK,
    TRAILERS_OK,
    GrpcError,
    GrpcStatus,
    headers_block,
    refusal_block,
    trailers_block,
)
from tritium.http2.header_rules import Field
from tritium.http2.stream import Http2Stream
from tritium.protocol.status import status_of

logger = logging.getLogger("tritium.grpc")

_JOIN_BYTES = 1 << 15  # replies up to this size leave in one buffer


_NOTHING: deque[int] = deque(maxlen=0)


class CallFacts(Protocol):
    """What the headers of a call say."""

    path: bytes
    metadata: tuple[Field, ...]
    timeout_s: float | None
    reply_coding: str | None
    forwarded: Mapping[str, str]


class CallSurroundings(Protocol):
    """What a call needs of its connection."""

    deadlines: Deadlines

    def allocate(self, size: int) -> Buffer:
        """Memory for a message that comes in pieces."""
        ...

    def now_s(self) -> float:
        """The listener's monotonic clock."""
        ...

    def flush(self) -> None:
        """Write what the stream has to send, now or at the end of the read under way."""
        ...

    def flush_soon(self) -> None:
        """Write it at the end of this turn of the loop."""
        ...


class GrpcCall:
    """A call, as its handler sees it. An answer to a call that is over is ignored.

    Attributes:
        on_cancel: called once if the client gives up, its connection ends, or the deadline passes.
        on_stop: called, on streaming calls, when the server stops: end it once nothing is under way.
        on_writable: called when ``writable`` is true again.
    """

    __slots__ = ("_connection", "_facts", "_sent_headers", "_step", "_stream",
                 "deadline_s", "on_cancel", "on_stop", "on_writable", "over", "unconsumed")  # fmt: skip

    def __init__(self, stream: Http2Stream, facts: CallFacts, connection: CallSurroundings) -> None:
        self._stream = stream
        self._facts = facts
        self._connection = connection
        self._sent_headers = False
        self._step = 0
        self.over = False
        self.on_cancel: Callable[[], None] | None = None
        self.on_stop: Callable[[], None] | None = None
        self.on_writable: Callable[[], None] | None = None
        self.unconsumed: deque[int] = _NOTHING  # bytes of messages that were received; see ``consumed``
        self.deadline_s: float | None = None  # of the listener's monotonic clock
        if facts.timeout_s is not None:
            self.deadline_s = connection.now_s() + facts.timeout_s
            self._step = connection.deadlines.add(self, self.deadline_s, facts.timeout_s)

    @property
    def path(self) -> bytes:
        """The full path of the method."""
        return self._facts.path

    @property
    def metadata(self) -> tuple[Field, ...]:
        """The client's own header fields, as they came: names in lower case, binary values in base64."""
        return self._facts.metadata

    @property
    def forwarded(self) -> Mapping[str, str]:
        """What of it is to be parameters of inferences."""
        return self._facts.forwarded

    def allocate(self, size: int) -> Buffer:
        """A writable buffer for a message that comes in pieces."""
        return self._connection.allocate(size)

    # -- answers --

    def respond(self, *parts: Buffer) -> None:
        """End the call with one message, given in parts, and status OK."""
        if self.over:
            return
        self._close()
        stream, size = self._stream, sum(map(len, parts))
        if self._facts.reply_coding is None and size <= _JOIN_BYTES:
            stream.send_response(OK, (PREFIX.pack(0, size), *parts))
        else:
            self._send(parts, size)
            stream.send_trailers(TRAILERS_OK)
        self._connection.flush_soon()

    def fail(self, error: Exception) -> None:
        """End the call with the status of an error; one that says nothing to clients is logged."""
        if isinstance(error, GrpcError):
            self.finish(error.status, str(error))
        elif isinstance(error, TritiumError):
            self.finish(GrpcStatus[status_of(error).grpc], str(error))
        else:
            logger.error("a call of %s failed", self.path.decode("latin-1"), exc_info=error)
            self.finish(GrpcStatus.INTERNAL, "internal error; the server's log has the details")

    def send(self, *parts: Buffer) -> None:
        """Send one message of a streaming call, given in parts, which are kept until they are sent."""
        if not self.over:
            self._send(parts, sum(map(len, parts)))
            self._connection.flush_soon()

    def finish(
        self, status: GrpcStatus = GrpcStatus.OK, text: str = "", metadata: Sequence[Field] = ()
    ) -> None:
        """End the call after what was sent; ``metadata`` goes into the trailers."""
        if self.over:
            return
        self._close()
        if self._sent_headers:
            self._stream.send_trailers(trailers_block(status, text, metadata))
        else:
            self._stream.send_headers(refusal_block(status, text, metadata), end=True)
        self._connection.flush()

    def _send(self, parts: Sequence[Buffer], size: int) -> None:
        coding = self._facts.reply_coding
        if not self._sent_headers:
            self._sent_headers = True
            self._stream.send_headers(headers_block(coding))
        if coding is None:
            self._stream.send_data(PREFIX.pack(0, size), *parts)
        else:
            packed = compress(b"".join(parts), coding)
            self._stream.send_data(PREFIX.pack(1, len(packed)), packed)

    @property
    def writable(self) -> bool:
        """Whether little enough waits to be sent; if not, ``on_writable`` is called when it does."""
        return self._stream.writable

    def consumed(self) -> None:
        """One more message of a streaming call is done with: the client may send as much again."""
        if self.unconsumed and not self.over:
            self._stream.consumed(self.unconsumed.popleft())
            self._connection.flush()

    def cancel(self) -> None:
        """The client gave up, or its connection ended."""
        if not self.over:
            on_cancel = self.on_cancel
            self._close()
            if on_cancel is not None:
                on_cancel()

    def expire(self) -> None:
        """The deadline has passed."""
        if not self.over:
            on_cancel = self.on_cancel
            self.finish(GrpcStatus.DEADLINE_EXCEEDED, "Deadline Exceeded")
            if on_cancel is not None:
                on_cancel()

    def _close(self) -> None:
        """The call is over; what it holds goes, so that nothing is left to the garbage collector."""
        self.over = True
        if self._step:
            self._connection.deadlines.discard(self, self._step)
        self.on_cancel = self.on_stop = self.on_writable = None
