"""What comes in on the stream of a call, to the handler of its method."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tritium.core.tensor import Buffer
from tritium.frontends.grpc.call import GrpcCall
from tritium.frontends.grpc.messages import PREFIX, PREFIX_BYTES, MessageReader, decompress
from tritium.frontends.grpc.service import MessageReceiver
from tritium.frontends.grpc.status import GrpcError, GrpcStatus
from tritium.http2.stream import Http2Stream


class UnaryInput:
    """Listens to the stream of a call with one message: hands it over when the client has said all."""

    __slots__ = ("_call", "_coding", "_handle", "_limit", "_message", "_reader", "_stream")

    def __init__(
        self,
        stream: Http2Stream,
        call: GrpcCall,
        handle: Callable[[GrpcCall, Buffer], None],
        coding: str | None,
        limit: int,
    ) -> None:
        self._stream = stream
        self._call = call
        self._handle = handle
        self._coding = coding
        self._limit = limit  # of a message, in bytes
        self._reader: MessageReader | None = None  # if the message did not come whole with the end
        self._message: Buffer | None = None

    def on_data(self, data: memoryview, end: bool) -> None:
        """A piece of the body. What follows the message is ignored."""
        call = self._call
        if call.over:
            return
        try:
            if end and self._reader is None and len(data) >= PREFIX_BYTES:
                flag, size = PREFIX.unpack_from(data)
                if not flag and size == len(data) - PREFIX_BYTES and size <= self._limit:
                    self._handle(call, bytes(data[PREFIX_BYTES:]))
                    return
            self._read(data, end)
        except Exception as error:
            self._reader = None
            call.fail(error)

    def _read(self, data: memoryview, end: bool) -> None:
        if self._reader is None:
            self._reader = MessageReader(self._stream, self._limit, self._call.allocate, self._on_message)
        if self._message is None:
            self._reader.feed(data)
        if end:
            self._reader = None
            if self._message is None:
                text = f"'{self._call.path.decode('latin-1')}' requires exactly one request message."
                raise GrpcError(GrpcStatus.UNIMPLEMENTED, text)
            message, self._message = self._message, None  # which may be long
            self._handle(self._call, message)

    def _on_message(self, compressed: bool, message: Buffer) -> None:
        if self._message is None:
            self._message = decompress(message, self._coding, self._limit) if compressed else message

    def on_reset(self, code: int) -> None:
        """The client gave up."""
        self._reader = None
        self._call.cancel()

    def on_writable(self) -> None:
        """More can be sent; of no interest to who sends one message."""


class StreamInput:
    """Listens to the stream of a call with any number of messages."""

    __slots__ = ("_call", "_coding", "_limit", "_reader", "_receiver")

    def __init__(
        self, stream: Http2Stream, call: GrpcCall, receiver: MessageReceiver, coding: str | None, limit: int
    ) -> None:
        call.unconsumed = deque()
        self._call = call
        self._receiver = receiver
        self._coding = coding
        self._limit = limit
        self._reader: MessageReader | None = MessageReader(stream, limit, call.allocate, self._on_message)

    def on_data(self, data: memoryview, end: bool) -> None:
        """A piece of the body."""
        reader = self._reader
        if reader is None or self._call.over:
            return
        try:
            length = len(data)
            size = length - PREFIX_BYTES
            if size > 0 and reader.whole and PREFIX.unpack_from(data) == (0, size) and size <= self._limit:
                self._call.unconsumed.append(length)
                self._receiver.on_message(bytes(data[PREFIX_BYTES:]))  # whole, as most pieces are
            else:
                reader.feed(data)
            if end and not self._call.over:
                if not reader.whole:
                    raise GrpcError(GrpcStatus.INTERNAL, "the last message is cut short")
                self._receiver.on_half_close()
        except Exception as error:
            self._call.fail(error)
        if end or self._call.over:
            self._reader = None

    def _on_message(self, compressed: bool, message: Buffer) -> None:
        if self._call.over:
            return
        self._call.unconsumed.append(PREFIX_BYTES + len(message))
        if compressed:
            message = decompress(message, self._coding, self._limit)
        self._receiver.on_message(message)

    def on_reset(self, code: int) -> None:
        """The client gave up."""
        self._reader = None
        self._call.cancel()

    def on_writable(self) -> None:
        """More can be sent."""
        callback = self._call.on_writable
        if callback is not None:
            callback()

    def stop(self) -> None:
        """The server stops."""
        callback = self._call.on_stop
        if callback is not None:
            try:
                callback()
            except Exception as error:
                self._call.fail(error)
