"""Models that wait for a gate, and requests that wait behind them: to compare two servers."""

from __future__ import annotations

import functools
import queue
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.harness.http import infer_json, wait_until
from tests.harness.peers import Peer, message, response

LIMIT_S = 30.0

# OUT tells in which execution, with how many and in which place a request ran. IN = -1 waits until a file
# ``.go`` is beside model.py, and says by ``.running`` that it does; IN = -2 is an error, and IN >= 1000 waits
# so many microseconds.
GATED = """
class TritonPythonModel:
    def initialize(self, args):
        self.executions = 0
        directory = os.path.dirname(__file__)
        self.running, self.go = os.path.join(directory, ".running"), os.path.join(directory, ".go")

    def execute(self, requests):
        self.executions += 1
        if any(values(request).max() == -1 for request in requests):
            self.wait()
        time.sleep(max([0.0, *(values(request).max() / 1e6 for request in requests)]))
        return [self.one(request, len(requests), place) for place, request in enumerate(requests)]

    def wait(self):
        open(self.running, "w").close()
        end = time.monotonic() + 30
        while not os.path.exists(self.go) and time.monotonic() < end:
            time.sleep(0.005)
        os.remove(self.running)
        os.remove(self.go)

    def one(self, request, size, place):
        given = values(request)
        if given.max() == -2:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("told so"))
        seen = np.array([[self.executions, size, place]], np.float32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.repeat(seen, len(given), axis=0))])
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits; ``parameters`` are Triton's (priority, timeout, sequence_id, ...)."""

    id: str
    shape: tuple[int, ...] = (1, 1)
    value: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ("IN",)

    def message(self, model: str) -> service_pb2.ModelInferRequest:
        """The request for ``model``."""
        count = 1
        for size in self.shape:
            count *= size
        data = struct.pack(f"<{count}f", *([self.value] * count))
        tensors = [(name, "FP32", self.shape, data) for name in self.names]
        made = message(model, tensors, **self.parameters)
        made.id = self.id
        return made


Happened = tuple[str, Any]  # the id, and [execution, size, place] or the text of an error


@contextmanager
def held(peer: Peer, model: str) -> Iterator[Callable[[], None]]:
    """``model``'s instance is busy until the function that this gives is called, at the latest at the end."""
    directory = peer.repository / model / "1"
    running, gate = directory / ".running", directory / ".go"
    gate.unlink(missing_ok=True)
    gone_on = threading.Event()

    def go_on() -> None:
        if not gone_on.is_set():
            gone_on.set()
            gate.touch()

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(peer.infer, model, infer_json([-1.0]))
        try:
            wait_until(running.exists, LIMIT_S, f"{model} is busy")
            yield go_on
        finally:
            go_on()
        answer = busy.result()
        assert answer["status"] == 200, answer


@contextmanager
def stream(peer: Peer, model: str) -> Iterator[tuple[Callable[[Asked], None], queue.SimpleQueue[Happened]]]:
    """One stream, in which requests arrive in their order: how to ask, and what is answered."""
    asked: queue.SimpleQueue[service_pb2.ModelInferRequest | None] = queue.SimpleQueue()
    answers: queue.SimpleQueue[Happened] = queue.SimpleQueue()

    def read(call: Any) -> None:
        for each in call:
            found = response(each.infer_response)
            answers.put((found.get("id", ""), each.error_message or _numbers(each.infer_response)))

    with grpc.insecure_channel(f"127.0.0.1:{peer.grpc_port}") as channel, ThreadPoolExecutor(1) as pool:
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(
            iter(asked.get, None), timeout=2 * LIMIT_S
        )
        reading = pool.submit(read, call)
        try:
            yield lambda one: asked.put(one.message(model)), answers
        except BaseException:
            call.cancel()
            raise
        finally:
            asked.put(None)
        reading.result()


def _numbers(message: service_pb2.ModelInferResponse) -> list[int]:
    raw = message.raw_output_contents[0]
    return [int(number) for number in struct.unpack(f"<{len(raw) // 4}f", raw)]


def behind_a_busy_instance(peer: Peer, model: str, asked: Sequence[Asked]) -> list[Happened]:
    """What happens to requests that arrive one after the other while the only instance is busy.

    Returns:
        Who ran, in that order, with executions counted from the first one; then who did not.
    """
    found: queue.SimpleQueue[Happened] = queue.SimpleQueue()

    def answered(name: str, call: Any) -> None:
        error = call.exception()
        found.put((name, _numbers(call.result()) if error is None else error.details()))

    with (
        held(peer, model) as release,
        grpc.insecure_channel(f"127.0.0.1:{peer.grpc_port}") as channel,
    ):
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for place, one in enumerate(asked, 1):
            call = stub.ModelInfer.future(one.message(model), timeout=LIMIT_S)
            call.add_done_callback(functools.partial(answered, one.id))
            wait_until(lambda: peer.pending(model) + found.qsize() >= place, LIMIT_S, "it has arrived")  # noqa: B023
        release()
        happened = [found.get(timeout=LIMIT_S) for _ in asked]
    ran = sorted((each for each in happened if not isinstance(each[1], str)), key=lambda each: each[1])
    first = ran[0][1][0] if ran else 0
    told = [(name, [execution - first, *place[:2]]) for name, (execution, *place) in ran]
    return told + sorted(each for each in happened if isinstance(each[1], str))
