"""The gRPC port: accepts connections, sweeps their clocks, and drains them when the server stops."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import socket
import ssl
import time
from collections.abc import Callable

from tritium.errors import UnavailableError
from tritium.frontends.grpc.connection import GrpcConnection, Shared
from tritium.frontends.grpc.deadlines import Deadlines
from tritium.frontends.grpc.service import GrpcService
from tritium.frontends.grpc.settings import GrpcSettings

logger = logging.getLogger("tritium.grpc")

_SWEEP_S = 1.0
_BACKLOG = 1024
_HANDSHAKE_S = 10.0  # of TLS; tritium's, RELIABILITY T43


class GrpcListener:
    """A listening socket and its connections. ``tls`` is a server's context; see ``offer_http2``."""

    def __init__(
        self, service: GrpcService, settings: GrpcSettings, tls: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._deadlines = Deadlines(self._wake_at)
        self._shared = Shared(service, settings, time.monotonic, self._deadlines)
        self._connections: set[GrpcConnection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._closing = False
        self._random = random.Random()
        self.on_sweep: Callable[[], None] | None = None  # called every second
        self.port = settings.port

    async def start(self) -> None:
        """Bind and listen.

        Raises:
            UnavailableError: the address is taken or is none of this machine's.
        """
        loop = asyncio.get_running_loop()
        self._shared.call_soon = loop.call_soon
        settings = self._settings
        address = settings.address
        try:
            self._server = await loop.create_server(
                self._connect,
                address.removeprefix("ipv6:").strip("[]"),
                settings.port,
                reuse_port=settings.reuse_port or None,
                backlog=_BACKLOG,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_S if self._tls else None,
            )
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            detail = "already in use" if taken else (error.strerror or str(error))
            raise UnavailableError(f"Socket '{address}:{settings.port}' {detail} ") from None
        for sock in self._server.sockets:
            self.port = sock.getsockname()[1]
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # inherited
        self._sweeper = loop.call_later(_SWEEP_S, self._sweep)

    def _connect(self) -> asyncio.BaseProtocol:
        if len(self._connections) >= self._settings.max_connections:
            return _Refused()
        age_factor = self._random.uniform(0.9, 1.1)
        return GrpcConnection(self._shared, self, age_factor)

    def opened(self, connection: GrpcConnection) -> None:
        """A connection has begun."""
        self._connections.add(connection)
        if self._closing:
            connection.stop()

    def closed(self, connection: GrpcConnection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    def _sweep(self) -> None:
        now_s = time.monotonic()
        for connection in [*self._connections]:
            connection.sweep(now_s)
        self._shared.buffers.sweep(now_s)
        if self.on_sweep is not None:
            self.on_sweep()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _wake_at(self, time_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        delay_s = max(0.0, time_s - time.monotonic())
        self._alarm = asyncio.get_running_loop().call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._alarm = None
        self._deadlines.expire(time.monotonic())

    def close(self) -> None:
        """Accept no more connections, and close those that wait for nothing."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        for connection in [*self._connections]:
            connection.stop()

    async def drained(self) -> None:
        """Every connection is closed."""
        while self._connections:
            self._emptied.clear()
            await self._emptied.wait()

    def abort(self) -> None:
        """Close everything now."""
        for timer in (self._sweeper, self._alarm):
            if timer is not None:
                timer.cancel()
        for connection in [*self._connections]:
            connection.abort()

    def __len__(self) -> int:
        return len(self._connections)


def offer_http2(context: ssl.SSLContext) -> ssl.SSLContext:
    """Make a server's TLS context fit for gRPC: TLS 1.2 or later, with ALPN h2."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return context


class _Refused(asyncio.Protocol):
    """A connection beyond the bound on their number."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
