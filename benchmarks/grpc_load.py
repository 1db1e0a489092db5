"""Load by grpcio with messages that are serialized once: large ones, and many idle connections.

perf_analyzer spends several times as long on a 12.6 MB message as either server does, and has one connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

from benchmarks.load import LoadFailedError, Window, percentile, repeat_window
from benchmarks.servers import Server

_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
_OPENING = 50  # connections that are opened at the same time
_LIMIT_S = 30.0  # of a call


@dataclass(frozen=True, slots=True)
class IdleFigures:
    """What connections cost that ask once a second."""

    errors: int
    p99_s: float
    bytes_per_connection: float  # of the server's resident memory, before the first of those requests


def asking(model: str, elements: int) -> tuple[bytes, bytes]:
    """A serialized request for ``model``, and the bytes of its FP32 [1, elements]."""
    data = np.arange(elements, dtype=np.float32).tobytes()
    message = service_pb2.ModelInferRequest(model_name=model)
    message.inputs.add(name="INPUT0", datatype="FP32", shape=[1, elements])
    message.raw_input_contents.append(data)
    return message.SerializeToString(), data


def call_window(server: Server, model: str, elements: int, *, seconds: float) -> Window:
    """One client that asks again and again over one connection.

    Raises:
        LoadFailedError: a request failed, or the first answer is not what was sent.
    """
    message, data = asking(model, elements)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options=_UNLIMITED) as channel:
        call = channel.unary_unary(_METHOD)
        try:
            answer = call(message, timeout=_LIMIT_S)
        except grpc.RpcError as error:
            raise LoadFailedError(f"{server.name} did not answer: {error}") from error
        if not answer.endswith(data):
            raise LoadFailedError(f"{server.name} answered other data than was sent")
        return repeat_window([lambda: call(message, timeout=_LIMIT_S)], seconds=seconds)


def idle_connections(server: Server, model: str, elements: int, *, count: int, seconds: int) -> IdleFigures:
    """``count`` connections that have each asked once, then ask once a second for ``seconds``."""
    return asyncio.run(_idle_connections(server, asking(model, elements)[0], count, seconds))


async def _idle_connections(server: Server, message: bytes, count: int, seconds: int) -> IdleFigures:
    async with _connection(server) as warm:
        for _ in range(100):
            await warm(message, timeout=_LIMIT_S)
    before = server.resident_bytes()
    opening = asyncio.Semaphore(_OPENING)
    opened, begin = asyncio.Barrier(count + 1), asyncio.Barrier(count + 1)
    latencies: list[float] = []
    errors = 0

    async def client(index: int) -> None:
        nonlocal errors
        async with _connection(server) as call:
            async with opening:
                await call(message, timeout=_LIMIT_S)
            await opened.wait()
            await begin.wait()
            start = time.perf_counter() + index / count
            for second in range(seconds):
                await asyncio.sleep(max(0.0, start + second - time.perf_counter()))
                asked = time.perf_counter()
                try:
                    await call(message, timeout=_LIMIT_S)
                except grpc.RpcError:
                    errors += 1
                latencies.append(time.perf_counter() - asked)

    async with asyncio.TaskGroup() as clients:
        for index in range(count):
            clients.create_task(client(index))
        await opened.wait()
        after = server.resident_bytes()
        await begin.wait()
    return IdleFigures(errors, percentile(sorted(latencies), 0.99), (after - before) / count)


@asynccontextmanager
async def _connection(server: Server) -> AsyncIterator[grpc.aio.UnaryUnaryMultiCallable]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}", options=_OWN_CONNECTION) as channel:
        yield channel.unary_unary(_METHOD)
