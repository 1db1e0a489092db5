"""Load over plain sockets, for large bodies: prepared bytes out, bytes in, nothing looked at in between.

perf_analyzer 2.60 spends longer on a 12.6 MB body than either server does, and says that it cannot keep up.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.load import LoadFailedError, Window, repeat_window
from benchmarks.servers import Server

_HEAD_LIMIT_BYTES = 65536
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class RawRequest:
    """One HTTP request, ready to be sent, and what is known of its answer."""

    head: bytes
    body: bytes
    answer_bytes: int  # of tensor data in the answer
    answer_data: bytes | None  # that data, where it is known; compared once per connection


def infer_request(
    model: str, inputs: Mapping[str, npt.NDArray[np.float32]], answer: npt.NDArray[np.float32] | int
) -> RawRequest:
    """A binary request for ``model`` with all outputs in binary.

    Args:
        answer: the output's data, or, where that is not known, its size in bytes.
    """
    described = [
        {
            "name": name,
            "shape": list(data.shape),
            "datatype": "FP32",
            "parameters": {"binary_data_size": data.nbytes},
        }
        for name, data in inputs.items()
    ]
    header = json.dumps({"inputs": described, "parameters": {"binary_data_output": True}}).encode()
    body = b"".join([header, *(data.tobytes() for data in inputs.values())])
    head = (
        f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: application/octet-stream\r\n"
        f"Inference-Header-Content-Length: {len(header)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    if isinstance(answer, int):
        return RawRequest(head.encode(), body, answer, None)
    return RawRequest(head.encode(), body, answer.nbytes, answer.tobytes())


def body_length(head: bytes) -> int:
    """Content-Length of a 200 answer, of which ``head`` is everything up to the empty line.

    Raises:
        LoadFailedError: the status is another one, or there is no such header.
    """
    length = re.search(rb"(?i)\r\ncontent-length:[ \t]*(\d+)", head)
    if not head.startswith(b"HTTP/1.1 200") or length is None:
        raise LoadFailedError(f"expected 200 with a Content-Length, got {head[:300]!r}")
    return int(length.group(1))


def socket_window(server: Server, request: RawRequest, *, concurrency: int, seconds: float) -> Window:
    """The same request over and over on ``concurrency`` connections.

    Raises:
        LoadFailedError: a request was not answered with 200 and the right data, or a connection broke.
    """
    with contextlib.ExitStack() as stack:
        try:
            connections = [stack.enter_context(_connected(server, request)) for _ in range(concurrency)]
            for connection in connections:
                connection.check()
        except OSError as error:
            raise LoadFailedError(f"{server.name} broke the connection: {error}") from error
        return repeat_window([connection.exchange for connection in connections], seconds=seconds)


@contextlib.contextmanager
def _connected(server: Server, request: RawRequest) -> Iterator[_Connection]:
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=_TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield _Connection(connection, request)


class _Connection:
    """One keep-alive connection that sends one request and receives its answer into one buffer."""

    def __init__(self, connection: socket.socket, request: RawRequest) -> None:
        self._socket = connection
        self._request = request
        self._buffer = memoryview(bytearray(2 * _HEAD_LIMIT_BYTES + request.answer_bytes))

    def exchange(self) -> int:
        """Send the request, receive its answer, return the size of that, head and body.

        Raises:
            LoadFailedError: the answer is not 200, larger than agreed, or cut off.
        """
        self._socket.sendall(self._request.head)
        self._socket.sendall(self._request.body)
        received, head_bytes = self._receive_head()
        end = head_bytes + body_length(bytes(self._buffer[:head_bytes]))
        if end > len(self._buffer):
            raise LoadFailedError(f"the answer has {end} bytes; expected at most {len(self._buffer)}")
        while received < end:
            received += self._receive(received)
        if received > end:
            raise LoadFailedError(f"{received - end} bytes came after the end of the answer")
        return end

    def check(self) -> None:
        """Exchange once and compare the answer's data.

        Raises:
            LoadFailedError: also if the data is not what it must be.
        """
        end = self.exchange()
        expected = self._request.answer_data
        if expected is not None and self._buffer[end - len(expected) : end] != expected:
            raise LoadFailedError("the answer's data is not the data that was sent")

    def _receive_head(self) -> tuple[int, int]:
        """Bytes received so far, and how many of them are the head."""
        received = 0
        while True:
            received += self._receive(received)
            found = bytes(self._buffer[: min(received, _HEAD_LIMIT_BYTES)]).find(b"\r\n\r\n")
            if found >= 0:
                return received, found + 4
            if received >= _HEAD_LIMIT_BYTES:
                raise LoadFailedError(f"no end of headers in {_HEAD_LIMIT_BYTES} bytes")

    def _receive(self, offset: int) -> int:
        count = self._socket.recv_into(self._buffer[offset:])
        if count == 0:
            raise LoadFailedError("the server closed the connection in the middle of an answer")
        return count
