"""Priorities, queue policies and order of dynamic batching, by Triton's own clients over HTTP and gRPC."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from tests.harness.http import infer_json, request, wait_until
from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import ServerProcess

WAIT_S = 30.0
HOLD, GO = 1.0, 0.0
# Answers number of batch and place in it. IN = 1 makes a file ``running`` beside model.py, then waits
# until there is one named ``open``.
HELD = """
class TritonPythonModel:
    def initialize(self, args):
        self.batches = 0

    def execute(self, requests):
        self.batches += 1
        number = self.batches
        if max(float(values(request).max()) for request in requests) == 1:
            here = os.path.dirname(__file__)
            open(os.path.join(here, "running"), "w").close()
            gate = os.path.join(here, "open")
            end = time.monotonic() + 60
            while not os.path.exists(gate) and time.monotonic() < end:
                time.sleep(0.005)
        time.sleep(0.002)
        return [answer(np.array([[number, i]], np.float32)) for i in range(len(requests))]
"""
ASKS = """
class TritonPythonModel:
    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        asked = pb_utils.InferenceRequest(
            model_name="levels", inputs=[pb_utils.Tensor("IN", np.zeros((1, 1), np.float32))],
            requested_output_names=["OUT"], priority=request.priority(), timeout=request.timeout(),
        ).exec()
        if asked.has_error():
            return pb_utils.InferenceResponse(error=asked.error())
        return answer(pb_utils.get_output_tensor_by_name(asked, "OUT").as_numpy())
"""
TIMED = "default_timeout_microseconds: {} allow_timeout_override: true"
BATCHING = {
    "levels": "priority_levels: 3 default_priority_level: 2",
    "rejects": f"default_queue_policy {{ {TIMED.format(400_000)} }}",
    "delays": f"default_queue_policy {{ timeout_action: DELAY {TIMED.format(50_000_000)} }}",
    "bounded": "default_queue_policy { max_queue_size: 3 }",
    "ordered": "preserve_ordering: true",
    "overload": "default_queue_policy { max_queue_size: 64 }",
    "preferred": "preferred_batch_size: 2",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("queues")
    models = root / "models"
    write_python_model(models, "echo", PLAIN)
    for name, batching in BATCHING.items():
        count = 2 if name == "ordered" else 1
        extra = f"dynamic_batching {{ {batching} }} instance_group {{ count: {count} }}"
        write_python_model(models, name, HELD, max_batch_size=1 if name == "ordered" else 4, extra=extra)
    write_python_model(models, "asks", ASKS, extra="instance_group { count: 4 }")
    with ServerProcess(models, log=root / "log") as running:
        yield running
        running.assert_three_ok()


class Client:
    """tritonclient's calls from threads, over either protocol: each gives batch and place, or raises."""

    def __init__(self, server: ServerProcess, protocol: str, pool: ThreadPoolExecutor) -> None:
        self.server = server
        self.api: Any = getattr(tritonclient, protocol)
        port = server.http_port if protocol == "http" else server.grpc_port
        self.address = f"127.0.0.1:{port}"
        self.pool = pool

    def ask(self, model: str, value: float = GO, **options: Any) -> Future[tuple[int, int]]:
        return self.pool.submit(self._ask, model, value, options)

    def _ask(self, model: str, value: float, options: dict[str, Any]) -> tuple[int, int]:
        tensor = self.api.InferInput("IN", [1, 1], "FP32")
        tensor.set_data_from_numpy(np.full((1, 1), value, np.float32))
        with self.api.InferenceServerClient(self.address) as client:
            batch, place = client.infer(model, [tensor], **options).as_numpy("OUT")[0]
        return int(batch), int(place)

    def queue(self, model: str, **options: Any) -> Future[tuple[int, int]]:
        """Ask, and wait until the request waits."""
        before = self.server.pending(model)
        future = self.ask(model, **options)
        wait_until(lambda: self.server.pending(model) == before + 1, WAIT_S, "it waits")
        return future


@pytest.fixture(params=["http", "grpc"])
def client(server: ServerProcess, request: pytest.FixtureRequest) -> Iterator[Client]:
    with ThreadPoolExecutor(32) as pool:
        yield Client(server, request.param, pool)


@contextmanager
def held(client: Client, model: str) -> Iterator[Path]:
    """The model's instance is busy inside of the block, or until the file is made that this gives."""
    files = client.server.repository / model / "1"
    gate, running = files / "open", files / "running"
    gate.unlink(missing_ok=True)
    running.unlink(missing_ok=True)
    try:
        holder = client.ask(model, HOLD)
        wait_until(running.exists, WAIT_S, "it runs")
        yield gate
    finally:
        gate.touch()
    holder.result(WAIT_S)


def statistics(server: ServerProcess, model: str) -> dict[str, Any]:
    (found,) = server.get(f"/v2/models/{model}/stats").json["model_stats"]
    assert isinstance(found, dict)
    return found


def executions(server: ServerProcess, model: str) -> int:
    return int(statistics(server, model)["execution_count"])


def failures(server: ServerProcess, model: str, reason: str) -> float:
    return server.metrics()[f'nv_inference_request_failure{{model="{model}",reason="{reason}",version="1"}}']


def batches(answers: list[Future[tuple[int, int]]]) -> list[list[int]]:
    """The numbers of the requests by batch, in the order of their places in it."""
    places = sorted((*answer.result(WAIT_S), number) for number, answer in enumerate(answers))
    return [
        [number for of, _, number in places if of == batch] for batch in dict.fromkeys(p[0] for p in places)
    ]


def refusal(answer: Future[tuple[int, int]]) -> str:
    with pytest.raises(InferenceServerException) as caught:
        answer.result(WAIT_S)
    assert str(caught.value.status()) in ("503", "StatusCode.UNAVAILABLE")
    return str(caught.value.message())


def test_urgent_requests_run_first(client: Client) -> None:
    """As observed: p3 p3 p3 p2 p0 p1 p9 make [p1, p2, p0, p9] and the p3s."""
    with held(client, "levels"):
        answers = [client.queue("levels", priority=level) for level in (3, 3, 3, 2, 0, 1, 9)]
    assert batches(answers) == [[5, 3, 4, 6], [0, 1, 2]]


def test_models_give_priorities_to_those_they_ask(client: Client) -> None:
    with held(client, "levels"):
        low = client.queue("levels", priority=3)
        urgent = client.ask("asks", priority=1)
        wait_until(lambda: client.server.pending("levels") == 2, WAIT_S, "both wait")
    assert batches([low, urgent]) == [[1, 0]]


def test_time_outs_fire_while_the_instance_is_busy(client: Client) -> None:
    before = failures(client.server, "rejects", "REJECTED")
    with held(client, "rejects") as gate:
        began = time.monotonic()
        answers = [client.ask("rejects", timeout=asked) for asked in (None, 50_000, 60_000_000)]
        assert [refusal(answer) for answer in answers] == ["Request timeout expired"] * 3
        assert time.monotonic() - began >= 0.4
        assert not gate.exists()
        assert client.server.pending("rejects") == 0
        assert failures(client.server, "rejects", "REJECTED") == before + 3


def test_a_request_that_is_early_enough_runs(client: Client) -> None:
    assert client.ask("rejects", timeout=300_000).result(WAIT_S)[1] == 0


def test_late_requests_run_last_where_the_policy_says_so(client: Client) -> None:
    with held(client, "delays"):
        answers = [client.queue("delays", timeout=asked) for asked in (1000, 0, 1000, 0, 0)]
    assert batches(answers) == [[1, 3, 4, 0], [2]]


def test_the_bound_of_the_queue_is_exact(client: Client) -> None:
    with held(client, "bounded"):
        answers = [client.queue("bounded") for _ in range(3)]
        text = "[request id: one] Exceeds maximum queue size"
        assert refusal(client.ask("bounded", request_id="one")) == text
        assert client.server.pending("bounded") == 3
    assert batches(answers) == [[0, 1, 2]]


def test_who_gives_up_leaves_the_queue_at_once(client: Client) -> None:
    server = client.server
    before = failures(server, "bounded", "CANCELED")
    with held(client, "bounded"):
        kept = client.queue("bounded")
        tensor = tritonclient.grpc.InferInput("IN", [1, 1], "FP32")
        tensor.set_data_from_numpy(np.zeros((1, 1), np.float32))
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as leaver:
            calls = [leaver.async_infer("bounded", [tensor], lambda result, error: None) for _ in range(2)]
            wait_until(lambda: server.pending("bounded") == 3, WAIT_S, "they wait")
            for call in calls:
                call.cancel()
            wait_until(lambda: server.pending("bounded") == 1, WAIT_S, "they have left")
        answers = [kept, *(client.queue("bounded") for _ in range(2))]
    assert batches(answers) == [[0, 1, 2]]
    assert failures(server, "bounded", "CANCELED") == before + 2


def test_answers_keep_their_order_although_two_instances_run(client: Client) -> None:
    with held(client, "ordered") as gate:
        ran = executions(client.server, "ordered")
        answers = [client.ask("ordered") for _ in range(3)]
        wait_until(lambda: executions(client.server, "ordered") == ran + 3, WAIT_S, "the others ran")
        assert not any(answer.done() for answer in answers)
        gate.touch()
    assert all(answer.result(WAIT_S) for answer in answers)


def test_batches_are_cut_at_preferred_sizes_and_say_why_they_left(client: Client) -> None:
    name = 'tritium_batch_release_total{{model="preferred",reason="{}",version="1"}}'
    before = client.server.metrics()
    with held(client, "preferred"):
        answers = [client.queue("preferred") for _ in range(5)]
    assert batches(answers) == [[0, 1], [2, 3], [4]]
    after = client.server.metrics()
    reasons = ("full", "preferred", "delay", "no_more")
    counts = {reason: int(after[name.format(reason)] - before[name.format(reason)]) for reason in reasons}
    assert counts == {"full": 0, "preferred": 2, "delay": 0, "no_more": 2}
    found = statistics(client.server, "preferred")["batch_release"]
    assert found == {reason: int(after[name.format(reason)]) for reason in reasons}


def test_t39_beyond_its_bound_a_queue_refuses_at_once_and_serves_the_rest(client: Client) -> None:
    server = client.server
    with ThreadPoolExecutor(160) as crowd:
        client.pool = crowd
        with held(client, "overload"):
            answers = [client.ask("overload") for _ in range(150)]
            refused = wait_until_done(answers, 150 - 64)
            assert server.pending("overload") == 64
            refuse_many(server)
        texts = {refusal(answer) for answer in refused}
        assert all("Exceeds maximum queue size" in text for text in texts)
        served = [answer for answer in answers if answer not in refused]
        assert [len(batch) for batch in batches(served)] == [4] * 16
    assert client.server.pending("overload") == 0
    assert server.infer("overload", infer_json([GO])).status == 200


def refuse_many(server: ServerProcess) -> None:
    """A full queue costs the server nothing for those whom it refuses, and tells them to come again."""
    before = server.rss_bytes()
    with server.connect() as connection:
        for _ in range(5000):
            connection.send(request("POST", "/v2/models/overload/infer", infer_json([GO])))
            reply = connection.reply()
            assert reply is not None
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert server.rss_bytes() - before < 30 << 20
    assert server.pending("overload") == 64


def wait_until_done(answers: list[Future[tuple[int, int]]], count: int) -> list[Future[tuple[int, int]]]:
    """Those that are done, as soon as they are ``count``."""
    wait_until(lambda: sum(answer.done() for answer in answers) == count, WAIT_S, f"{count} are answered")
    return [answer for answer in answers if answer.done()]


def test_t40_who_is_urgent_is_served_while_others_flood_the_queue(client: Client) -> None:
    with ThreadPoolExecutor(160) as crowd:
        client.pool = crowd
        with held(client, "levels"):
            flood = [client.ask("levels", priority=3) for _ in range(120)]
            wait_until(lambda: client.server.pending("levels") == 120, WAIT_S, "the flood waits")
            urgent = [client.queue("levels", priority=1) for _ in range(6)]
        last_urgent = max(answer.result(WAIT_S)[0] for answer in urgent)
        assert last_urgent <= sorted(answer.result(WAIT_S)[0] for answer in flood)[3]
