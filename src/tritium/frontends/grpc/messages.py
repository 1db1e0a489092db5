"""Messages in the body of a call: each a flag, a length of four bytes, and so many bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tritium.core.tensor import Buffer
from tritium.frontends.coding import DamagedError, TooLargeError, deflate, inflate
from tritium.frontends.grpc.status import GrpcError, GrpcStatus
from tritium.http2.stream import Http2Stream

PREFIX = struct.Struct(">BI")
PREFIX_BYTES = 5


class MessageReader:
    """Puts the messages of one stream together; a long one is received into its own buffer.

    ``on_message(compressed, message)`` is called for each. Messages that are held back count against the
    stream's window until ``Http2Stream.consumed`` is told.
    """

    __slots__ = ("_allocate", "_compressed", "_head", "_limit", "_message", "_on_message", "_stream")

    def __init__(
        self,
        stream: Http2Stream,
        limit: int,
        allocate: Callable[[int], Buffer],
        on_message: Callable[[bool, Buffer], None],
    ) -> None:
        self._stream = stream
        self._limit = limit
        self._allocate = allocate
        self._on_message = on_message
        self._head = bytearray()
        self._message: Buffer | None = None  # being received
        self._compressed = False

    def feed(self, data: memoryview) -> None:
        """A piece of the body; also called, with nothing, when a message was received in its buffer.

        Raises:
            GrpcError: a message is too long.
        """
        if self._message is not None and self._stream.target is None:
            message, self._message = self._message, None
            self._on_message(self._compressed, message)
        while data and self._message is None:
            missing = PREFIX_BYTES - len(self._head)
            self._head += data[:missing]
            data = data[missing:]
            if len(self._head) == PREFIX_BYTES:
                data = self._begin(data)

    def _begin(self, data: memoryview) -> memoryview:
        """A prefix is whole: take what is there of its message; what is left of ``data``."""
        flag, size = PREFIX.unpack(self._head)
        self._head.clear()
        check_size(size, self._limit)
        compressed = bool(flag & 1)
        if size <= len(data):
            self._on_message(compressed, bytes(data[:size]))
            return data[size:]
        try:
            message = memoryview(self._allocate(size))
        except MemoryError:
            raise GrpcError(
                GrpcStatus.RESOURCE_EXHAUSTED, f"no memory for a message of {size} bytes"
            ) from None
        message[: len(data)] = data
        self._message, self._compressed = message, compressed
        self._stream.receive_into(message[len(data) :])
        return data[:0]

    @property
    def whole(self) -> bool:
        """No message is cut short."""
        return not self._head and self._message is None


def check_size(size: int, limit: int) -> None:
    """Raises GrpcError if a message of ``size`` bytes is too long."""
    if size > limit:
        text = f"SERVER: Received message larger than max ({size} vs. {limit})"
        raise GrpcError(GrpcStatus.RESOURCE_EXHAUSTED, text)


def decompress(message: Buffer, coding: str | None, limit: int) -> bytes:
    """A message that has the compressed flag, as it was.

    Raises:
        GrpcError: it is damaged, too long, or no coding was named.
    """
    if coding is None:
        raise GrpcError(GrpcStatus.INTERNAL, "Compression bit set but no encoding configured")
    try:
        return inflate(message, coding, limit)
    except TooLargeError:
        raise GrpcError(GrpcStatus.RESOURCE_EXHAUSTED, "Decompressed message larger than max") from None
    except DamagedError:
        raise GrpcError(GrpcStatus.INTERNAL, "Decompression failed due to data error") from None


def compress(message: Buffer, coding: str) -> bytes:
    """A message for the compressed flag."""
    return b"".join(deflate([message], coding))
