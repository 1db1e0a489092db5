"""A large tensor on its way through a worker and back: copied once each way, and the bytes are counted."""

from __future__ import annotations

import os
import socket
import tracemalloc
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest

from tests.unit.builders import request, tensor
from tritium.execution.wire import WireCodec
from tritium.execution.worker import Worker
from tritium_worker import channel as channel_module
from tritium_worker import frames
from tritium_worker.arena import ArenaReader, ArenaWriter
from tritium_worker.channel import Channel
from tritium_worker.executor import Executor
from tritium_worker.model_host import ModelHost
from tritium_worker.request import InferenceRequest
from tritium_worker.response import InferenceResponse
from tritium_worker.tensor import Tensor

ELEMENTS = 3_145_728  # of FP32: 12.6 MB
ARENA_BYTES = 1 << 26


class CountingWriter(ArenaWriter):
    """Knows how many bytes it copied."""

    copied = 0

    def place(self, buffer: memoryview) -> int | None:
        self.copied += len(buffer)
        return super().place(buffer)


class Identity:
    """As much of a host of ``model.py`` as the executor sees."""

    name, version, decoupled = "m", "1", False

    def execute(self, requests: list[InferenceRequest]) -> list[InferenceResponse]:
        return [InferenceResponse([Tensor("OUT", r.inputs()[0].as_numpy())]) for r in requests]


class ServersSide:
    """As much of the server's end of a worker as its codec sees."""

    name = "m_0"

    def __init__(self, in_fd: int, out_fd: int) -> None:
        self.inputs = CountingWriter(in_fd, ARENA_BYTES)
        self.outputs = ArenaReader(out_fd)


@pytest.fixture
def fds() -> Iterator[tuple[int, int]]:
    numbers = os.memfd_create("in"), os.memfd_create("out")
    yield numbers
    for number in numbers:
        os.close(number)


def test_twelve_megabytes_are_copied_once_into_the_worker_and_once_out_of_it(
    fds: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    writers: list[CountingWriter] = []

    def writer(*arguments: Any) -> CountingWriter:
        writers.append(CountingWriter(*arguments))
        return writers[-1]

    monkeypatch.setattr(channel_module, "ArenaWriter", writer)
    server = ServersSide(*fds)
    codec, peer = WireCodec(), cast(Worker, server)
    asked = request(tensor(np.arange(ELEMENTS, dtype=np.float32)))
    nbytes = len(asked.inputs[0].buffer)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(theirs, *fds, ARENA_BYTES)
        executor = Executor(cast(ModelHost, Identity()), channel, None, "m_0")
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            sent = b"".join(frames.encode_batch(frames.EXECUTE, 1, [codec.encode(asked, peer, 0)]))
            executor.run(memoryview(sent)[frames.HEAD.size :])
            channel.flush()
            received = ours.recv(1 << 16)
            outcome = codec.decode_result(memoryview(received)[frames.HEAD.size :], peer)
            allocated = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
    (output,) = outcome.responses[0].outputs
    assert output.buffer == asked.inputs[0].buffer
    assert (server.inputs.copied, writers[0].copied) == (nbytes, nbytes)  # between the processes
    assert len(sent) + len(received) < 1000  # through the socket
    assert allocated < nbytes // 50  # anywhere else, numpy's arrays included: a copy would need all of it
