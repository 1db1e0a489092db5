"""The HTTP port: accepts connections, sweeps their time-outs, and drains them when the server stops."""

from __future__ import annotations

import asyncio
import logging
import socket
import time

from tritium.errors import UnavailableError
from tritium.execution.memory import trim
from tritium.frontends.http.connection import HttpApplication, HttpConnection, Shared
from tritium.options import HttpOptions

logger = logging.getLogger("tritium.http")

_SWEEP_S = 1.0
_BACKLOG = 1024


class HttpListener:
    """A listening socket and its connections."""

    def __init__(self, application: HttpApplication, options: HttpOptions) -> None:
        self._shared = Shared(application, options, time.monotonic)
        self._options = options
        self._connections: set[HttpConnection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self.port = options.port

    async def start(self) -> None:
        """Bind and listen.

        Raises:
            UnavailableError: the address is taken or is none of this machine's.
        """
        loop = asyncio.get_running_loop()
        options = self._options
        address = options.address
        try:
            self._server = await loop.create_server(
                self._connect,
                address.removeprefix("ipv6:").strip("[]"),
                options.port,
                reuse_port=options.reuse_port or None,
                backlog=_BACKLOG,
            )
        except OSError as error:
            detail = "already in use" if error.errno == 98 else (error.strerror or str(error))
            raise UnavailableError(f"Socket '{address}:{options.port}' {detail}") from None
        for sock in self._server.sockets:
            self.port = sock.getsockname()[1]
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
            )  # inherited: finds clients that vanished
        self._sweeper = loop.call_later(_SWEEP_S, self._sweep)

    def _connect(self) -> asyncio.BaseProtocol:
        if len(self._connections) >= self._options.max_connections:
            return _Refused()
        connection = HttpConnection(self._shared, self._disconnect)
        self._connections.add(connection)
        return connection

    def _disconnect(self, connection: HttpConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    def _sweep(self) -> None:
        now_s = time.monotonic()
        for connection in [*self._connections]:
            connection.sweep(now_s)
        if self._shared.large_bodies and all(connection.idle for connection in self._connections):
            self._shared.large_bodies = False
            trim()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def close(self) -> None:
        """Accept no more connections, and close those that wait for nothing."""
        if self._server is not None:
            self._server.close()
        for connection in [*self._connections]:
            connection.drain()

    async def drained(self) -> None:
        """Every connection is closed."""
        while self._connections:
            self._emptied.clear()
            await self._emptied.wait()

    def abort(self) -> None:
        """Close everything now."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in [*self._connections]:
            connection.abort()

    def __len__(self) -> int:
        return len(self._connections)


class _Refused(asyncio.Protocol):
    """A connection beyond the bound on their number."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
