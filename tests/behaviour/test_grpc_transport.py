"""The gRPC transport with real clients: grpcio sync and aio, nghttp2's tools, curl."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from tests.harness.grpc import TIMEOUT_S, GrpcServerThread, ToyService
from tests.harness.http import wait_until
from tritium.errors import UnavailableError
from tritium.frontends.grpc.health import HealthService
from tritium.frontends.grpc.listener import offer_http2
from tritium.frontends.grpc.settings import GrpcSettings
from tritium.http2.limits import Http2Limits

ECHO, HOLD, CHAT, COUNT = "/toy.Toy/Echo", "/toy.Toy/Hold", "/toy.Toy/Chat", "/toy.Toy/Count"
UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
GRPC_HEADERS = ["-H", "te: trailers", "-H", "content-type: application/grpc"]


@pytest.fixture(scope="module")
def server() -> Iterator[GrpcServerThread]:
    with GrpcServerThread(ToyService()) as running:
        yield running


@pytest.fixture
def channel(server: GrpcServerThread) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.target, options=UNBOUNDED) as opened:
        yield opened


def tool(name: str) -> str:
    """The path of a program; the test is skipped where it is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian: nghttp2-client, curl)")
    return path


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S * 2, check=False)
    return (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.parametrize("size", [0, 1, 100_000, 20_000_000])
def test_messages_of_any_size_come_back(channel: grpc.Channel, size: int) -> None:
    message = bytes(size // 2) + b"\x5a" * (size - size // 2)
    assert channel.unary_unary(ECHO)(message, timeout=TIMEOUT_S) == message


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_read(channel: grpc.Channel, compression: grpc.Compression) -> None:
    message = b"abc" * 100_000
    assert channel.unary_unary(ECHO)(message, compression=compression, timeout=TIMEOUT_S) == message


def test_compressed_replies_are_read() -> None:
    settings = GrpcSettings(port=0, compression="gzip")
    with GrpcServerThread(ToyService(), settings) as server, grpc.insecure_channel(server.target) as channel:
        assert channel.unary_unary(ECHO)(b"abc" * 100_000, timeout=TIMEOUT_S) == b"abc" * 100_000
        assert len([*channel.stream_stream(CHAT)(iter([b"x" * 1000] * 9), timeout=TIMEOUT_S)]) == 9


def test_a_thousand_calls_on_one_channel(channel: grpc.Channel) -> None:
    echo = channel.unary_unary(ECHO)
    futures = [echo.future(b"%d" % number, timeout=TIMEOUT_S) for number in range(1000)]
    assert [future.result() for future in futures] == [b"%d" % number for number in range(1000)]


def test_a_stream_carries_many_messages_both_ways(channel: grpc.Channel) -> None:
    messages = [b"x" * (number * 50) for number in range(1000)]
    assert [*channel.stream_stream(CHAT)(iter(messages), timeout=TIMEOUT_S)] == messages


def test_a_stream_of_ten_thousand_replies_is_complete(channel: grpc.Channel) -> None:
    replies = channel.unary_stream(COUNT)(b"10000", timeout=TIMEOUT_S * 2)
    assert [int(reply) for reply in replies] == [*range(10_000)]


def test_statuses_reach_the_client(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/toy.Toy/None")(b"", timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_deadline_ends_the_call_on_both_sides(server: GrpcServerThread, channel: grpc.Channel) -> None:
    cancelled = len(server.service.cancelled)
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(HOLD)(b"", timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: len(server.service.cancelled) == cancelled + 1, TIMEOUT_S, "the handler is told")


def test_a_cancelled_call_is_told_to_the_handler(server: GrpcServerThread, channel: grpc.Channel) -> None:
    held, cancelled = len(server.service.held), len(server.service.cancelled)
    future = channel.unary_unary(HOLD).future(b"")
    wait_until(lambda: len(server.service.held) == held + 1, TIMEOUT_S, "the call begins")
    future.cancel()
    wait_until(lambda: len(server.service.cancelled) == cancelled + 1, TIMEOUT_S, "the handler is told")


def test_the_clients_of_grpc_aio_are_served(server: GrpcServerThread) -> None:
    async def talk() -> tuple[list[bytes], list[bytes]]:
        async with grpc.aio.insecure_channel(server.target) as channel:
            echo = channel.unary_unary(ECHO)
            unary = await asyncio.gather(*(echo(b"%d" % number, timeout=TIMEOUT_S) for number in range(100)))
            chat = channel.stream_stream(CHAT)(timeout=TIMEOUT_S)
            for number in range(100):
                await chat.write(b"%d" % number)
            await chat.done_writing()
            return [*unary], [reply async for reply in chat]

    expected = [b"%d" % number for number in range(100)]
    assert asyncio.run(talk()) == (expected, expected)


def test_health_is_checked_and_watched() -> None:
    ready = {""}
    health = HealthService(lambda name: name in ready)
    service = ToyService(health.methods)
    with GrpcServerThread(service) as server, grpc.insecure_channel(server.target) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=TIMEOUT_S) == b"\x08\x01"
        assert check(b"\x0a\x01m", timeout=TIMEOUT_S) == b"\x08\x02"
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=TIMEOUT_S)
        assert next(watch) == b"\x08\x01"
        ready.clear()
        server.do(health.refresh)
        assert next(watch) == b"\x08\x02"
        watch.cancel()
        wait_until(lambda: health.watchers == 0, TIMEOUT_S, "the watcher is forgotten")


def test_a_stop_waits_for_calls_under_way() -> None:
    service = ToyService()
    with GrpcServerThread(service) as server, grpc.insecure_channel(server.target) as channel:
        future = channel.unary_unary(HOLD).future(b"", timeout=TIMEOUT_S)
        wait_until(lambda: len(service.held) == 1, TIMEOUT_S, "the call begins")
        server.do(server.listener.close)
        server.do(lambda: service.held[0].respond(b"in time"))
        assert future.result() == b"in time"
        wait_until(lambda: len(server.listener) == 0, TIMEOUT_S, "the connection ends")


def test_a_port_that_is_taken_is_named() -> None:
    with GrpcServerThread(ToyService()) as server:
        second = GrpcServerThread(ToyService(), GrpcSettings(port=server.listener.port))
        taken = rf"Socket '127\.0\.0\.1:{server.listener.port}' already in use"
        with pytest.raises(UnavailableError, match=taken), second:
            raise AssertionError("it listens")


def test_several_servers_may_share_a_port() -> None:
    settings = GrpcSettings(port=0, reuse_port=True)
    with GrpcServerThread(ToyService(), settings) as first:
        shared = GrpcSettings(port=first.listener.port, reuse_port=True)
        with GrpcServerThread(ToyService(), shared) as second:
            assert second.target == first.target
            with grpc.insecure_channel(first.target) as channel:
                assert channel.unary_unary(ECHO)(b"x", timeout=TIMEOUT_S) == b"x"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for localhost that signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    key, crt = folder / "key.pem", folder / "crt.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key), "-out", str(crt)]
    run(tool("openssl"), "req", "-x509", *made, *names)
    return key, crt


def test_tls_is_served_with_alpn(certificate: tuple[Path, Path]) -> None:
    key, crt = certificate
    context = offer_http2(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.load_cert_chain(crt, key)
    with GrpcServerThread(ToyService(), tls=context) as server:
        credentials = grpc.ssl_channel_credentials(crt.read_bytes())
        with grpc.secure_channel(server.target, credentials, options=UNBOUNDED) as channel:
            echo = channel.unary_unary(ECHO)
            assert echo(b"x", timeout=TIMEOUT_S) == b"x"
            assert echo(bytes(5_000_000), timeout=TIMEOUT_S) == bytes(5_000_000)
        with grpc.insecure_channel(server.target) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(ECHO)(b"x", timeout=TIMEOUT_S)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_mutual_tls_refuses_who_has_no_certificate(certificate: tuple[Path, Path]) -> None:
    key, crt = certificate
    context = offer_http2(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.load_cert_chain(crt, key)
    context.load_verify_locations(crt)
    context.verify_mode = ssl.CERT_REQUIRED
    with GrpcServerThread(ToyService(), tls=context) as server:
        known = grpc.ssl_channel_credentials(crt.read_bytes(), key.read_bytes(), crt.read_bytes())
        with grpc.secure_channel(server.target, known) as channel:
            assert channel.unary_unary(ECHO)(b"x", timeout=TIMEOUT_S) == b"x"
        unknown = grpc.ssl_channel_credentials(crt.read_bytes())
        with grpc.secure_channel(server.target, unknown) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(ECHO)(b"x", timeout=TIMEOUT_S)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_h2load_gets_every_answer(server: GrpcServerThread, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"\0\0\0\0\5hello")
    url = f"http://{server.target}{ECHO}"
    shown = run(tool("h2load"), "-n", "2000", "-c", "4", "-m", "8", "-d", str(body), *GRPC_HEADERS, url)
    assert re.search(r"requests: 2000 total, .* 2000 succeeded, 0 failed", shown), shown


def test_nghttp_sees_a_whole_conversation(server: GrpcServerThread, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"\0\0\0\0\5hello")
    shown = run(tool("nghttp"), "-v", "-d", str(body), *GRPC_HEADERS, f"http://{server.target}{ECHO}")
    assert "recv (stream_id=" in shown
    assert "grpc-status: 0" in shown
    assert "hello" in shown


def test_curl_is_told_what_is_missing(server: GrpcServerThread) -> None:
    curl = [tool("curl"), "-s", "-i", "--max-time", "20"]
    plain = run(*curl, "--http2-prior-knowledge", f"http://{server.target}/v2")
    assert plain.startswith("HTTP/2 415")
    old = run(*curl, "--http1.1", f"http://{server.target}/v2")
    assert old.startswith("HTTP/1.1 505")
    assert "gRPC" in old


def test_clients_that_break_rules_leave_others_alone(server: GrpcServerThread, channel: grpc.Channel) -> None:
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            with socket.create_connection(("127.0.0.1", server.listener.port), timeout=TIMEOUT_S) as raw:
                raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" + b"\0\0\1\0\0\0\0\0\0x")
                while raw.recv(4096):
                    pass

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        echo = channel.unary_unary(ECHO)
        assert all(echo(b"x", timeout=TIMEOUT_S) == b"x" for _ in range(100))
    finally:
        stop.set()
        thread.join(TIMEOUT_S)


def test_more_metadata_than_allowed_is_refused_and_the_connection_stays() -> None:
    settings = GrpcSettings(port=0, limits=Http2Limits(max_header_list_bytes=1000))
    with GrpcServerThread(ToyService(), settings) as server, grpc.insecure_channel(server.target) as channel:
        echo = channel.unary_unary(ECHO)
        with pytest.raises(grpc.RpcError) as caught:
            echo(b"x", metadata=[("k", "v" * 2000)], timeout=TIMEOUT_S)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert echo(b"x", timeout=TIMEOUT_S) == b"x"
