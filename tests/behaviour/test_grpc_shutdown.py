"""SIGTERM over gRPC: what was accepted is answered, and streams that wait for nothing end (T18)."""

from __future__ import annotations

import queue
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from tests.behaviour.conftest import StartServer
from tests.harness.http import wait_until
from tests.harness.models import SLOW, write_python_model
from tests.harness.server import ServerProcess

_WAIT_S = 30.0


def slow_for(seconds: float) -> list[Any]:
    made = grpcclient.InferInput("IN", [1, 1], "FP32")
    made.set_data_from_numpy(np.array([[seconds]], np.float32))
    return [made]


def start(start_server: StartServer, repository: Path) -> ServerProcess:
    write_python_model(repository, "slow", SLOW)
    return start_server(repository)


def test_t18_unary_requests_that_were_accepted_are_answered(
    start_server: StartServer, repository: Path
) -> None:
    server = start(start_server, repository)
    with grpcclient.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        with ThreadPoolExecutor(3) as pool:
            calls: list[Future[Any]] = [
                pool.submit(client.infer, "slow", slow_for(1), client_timeout=_WAIT_S) for _ in range(3)
            ]
            wait_until(lambda: server.pending("slow") == 2, _WAIT_S, "one runs and two wait")
            server.signal(signal.SIGTERM)
            assert [call.result().as_numpy("OUT").shape for call in calls] == [(1, 1)] * 3
        assert server.process.wait(_WAIT_S) == 0


def test_t18_a_stream_is_answered_and_then_ended(start_server: StartServer, repository: Path) -> None:
    server = start(start_server, repository)
    replies: queue.Queue[Any] = queue.Queue()
    with grpcclient.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        client.start_stream(lambda result, error: replies.put(error or result))
        for number in range(3):
            client.async_stream_infer("slow", slow_for(0.7), request_id=str(number))
        wait_until(lambda: server.pending("slow") == 2, _WAIT_S, "one runs and two wait")
        server.signal(signal.SIGTERM)
        answers = [replies.get(timeout=_WAIT_S) for _ in range(3)]
        assert [answer.get_response().id for answer in answers] == ["0", "1", "2"]
        end = replies.get(timeout=_WAIT_S)
        assert isinstance(end, InferenceServerException)
        assert end.status() == "StatusCode.UNAVAILABLE"
        assert server.process.wait(_WAIT_S) == 0


def test_t18_streams_and_watchers_that_wait_do_not_delay_the_end(
    start_server: StartServer, repository: Path
) -> None:
    server = start_server(repository)
    replies: queue.Queue[Any] = queue.Queue()
    target = f"127.0.0.1:{server.grpc_port}"
    with grpcclient.InferenceServerClient(target) as client, grpc.insecure_channel(target) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=_WAIT_S)
        assert next(watch) == b"\x08\x01"
        client.start_stream(lambda result, error: replies.put(error or result))
        client.async_stream_infer("nope", slow_for(0))
        assert isinstance(replies.get(timeout=_WAIT_S), InferenceServerException)
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert next(watch) == b"\x08\x02"
        assert server.process.wait(_WAIT_S) == 0
        assert time.monotonic() - began < 20
