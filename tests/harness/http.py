"""HTTP over plain sockets: nothing is corrected, followed or hidden on the way."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One response; ``headers`` by lower-case name."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The text of an error reply."""
        text = self.json["error"]
        assert isinstance(text, str)
        return text


class Connection:
    """A client's connection. Use it in a ``with`` block."""

    def __init__(self, port: int, *, timeout_s: float = TIMEOUT_S, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout_s)
        try:
            self.socket.connect(("127.0.0.1", port))
        except BaseException:
            self.socket.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of ``data``; a server that has closed already is no error here."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def reply(self, *, head: bool = False) -> Reply | None:
        """The next response, or None when the server closes before one begins.

        Args:
            head: the response has no body, whatever its headers say.
        """
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                assert not self._buffer, f"the server closed inside a head: {self._buffer[:200]!r}"
                return None
        raw, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")
        version, status, reason = first.split(" ", 2)
        assert version == "HTTP/1.1", first
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self.chunk, b""))
        else:
            body = b"" if head or status == "100" else self._body(headers.get("content-length"))
        return Reply(int(status), reason, headers, body)

    def _body(self, length: str | None) -> bytes:
        if length is None:
            while self._more():
                pass
            body, self._buffer = self._buffer, b""
            return body
        while len(self._buffer) < int(length):
            assert self._more(), "the server closed inside a body"
        body, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
        return body

    def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = int(self._line(), 16)
        chunk = self._body(str(size))
        assert self._line() == b"", "a chunk is not followed by an empty line"
        return chunk

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            assert self._more(), f"the server closed inside a chunked body: {self._buffer[:200]!r}"
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def rest(self) -> bytes:
        """Everything up to the end of the connection, which must come."""
        while self._more():
            pass
        rest, self._buffer = self._buffer, b""
        return rest

    def reset(self) -> None:
        """Close with RST and without a goodbye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def _more(self) -> bool:
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            return False
        self._buffer += data
        return bool(data)


def request(
    method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """A request with a Host, the Content-Length of ``body`` and ``headers``."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def infer_json(
    data: Sequence[Any],
    *,
    shape: Sequence[Any] | None = None,
    datatype: str = "FP32",
    name: str = "IN",
    **extra: Any,
) -> bytes:
    """The JSON of a request with one input; ``shape`` is one row of ``data`` if it is left out."""
    tensor = {
        "name": name,
        "shape": [1, len(data)] if shape is None else list(shape),
        "datatype": datatype,
        "data": list(data),
    }
    return json.dumps({"inputs": [tensor], **extra}).encode()


def infer_binary(
    tensors: Sequence[tuple[str, str, Sequence[int], bytes]], **extra: Any
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request whose inputs are (name, datatype, shape, bytes)."""
    inputs = [
        {
            "name": name,
            "datatype": datatype,
            "shape": list(shape),
            "parameters": {"binary_data_size": len(data)},
        }
        for name, datatype, shape, data in tensors
    ]
    document = json.dumps({"inputs": inputs, **extra}).encode()
    body = document + b"".join(data for _, _, _, data in tensors)
    return body, {"Inference-Header-Content-Length": str(len(document))}


def wait_until(condition: Any, timeout_s: float, what: str) -> float:
    """Poll ``condition`` until it is true: the seconds that it took. Fails after ``timeout_s``."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - began
