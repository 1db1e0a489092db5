"""Clients of the gRPC port that mean no good: they are told to calm down, others notice nothing (T41)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import ServerProcess
from tritium.http2.errors import Http2Code
from tritium.http2.frames import GOAWAY, HEAD, PREFACE, U32
from tritium.http2.headers import encode_fields

_WAIT_S = 30.0
_REQUEST = encode_fields(
    [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/inference.GRPCInferenceService/ServerLive"),
        (b":authority", b"a"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root: Path = tmp_path_factory.mktemp("abuse")
    write_python_model(root / "models", "echo", PLAIN)
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


_FLOODS = {
    "ten thousand pings": b"".join(frame(6, 0, 0, bytes(8)) for _ in range(10_000)),
    "twenty thousand rapid resets": b"".join(
        frame(1, 5, number, _REQUEST) + frame(3, 0, number, b"\0\0\0\x08") for number in range(1, 40_001, 2)
    ),
    "ten thousand open streams": b"".join(frame(1, 4, number, _REQUEST) for number in range(1, 20_001, 2)),
    "ten thousand SETTINGS": frame(4, 0, 0, b"\0\4\0\0\0\x10") * 10_000,
    "ten thousand CONTINUATION": frame(1, 0, 1, _REQUEST) + frame(9, 0, 1, b"\0\1a\0") * 10_000,
    "3 MB of metadata": frame(1, 0, 1, _REQUEST) + frame(9, 0, 1, b"\0\1a\0" * 4000) * 200,
}


def last_words(server: ServerProcess, data: bytes) -> Http2Code | None:
    """Send ``data`` and read to the end: the code of the GOAWAY, if there is one."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.grpc_port), timeout=_WAIT_S) as raw:
        with contextlib.suppress(ConnectionError):  # the server closes while we still send
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while piece := raw.recv(1 << 16):
                received += piece
    while len(received) >= 9:
        head, _, _ = HEAD.unpack_from(received)
        if head & 0xFF == GOAWAY:
            return Http2Code(U32.unpack_from(received, 13)[0])
        received = received[9 + (head >> 8) :]
    return None


@pytest.mark.parametrize("name", _FLOODS)
def test_t41_a_flood_is_ended_and_leaves_the_server_well(server: ServerProcess, name: str) -> None:
    code = last_words(server, PREFACE + frame(4, 0, 0) + _FLOODS[name])
    assert code is Http2Code.ENHANCE_YOUR_CALM
    server.assert_three_ok()


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"\x16\x03\x01" * 50, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"])
def test_t41_a_garbage_preface_is_refused(server: ServerProcess, garbage: bytes) -> None:
    assert last_words(server, garbage) in (Http2Code.PROTOCOL_ERROR, None)
    server.assert_three_ok()


def test_t41_abuse_leaves_other_grpc_clients_alone(server: ServerProcess) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        ready = channel.unary_unary("/inference.GRPCInferenceService/ServerReady")
        for flood in _FLOODS.values():
            last_words(server, PREFACE + frame(4, 0, 0) + flood)
            assert ready(b"", timeout=_WAIT_S) == b"\x08\x01"
        with pytest.raises(grpc.RpcError) as caught:
            ready(b"", metadata=[("k", "v" * 3_000_000)], timeout=_WAIT_S)
        assert caught.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
        assert ready(b"", timeout=_WAIT_S) == b"\x08\x01"
