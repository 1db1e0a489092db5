"""Clients that leave or have no more time, through sequences, the rate limiter and the cache (T37, T38)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import pytest
from tritonclient.grpc import service_pb2_grpc

from tests.harness.http import Connection, infer_json, request, wait_until
from tests.harness.models import PLAIN, write_python_model
from tests.harness.peers import message
from tests.harness.server import ServerProcess

# Runs for IN seconds, or until it is cancelled: then it answers -1. Adds lines to ``began`` and ``ended``.
RUNNING = """
class TritonPythonModel:
    def execute(self, requests):
        return [self.one(request) for request in requests]

    def note(self, name, request):
        with open(os.path.join(os.path.dirname(__file__), name), "a") as file:
            file.write(f"{values(request).max()}\\n")

    def one(self, request):
        self.note("began", request)
        end = time.monotonic() + float(values(request).max())
        while time.monotonic() < end and not request.is_cancelled():
            time.sleep(0.005)
        self.note("cancelled" if request.is_cancelled() else "ended", request)
        return answer(-np.ones((1, 1), np.float32) if request.is_cancelled() else values(request))
"""
# Gives every request back until it has run IN times, and says so each time.
AGAIN = """
class TritonPythonModel:
    def initialize(self, args):
        self.left = {}

    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        with open(os.path.join(os.path.dirname(__file__), "began"), "a") as file:
            file.write(f"{values(request).max()}\\n")
        time.sleep(0.01)
        key = request.correlation_id()
        self.left[key] = self.left.get(key, values(request).max()) - 1
        if self.left[key] > 0:
            request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
            return None
        return answer(values(request))
"""
LIMITED = 'instance_group { rate_limiter { resources { name: "R" count: 1 } } }'
SEQUENCES = "sequence_batching { max_sequence_idle_microseconds: 60000000 }"
LIMIT_S = 30.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("cancelled")
    models = root / "models"
    write_python_model(models, "echo", PLAIN)
    write_python_model(models, "holder", RUNNING, max_batch_size=1, extra=LIMITED)
    write_python_model(models, "limited", RUNNING, max_batch_size=1, extra=LIMITED)
    write_python_model(models, "limited_sequences", RUNNING, max_batch_size=1, extra=LIMITED + SEQUENCES)
    write_python_model(models, "cached", RUNNING, max_batch_size=1, extra="response_cache { enable: true }")
    iterative = "sequence_batching { oldest { max_candidate_sequences: 4 } iterative_sequence: true }"
    write_python_model(models, "again", AGAIN, extra=iterative)
    flags = ["--rate-limit", "execution_count", "--cache-config", "local,size=100000"]
    with ServerProcess(models, *flags, log=root / "log") as running:
        yield running
        running.assert_three_ok()


def noted(server: ServerProcess, model: str, what: str, number: float) -> int:
    """How often a request with this number began, ended or was cancelled."""
    path = server.repository / model / "1" / what
    return path.read_text().split().count(str(number)) if path.exists() else 0


def cancelled(server: ServerProcess, model: str) -> float:
    name = f'nv_inference_request_failure{{model="{model}",reason="CANCELED",version="1"}}'
    return server.metrics()[name]


def send(connection: Connection, model: str, number: float, key: int = 0) -> None:
    parameters = {"sequence_id": key, "sequence_start": True} if key else {}
    body = infer_json([number], parameters=parameters)
    connection.send(request("POST", f"/v2/models/{model}/infer", body))


def busy(server: ServerProcess, stack: ExitStack, model: str, number: float) -> Connection:
    """A client whose request runs."""
    connection = stack.enter_context(server.connect())
    send(connection, model, number)
    wait_until(lambda: noted(server, model, "began", number) == 1, LIMIT_S, "it runs")
    return connection


def deadline(server: ServerProcess, model: str, number: float, key: int = 0) -> str:
    """What a client is told that has half a second."""
    parameters: dict[str, int | bool] = {"sequence_id": key, "sequence_start": True} if key else {}
    asked = message(model, [("IN", "FP32", [1, 1], struct.pack("<f", number))], **parameters)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        with pytest.raises(grpc.RpcError) as caught:
            service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(asked, timeout=0.5)
        return str(caught.value.code().name)


@pytest.mark.parametrize(
    ("model", "holder", "sequences"),
    [("limited", "holder", False), ("limited_sequences", "holder", True), ("cached", "cached", False)],
)
def test_t37_who_leaves_while_others_run_never_runs(
    server: ServerProcess, model: str, holder: str, sequences: bool
) -> None:
    before = cancelled(server, model)
    long, short = (21.5, 0.5) if sequences else (20.5, 0.25)
    with ExitStack() as stack:
        running = busy(server, stack, holder, long)
        with ExitStack() as leavers:
            for place in range(3):
                leaver = leavers.enter_context(server.connect())
                send(leaver, model, short, key=place + 1 if sequences else 0)
            wait_until(lambda: server.pending(model) == 3, LIMIT_S, "they wait")
        assert deadline(server, model, short, key=9 if sequences else 0) == "DEADLINE_EXCEEDED"
        running.socket.close()
        wait_until(lambda: noted(server, holder, "cancelled", long) == 1, LIMIT_S, "it noticed")
    wait_until(lambda: cancelled(server, model) - before >= 4, LIMIT_S, "they are counted")
    assert server.pending(model) == 0
    assert noted(server, model, "began", short) == 0
    key = {"sequence_id": 20, "sequence_start": True, "sequence_end": True}
    assert server.infer(model, infer_json([0.125], parameters=key if sequences else {})).status == 200


def test_t37_what_a_model_answers_to_a_client_that_left_is_not_kept(server: ServerProcess) -> None:
    with ExitStack() as stack:
        running = busy(server, stack, "cached", 2.5)
        running.socket.close()
        wait_until(lambda: noted(server, "cached", "cancelled", 2.5) == 1, LIMIT_S, "it noticed")
    for _ in range(2):
        reply = server.infer("cached", infer_json([2.5]))
        assert reply.json["outputs"][0]["data"] == [2.5], "the whole answer, and not what was left of another"
    assert noted(server, "cached", "ended", 2.5) == 1


def leave(server: ServerProcess) -> None:
    with server.connect() as connection:
        send(connection, "again", 100_000.0)
        wait_until(lambda: noted(server, "again", "began", 100_000.0) > 3, LIMIT_S, "it runs again and again")


def run_out_of_time(server: ServerProcess) -> None:
    assert deadline(server, "again", 200_000.0) == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(("act", "number"), [(leave, 100_000.0), (run_out_of_time, 200_000.0)])
def test_t37_an_iterative_request_ends_with_its_client(
    server: ServerProcess, act: Callable[[ServerProcess], None], number: float
) -> None:
    before = cancelled(server, "again")
    act(server)
    wait_until(lambda: cancelled(server, "again") == before + 1, LIMIT_S, "it is cancelled")
    runs = noted(server, "again", "began", number)
    assert runs > 1
    assert server.infer("again", infer_json([3.0])).status == 200
    assert noted(server, "again", "began", number) == runs
