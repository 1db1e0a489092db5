"""A gRPC listener of our own in a thread, for clients that are real."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TypeVar

import uvloop

from tritium.core.tensor import Buffer
from tritium.frontends.grpc.call import GrpcCall
from tritium.frontends.grpc.listener import GrpcListener
from tritium.frontends.grpc.service import Streaming, Unary
from tritium.frontends.grpc.settings import GrpcSettings

Methods = Mapping[bytes, Unary | Streaming]
TIMEOUT_S = 30.0
T = TypeVar("T")


class ToyService:
    """Echoes; with ``held`` calls that are answered when the test does."""

    def __init__(self, more: Methods | None = None) -> None:
        self.held: list[GrpcCall] = []
        self.cancelled: list[GrpcCall] = []
        self.methods: Methods = {
            b"/toy.Toy/Echo": Unary(lambda call, message: call.respond(message)),
            b"/toy.Toy/Hold": Unary(self._hold),
            b"/toy.Toy/Chat": Streaming(_Chat),
            b"/toy.Toy/Count": Streaming(_Count),
            **(more or {}),
        }

    def _hold(self, call: GrpcCall, message: Buffer) -> None:
        self.held.append(call)
        call.on_cancel = lambda: self.cancelled.append(call)


class _Chat:
    """Sends every message back; takes another when the client has read enough."""

    def __init__(self, call: GrpcCall) -> None:
        self._call = call
        self._waiting: list[Buffer] = []
        self._ended = False
        call.on_writable = self._go_on

    def on_message(self, message: Buffer) -> None:
        self._waiting.append(message)
        self._go_on()

    def on_half_close(self) -> None:
        self._ended = True
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._call.writable:
            self._call.send(self._waiting.pop(0))
            self._call.consumed()
        if self._ended and not self._waiting:
            self._call.finish()


class _Count:
    """For a message that is a number: so many messages."""

    def __init__(self, call: GrpcCall) -> None:
        self._call = call
        self._left = 0
        self._sent = 0
        call.on_writable = self._go_on

    def on_message(self, message: Buffer) -> None:
        self._left = int(bytes(message))
        self._go_on()

    def on_half_close(self) -> None:
        pass

    def _go_on(self) -> None:
        while self._left and self._call.writable:
            self._left -= 1
            self._call.send(b"%d" % self._sent)
            self._sent += 1
        if not self._left:
            self._call.finish()


class GrpcServerThread:
    """Serves ``service`` on a port that the system chose."""

    def __init__(
        self, service: ToyService, settings: GrpcSettings | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.service = service
        self._settings = settings or GrpcSettings(port=0)
        self._tls = tls
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="grpc-server")
        self.listener: GrpcListener

    def __enter__(self) -> GrpcServerThread:
        self._thread.start()
        try:
            self.listener = self.do(lambda: GrpcListener(self.service, self._settings, self._tls))
            asyncio.run_coroutine_threadsafe(self.listener.start(), self._loop).result(TIMEOUT_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.do(self._stop)
            asyncio.run_coroutine_threadsafe(self.listener.drained(), self._loop).result(TIMEOUT_S)
        finally:
            self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()

    def _stop(self) -> None:
        self.listener.close()
        self.listener.abort()

    @property
    def target(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.listener.port}"

    def do(self, act: Callable[[], T]) -> T:
        """Call ``act`` on the loop's thread."""
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(act())
            except Exception as error:
                result.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return result.result(TIMEOUT_S)
