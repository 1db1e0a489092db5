"""Bounds on body, chunks, head and decompressed size (T26 to T29; CVE-2025-23310/23311/33201/33211)."""

from __future__ import annotations

import gzip
import select
import time
import zlib
from collections.abc import Iterator

import pytest

from tests.harness.http import Reply, request, wait_until
from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import GOOD, ServerProcess

INFER = "/v2/models/echo/infer"
LIMIT = 8 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("limits")
    write_python_model(root / "models", "echo", PLAIN)
    flags = ["--http-max-input-size", str(LIMIT)]
    with ServerProcess(root / "models", *flags, log=root / "log") as running:
        yield running


def send_slices(server: ServerProcess, head: bytes, piece: bytes, count: int) -> Reply:
    """Send ``head`` and then ``piece`` again and again until the server answers."""
    with server.connect() as connection:
        connection.send(head)
        connection.socket.setblocking(False)
        rest = piece
        while count and select.select([], [connection.socket], [], 0.2)[1]:
            try:
                rest = rest[connection.socket.send(rest) :]
            except (BrokenPipeError, ConnectionResetError):
                break
            if not rest:
                rest, count = piece, count - 1
        connection.socket.settimeout(30)
        reply = connection.reply()
        assert reply is not None
        return server.noted(reply)


def chunked_head(path: str = INFER) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


@pytest.mark.parametrize("length", [LIMIT + 1, 10**10, 10**13, 2**63 - 1])
def test_t26_a_body_that_is_announced_too_large_is_refused_before_it_is_read(
    server: ServerProcess, length: int
) -> None:
    before = server.rss_bytes()
    with server.connect() as connection:
        connection.send(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        reply = connection.reply()
        assert reply is not None
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        assert (
            f"{length} bytes exceeds the maximum of {LIMIT} bytes. Use --http-max-input-size" in reply.error
        )
        assert connection.rest() == b""
    assert server.rss_bytes() - before < 1 << 20
    server.assert_three_ok()


def test_t26_a_body_of_exactly_the_limit_is_taken(server: ServerProcess) -> None:
    assert server.infer("echo", GOOD + b" " * (LIMIT - len(GOOD))).status == 200
    reply = server.infer("echo", GOOD + b" " * (LIMIT + 1 - len(GOOD)))
    assert reply.status == 413


def test_t26_a_client_that_keeps_sending_still_reads_the_refusal(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.send(request("POST", INFER, b"x" * (5 * LIMIT)))
        reply = connection.reply()
    assert reply is not None and reply.status == 413


def test_t26_a_chunked_body_is_refused_when_it_passes_the_limit(server: ServerProcess) -> None:
    before = server.rss_bytes()
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    reply = send_slices(server, chunked_head(), piece, 10 * LIMIT // 65536)
    assert (reply.status, reply.headers["connection"]) == (413, "close")
    assert server.rss_bytes() - before < 3 * LIMIT
    server.assert_three_ok()


@pytest.mark.parametrize(
    "path", [INFER, "/v2/repository/index", "/v2/models/echo/generate", "/v2/health/live"]
)
def test_cve_2025_23310_a_million_chunks_of_a_byte_are_refused(server: ServerProcess, path: str) -> None:
    server.assert_three_ok()
    before = server.rss_bytes()
    began = time.monotonic()
    for _ in range(3):
        reply = send_slices(server, chunked_head(path), b"1\r\na\r\n" * 1000, 1000)
        assert reply.status in {404, 405, 413}
        if path == INFER:
            assert reply.error.startswith("Chunked request body exceeds maximum of 65536 non-empty chunks.")
    assert time.monotonic() - began < 30
    assert server.rss_bytes() - before < 10 << 20
    server.assert_three_ok()


def test_cve_2025_23310_as_many_chunks_as_are_allowed_are_taken(server: ServerProcess) -> None:
    spaces = 65536 - len(GOOD)
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD + b" " * spaces) + b"0\r\n\r\n"
    with server.connect() as connection:
        connection.send(chunked_head() + body)
        reply = connection.reply()
    assert reply is not None and reply.status == 200


@pytest.mark.parametrize("part", ["extension", "trailer", "trailers"])
def test_cve_2025_33201_endless_decoration_of_a_chunked_body_is_refused(
    server: ServerProcess, part: str
) -> None:
    before = server.rss_bytes()
    head = (
        chunked_head()
        + {"extension": b"5;a=", "trailer": b"1\r\na\r\n0\r\nX: ", "trailers": b"1\r\na\r\n0\r\n"}[part]
    )
    piece = b"X-T: aaaaa\r\n" * 5000 if part == "trailers" else b"a" * 60_000
    reply = send_slices(server, head, piece, 2000)
    assert reply.status == 431
    assert server.rss_bytes() - before < 20 << 20
    server.assert_three_ok()


HEADS = {
    "one header of 1 MB": (b"GET /v2 HTTP/1.1\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n", 431),
    "one header of 100 KB": (b"GET /v2 HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
    "a header name of 1 MB": (b"GET /v2 HTTP/1.1\r\n" + b"a" * (1 << 20) + b": a\r\n\r\n", 431),
    "20 000 headers": (b"GET /v2 HTTP/1.1\r\n" + b"X: a\r\n" * 20_000 + b"\r\n", 431),
    "257 headers": (b"GET /v2 HTTP/1.1\r\n" + b"X: a\r\n" * 257 + b"\r\n", 431),
    "a target of 100 KB": (b"GET /v2?" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 431),
    "a target of 1 MB": (b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n\r\n", 414),
    "a target of 9 KB": (b"GET /v2?" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", 414),
    "a method of 1 MB": (b"G" * (1 << 20) + b" /v2 HTTP/1.1\r\n\r\n", 400),
    "1 MB of empty lines": (b"\r\n" * (1 << 19) + b"NO\r\n\r\n", 400),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("piece", [1 << 20, 1000], ids=["at once", "in pieces"])
def test_t28_heads_that_are_too_large_are_refused(server: ServerProcess, name: str, piece: int) -> None:
    data, status = HEADS[name]
    with server.connect() as connection:
        for start in range(0, len(data), piece):
            connection.send(data[start : start + piece])
        reply = connection.reply()
    assert reply is not None
    assert reply.status == status or {reply.status, status} == {414, 431}
    assert reply.headers["connection"] == "close"
    server.assert_three_ok()


def test_t28_heads_within_the_limits_are_taken(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.send(b"GET /v2?" + b"a" * 8_000 + b" HTTP/1.1\r\n" + b"X: a\r\n" * 256 + b"\r\n")
        reply = connection.reply()
        assert reply is not None and reply.status == 200
        connection.send(b"GET /v2 HTTP/1.1\r\nX: " + b"a" * 60_000 + b"\r\n\r\n")
        reply = connection.reply()
        assert reply is not None and reply.status == 200


def bomb(coding: str, size: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    zeros = b" " * (1 << 20)
    return b"".join(compressor.compress(zeros) for _ in range(size >> 20)) + compressor.flush()


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_t29_a_bomb_is_refused_and_does_not_go_off(server: ServerProcess, coding: str) -> None:
    data = bomb(coding, 256 << 20)
    before = server.rss_bytes()
    began = time.monotonic()
    reply = server.infer("echo", data, {"Content-Encoding": coding})
    assert reply.status == 413
    assert time.monotonic() - began < 20
    assert server.rss_bytes() - before < 3 * LIMIT
    server.assert_three_ok()


def test_t29_a_decompressed_body_of_exactly_the_limit_is_taken(server: ServerProcess) -> None:
    whole = GOOD + b" " * (LIMIT - len(GOOD))
    assert server.infer("echo", gzip.compress(whole), {"Content-Encoding": "gzip"}).status == 200
    assert server.infer("echo", gzip.compress(whole + b" "), {"Content-Encoding": "gzip"}).status == 413


WRONG_CODINGS = {
    "nested": (gzip.compress(gzip.compress(GOOD)), "gzip", 400),
    "cut short": (gzip.compress(GOOD)[:-5], "gzip", 400),
    "only a head": (gzip.compress(GOOD)[:10], "gzip", 400),
    "empty": (b"", "gzip", 400),
    "with a tail": (gzip.compress(GOOD) + b"tail", "gzip", 400),
    "a wrong checksum": (gzip.compress(GOOD)[:-8] + b"\0" * 8, "gzip", 400),
    "plain": (GOOD, "gzip", 400),
    "plain as deflate": (GOOD, "deflate", 400),
    "deflate as gzip": (zlib.compress(GOOD), "gzip", 400),
    "gzip as deflate": (gzip.compress(GOOD), "deflate", 400),
    "deflate without its head": (zlib.compress(GOOD)[2:-4], "deflate", 400),
    "brotli": (GOOD, "br", 501),
    "two codings": (gzip.compress(gzip.compress(GOOD)), "gzip, gzip", 501),
    "unknown": (GOOD, "x" * 100, 501),
}


@pytest.mark.parametrize("name", WRONG_CODINGS)
def test_t29_wrong_codings_are_refused(server: ServerProcess, name: str) -> None:
    body, coding, status = WRONG_CODINGS[name]
    assert server.infer("echo", body, {"Content-Encoding": coding}).status == status


def test_t27_many_large_bodies_at_once(server: ServerProcess) -> None:
    """Each within the limit: all are answered, and memory comes back."""
    body = GOOD + b" " * (LIMIT - len(GOOD))
    before = server.rss_bytes()
    connections = [server.connect() for _ in range(16)]
    try:
        for connection in connections:
            connection.send(request("POST", INFER, body)[:-10])
        assert server.rss_bytes() - before < 17 * LIMIT
        for connection in connections:
            connection.send(body[-10:])
        for connection in connections:
            reply = connection.reply()
            assert reply is not None and reply.status == 200
    finally:
        for connection in connections:
            connection.socket.close()
    server.assert_three_ok()
    wait_until(lambda: server.rss_bytes() - before < 4 * LIMIT, 10, "memory comes back")
