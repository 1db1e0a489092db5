"""Streams over real sockets: a slow reader holds its producer back, and who leaves cancels (T37)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import infer_json, request, wait_until
from tests.harness.models import WATCHFUL, write_python_model
from tests.unit.builders import FakeScheduler, echo_config, model, tensor
from tests.unit.frontends.http.fakes import server
from tritium.core.model_config import ModelTransactionPolicy
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.frontends.http.exchange import MAX_WAITING_BYTES
from tritium.frontends.http.handlers import HttpApi
from tritium.frontends.http.listener import HttpListener
from tritium.options import HttpOptions

ASK = request("POST", "/v2/models/echo/generate_stream", b'{"IN":1}')
EVENT = InferenceResponse([tensor([1.0] * 4096, "OUT")])
EVENT_BYTES = 4096 * 4  # "1.0," for each element
EVENTS = 4096  # 64 MiB
KERNEL_BYTES = 24 << 20  # what the sockets of both sides may hold, generously


class Producer:
    """A model's side of one stream: sends events for as long as it may."""

    def __init__(self, request: InferenceRequest) -> None:
        self.request = request
        self.sent = 0
        request.stream.attach(0, lambda slot: None, self._on_pause)

    def _on_pause(self, slot: int, paused: bool) -> None:
        if not paused:
            self.produce()

    def produce(self) -> None:
        while not self.request.stream.paused and self.sent < EVENTS:
            self.send()

    def send(self) -> None:
        self.sent += 1
        self.request.stream.send(EVENT, final=self.sent == EVENTS)


def run(scenario: Callable[[Producer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
    """``scenario`` with a client that has asked and reads no more than it is told to."""

    async def main() -> None:
        scheduler = FakeScheduler()
        config = echo_config(model_transaction_policy=ModelTransactionPolicy(decoupled=True))
        api = HttpApi(server(model(config, scheduler=scheduler)), max_input_bytes=1 << 20)
        listener = HttpListener(api, HttpOptions(port=0))
        await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1 << 16)
        try:
            writer.write(ASK)
            async with asyncio.timeout(120):
                while not scheduler.requests:
                    await turn()
                await scenario(Producer(scheduler.requests[0]), reader, writer)
        finally:
            writer.close()
            listener.close()
            listener.abort()
            await listener.drained()

    asyncio.run(main())


async def turn() -> None:
    await asyncio.sleep(0.001)


async def settled(producer: Producer) -> None:
    """Nothing has been sent for a while: the client's and the server's buffers are full."""
    before = -1
    while producer.sent != before:
        before = producer.sent
        for _ in range(200):
            await turn()


def test_a_slow_reader_holds_its_producer_back_and_gets_everything_in_the_end() -> None:
    async def scenario(
        producer: Producer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        producer.produce()
        await settled(producer)
        assert producer.request.stream.paused
        assert producer.sent * EVENT_BYTES < KERNEL_BYTES
        await reader.readuntil(b"\r\n\r\n")
        received = 0
        while size := int(await reader.readuntil(b"\r\n"), 16):
            chunk = await reader.readexactly(size + 2)
            assert chunk.startswith(b'data: {"OUT":[1.0,') and chunk.endswith(b"}\n\n\r\n")
            received += 1
        assert received == producer.sent == EVENTS

    run(scenario)


def test_a_producer_that_goes_on_is_cancelled_and_the_client_cut_off() -> None:
    async def scenario(
        producer: Producer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while not producer.request.stream.cancelled and producer.sent < EVENTS - 1:
            producer.send()
            if producer.sent % 16 == 0:
                await asyncio.sleep(0)
        assert producer.request.stream.cancelled
        assert producer.sent * EVENT_BYTES < KERNEL_BYTES + MAX_WAITING_BYTES
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(EVENTS * EVENT_BYTES)

    run(scenario)


def test_a_client_that_leaves_cancels_what_is_produced_for_it() -> None:
    async def scenario(
        producer: Producer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        producer.send()
        await reader.readuntil(b"\n\n")
        writer.close()
        while not producer.request.stream.cancelled:
            await turn()
        producer.send()

    run(scenario)


@pytest.mark.parametrize("path", ["generate", "generate_stream"])
def test_t37_a_generation_that_runs_notices_that_its_client_left(
    start_server: StartServer, repository: Path, path: str
) -> None:
    write_python_model(repository, "watchful", WATCHFUL)
    running = start_server(repository)

    def cancelled() -> bool:
        counts = running.infer("watchful", infer_json([0])).json["outputs"][0]["data"]
        return bool(counts == [1.0, 1.0])

    with running.connect() as connection:
        connection.send(request("POST", f"/v2/models/watchful/{path}", b'{"IN":60}'))
        assert running.infer("echo", infer_json([1])).status == 200
        wait_until(lambda: running.pending("watchful") == 0, 30, "it runs")
    wait_until(cancelled, 50, "it noticed")
    running.assert_three_ok()


# IN = n: sends n responses of 64 KiB and counts those that it has sent in a file.
FLOOD = """
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            path = os.path.join(os.path.dirname(__file__), ".sent")
            for i in range(int(values(request).max())):
                if sender.is_cancelled():
                    break
                sender.send(answer(np.full((1, 16384), 0.5, np.float32)))
                with open(path + "~", "w") as file:
                    file.write(str(i + 1))
                os.replace(path + "~", path)
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


def test_a_model_in_a_worker_waits_for_a_slow_reader_and_stops_when_it_leaves(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "flood", FLOOD, extra="model_transaction_policy { decoupled: true }")
    running = start_server(repository)
    counter = repository / "flood" / "1" / ".sent"
    before = running.rss_bytes()

    def sent() -> int:
        return int(counter.read_text()) if counter.exists() else 0

    with running.connect() as slow:
        slow.send(request("POST", "/v2/models/flood/generate_stream", b'{"IN":4000}'))
        wait_until(lambda: sent() > 10, 30, "it sends")
        wait_until(lambda: _still(sent), 30, "it waits")
        assert sent() < 2000
        assert running.rss_bytes() - before < 100 << 20
        assert running.infer("echo", infer_json([1])).status == 200
    once = running.ask("POST", "/v2/models/flood/generate", b'{"IN":1}')  # runs when the other has stopped
    assert once.status == 200
    assert sent() == 1
    running.assert_three_ok()


def _still(sent: Callable[[], int]) -> bool:
    before = sent()
    time.sleep(1)
    return sent() == before
