"""Load of many clients at little cost: one event loop, prepared bytes out, answers counted.

perf_analyzer 2.60 takes some 80 us of processor time for a request at 100 clients, a good part of two cores.
To it, a bare uvloop server that answers everything after 10 ms with the same bytes reaches 8,700 of the
10,000 requests a second that 100 clients could make; to this, which takes 5 to 10 us, it reaches 9,450.
"""

from __future__ import annotations

import asyncio
import time
from typing import cast

import uvloop

from benchmarks.load import LoadFailedError, Window, summarise
from benchmarks.servers import Server
from benchmarks.sockets import RawRequest, body_length

_TIMEOUT_S = 30.0  # for what is still to come when a window ends


class RepeatingClient(asyncio.Protocol):
    """One connection: sends the request again as soon as it is answered.

    Args:
        end: of ``time.perf_counter``; what is answered after it ends the connection.
        done: told of the end, with a LoadFailedError if an answer was not right.
    """

    def __init__(self, request: RawRequest, end: float, done: asyncio.Future[None]) -> None:
        self.latencies_s: list[float] = []
        self._request = request
        self._end = end
        self._done = done
        self._received = b""
        self._expected = 0  # bytes of an answer; 0 until the first one is complete
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's, which is no asyncio.Transport
        self._send()

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        try:
            complete = len(received) >= (self._expected or self._size(received))
            if complete:
                self._check(received)
        except LoadFailedError as error:
            self._finish(error)
            return
        if not complete:
            self._received = received
            return
        self._received = b""
        now = time.perf_counter()
        self.latencies_s.append(now - self._sent)
        if now < self._end:
            self._send()
        else:
            self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(LoadFailedError(f"a connection broke: {exc or 'it was closed'}"))

    def _send(self) -> None:
        assert self._transport is not None
        self._sent = time.perf_counter()
        self._transport.write(self._request.head + self._request.body)

    def _size(self, received: bytes) -> int:
        """Bytes of the first answer; more than there are while that is not known."""
        head, empty_line, _ = received.partition(b"\r\n\r\n")
        if not empty_line:
            return len(received) + 1
        return len(head) + len(empty_line) + body_length(head)

    def _check(self, received: bytes) -> None:
        if not self._expected:
            self._expected = len(received)
            if self._request.answer_data is not None and not received.endswith(self._request.answer_data):
                raise LoadFailedError(f"the answer has other data than expected: {received[:300]!r}")
        elif len(received) != self._expected or not received.startswith(b"HTTP/1.1 200"):
            raise LoadFailedError(f"an answer that differs from the first: {received[:300]!r}")

    def _finish(self, error: LoadFailedError | None) -> None:
        if not self._done.done():
            if error is None:
                self._done.set_result(None)
            else:
                self._done.set_exception(error)
        if self._transport is not None:
            self._transport.close()


def loop_window(server: Server, request: RawRequest, *, concurrency: int, seconds: float) -> Window:
    """The same request over and over on ``concurrency`` connections of one event loop.

    Raises:
        LoadFailedError: a request was not answered with 200 and the right data, or a connection broke.
    """
    return uvloop.run(_load(server.http_port, request, concurrency, seconds))


async def _load(port: int, request: RawRequest, concurrency: int, seconds: float) -> Window:
    loop = asyncio.get_running_loop()
    end = time.perf_counter() + seconds
    clients: list[RepeatingClient] = []
    waits: list[asyncio.Future[None]] = []
    try:
        async with asyncio.timeout(seconds + _TIMEOUT_S):
            for _ in range(concurrency):
                waits.append(loop.create_future())
                client = RepeatingClient(request, end, waits[-1])
                clients.append(client)
                await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
            await asyncio.gather(*waits)
    except (OSError, TimeoutError) as error:
        raise LoadFailedError(f"{len(clients)} connections to port {port}: {error!r}") from error
    return summarise([client.latencies_s for client in clients])
