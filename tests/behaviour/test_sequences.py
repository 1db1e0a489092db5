"""Sequences seen from outside: every request of one meets the state that the earlier ones left (T46)."""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

from tests.behaviour.conftest import StartServer
from tests.harness.http import Reply, infer_json, request, wait_until
from tests.harness.models import write_python_model
from tests.harness.server import ServerProcess

DECOUPLED = "model_transaction_policy { decoupled: true }"
CONTROLS = """
  control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }
  control_input { name: "READY" control { kind: CONTROL_SEQUENCE_READY fp32_false_true: [ 0, 1 ] } }
  control_input { name: "END" control { kind: CONTROL_SEQUENCE_END bool_false_true: [ false, true ] } }
  control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_STRING } }
"""

# OUT is the sum of the sequence so far. The parameters say what the model was told, and where it ran.
# IN < 0 waits so many tenths of a second, while a file ``.running`` beside model.py says so.
ADDING = """
class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}
        self.name = args["model_instance_name"]

    def execute(self, requests):
        return [self.one(row, request, len(requests)) for row, request in enumerate(requests)]

    def one(self, row, request, rows):
        told = {name: values(request, name) for name in ("START", "READY", "END", "ID")}
        assert all(array.shape == (1, 1) for array in told.values())
        key, number = told["ID"][0, 0].decode(), float(values(request).max())
        if told["READY"][0, 0]:
            assert key == str(request.correlation_id())
            assert request.flags() == told["START"][0, 0] + 2 * told["END"][0, 0]
        if number < 0:
            open(os.path.join(os.path.dirname(__file__), ".running"), "w").close()
            time.sleep(-number / 10)
        if told["START"][0, 0]:
            self.sums[key] = 0.0
        self.sums[key] = self.sums.get(key, -1e6) + number
        known = {name: str(array[0, 0]) for name, array in told.items()}
        where = {"row": row, "rows": rows, "instance": self.name, "pid": os.getpid()}
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("OUT", np.array([[self.sums[key]]], np.float32))], parameters={**known, **where}
        )
"""


# OUT is how often the request was executed, which is as often as IN says; the parameters, what it was told.
COUNTING = """
class TritonPythonModel:
    def initialize(self, args):
        self.counts = {}

    def execute(self, requests):
        return [self.one(request, len(requests)) for request in requests]

    def one(self, request, rows):
        key = request.correlation_id()
        self.counts[key] = 1 if request.flags() & 1 else self.counts[key] + 1
        if self.counts[key] < values(request).max():
            request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
            return None
        output = pb_utils.Tensor("OUT", np.array([[self.counts.pop(key)]], np.float32))
        return pb_utils.InferenceResponse([output], parameters={"rows": rows})
"""

# The same, with an answer for each execution.
STREAMING = """
class TritonPythonModel:
    def initialize(self, args):
        self.counts = {}

    def execute(self, requests):
        for request in requests:
            key = request.correlation_id()
            self.counts[key] = 1 if request.flags() & 1 else self.counts[key] + 1
            last = self.counts[key] >= values(request).max()
            sender = request.get_response_sender()
            sender.send(answer(np.array([[self.counts[key]]], np.float32)), flags=1 if last else 0)
            if not last:
                request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
"""


# Each request of a warm-up is a sequence of its own, with controls and states as any other's.
WARMUP = """
  model_warmup { name: "ones" batch_size: 2 inputs { key: "IN" value {
    data_type: TYPE_FP32 dims: [ 1 ] random_data: true } } }
"""


def batching(strategy: str, idle_us: int = 30_000_000, more: str = "") -> str:
    return f"sequence_batching {{ {strategy} max_sequence_idle_microseconds: {idle_us} {CONTROLS} }} {more}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("sequences")
    models = root / "models"
    oldest = "oldest { max_candidate_sequences: 16 max_queue_delay_microseconds: 200 }"
    more = WARMUP + "instance_group { count: 2 }"
    write_python_model(models, "oldest", ADDING, extra=batching(oldest, more=more))
    crowd = batching("oldest { max_candidate_sequences: 500 }", 8_000_000, "instance_group { count: 2 }")
    write_python_model(models, "crowd", ADDING, extra=crowd)
    write_python_model(models, "direct", ADDING, max_batch_size=2, extra=batching("direct { }"))
    write_python_model(models, "single", ADDING, max_batch_size=1, extra=batching("direct { }", 2_000_000))
    iterative = "sequence_batching { oldest { max_candidate_sequences: 8 } iterative_sequence: true }"
    write_python_model(models, "counting", COUNTING, extra=iterative)
    write_python_model(models, "streaming", STREAMING, extra=iterative + DECOUPLED + WARMUP)
    keeping = f"sequence_batching {{ direct {{ }} {STATES} }} instance_group {{ count: 2 }} {WARMUP}"
    write_python_model(models, "keeping", KEEPING, max_batch_size=4, extra=keeping)
    write_onnx_states(models)
    for model in ("keeping", "states"):
        (models / model / "initial_state").mkdir()
        (models / model / "initial_state" / "hundred").write_bytes(np.array([100], "<f4").tobytes())
    write_onnx_controls(models)
    with ServerProcess(models, log=root / "log", known_good="onnx") as running:
        yield running


def write_onnx_controls(repository: Path) -> None:
    """OUT = IN + 100 START + 1000 READY + 10000 END + ID, in FP32; the file says nothing of sequences."""
    import onnx
    from onnx import TensorProto, helper

    kinds = {"IN": TensorProto.FLOAT, "START": TensorProto.FLOAT, "READY": TensorProto.FLOAT}
    kinds |= {"END": TensorProto.FLOAT, "ID": TensorProto.INT64}
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [3], [100.0, 1000.0, 10000.0])
    nodes = [
        helper.make_node("Concat", ["START", "READY", "END"], ["flags"], axis=1),
        helper.make_node("Mul", ["flags", "scale"], ["scaled"]),
        helper.make_node("ReduceSum", ["scaled", "axis"], ["told"], keepdims=1),
        helper.make_node("Cast", ["ID"], ["id"], to=TensorProto.FLOAT),
        helper.make_node("Sum", ["IN", "told", "id"], ["OUT"]),
    ]
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    inputs = [helper.make_tensor_value_info(n, k, ["batch", 1]) for n, k in kinds.items()]
    outputs = [helper.make_tensor_value_info("OUT", TensorProto.FLOAT, ["batch", 1])]
    graph = helper.make_graph(nodes, "controls", inputs, outputs, [scale, axis])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (repository / "onnx" / "1").mkdir(parents=True)
    onnx.save(model, str(repository / "onnx" / "1" / "model.onnx"))
    controls = CONTROLS.replace("int32_false_true", "fp32_false_true").replace("TYPE_STRING", "TYPE_INT64")
    controls = controls.replace("bool_false_true: [ false, true ]", "fp32_false_true: [ 0, 1 ]")
    (repository / "onnx" / "config.pbtxt").write_text(
        'backend: "onnxruntime" max_batch_size: 4 instance_group { count: 1 }\n'
        f"sequence_batching {{ direct {{ }} {controls} }} {WARMUP}"
    )


STATES = """
  state { input_name: "sum_in" output_name: "sum_out" data_type: TYPE_FP32 dims: [ 1 ]
          use_same_buffer_for_input_output: true
          initial_state { name: "from a file" data_type: TYPE_FP32 dims: [ 1 ] data_file: "hundred" } }
  state { input_name: "log_in" output_name: "log_out" data_type: TYPE_FP32 dims: [ -1 ]
          initial_state { name: "zeros" data_type: TYPE_FP32 dims: [ 1 ] zero_data: true } }
"""

# OUT is the sum so far, by states that the server keeps; the parameters tell the other state.
KEEPING = """
class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            total = values(request, "sum_in") + values(request)
            log = np.concatenate([values(request, "log_in"), values(request)], axis=1)
            outputs = {"OUT": total, "sum_out": total, "log_out": log}
            tensors = [pb_utils.Tensor(name, array) for name, array in outputs.items()]
            told = {"log": str(log.ravel().tolist())}
            responses.append(pb_utils.InferenceResponse(tensors, parameters=told))
        return responses
"""


def write_onnx_states(repository: Path) -> None:
    """OUT = sum_out = sum_in + IN; log_out = log_in and IN, joined; LOGGED is the sum of log_in."""
    import onnx
    from onnx import TensorProto, helper

    def floats(name: str, size: int | str = 1) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])

    nodes = [
        helper.make_node("Add", ["sum_in", "IN"], ["sum_out"]),
        helper.make_node("Identity", ["sum_out"], ["OUT"]),
        helper.make_node("Concat", ["log_in", "IN"], ["log_out"], axis=1),
        helper.make_node("ReduceSum", ["log_in", "axis"], ["LOGGED"], keepdims=1),
    ]
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    inputs = [floats("IN"), floats("sum_in"), floats("log_in", "length")]
    outputs = [floats("OUT"), floats("LOGGED"), floats("sum_out"), floats("log_out", "longer")]
    graph = helper.make_graph(nodes, "states", inputs, outputs, [axis])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (repository / "states" / "1").mkdir(parents=True)
    onnx.save(model, str(repository / "states" / "1" / "model.onnx"))
    (repository / "states" / "config.pbtxt").write_text(
        'backend: "onnxruntime" max_batch_size: 8\n'
        f"sequence_batching {{ oldest {{ max_candidate_sequences: 8 }} {STATES} }} {WARMUP}"
    )


def ask(
    server: ServerProcess, model: str, key: int | str, flags: str = "", number: float = 0, **more: Any
) -> Reply:
    """One request by HTTP; ``flags`` holds S for START and E for END."""
    parameters = {"sequence_id": key, "sequence_start": "S" in flags, "sequence_end": "E" in flags, **more}
    return server.infer(model, infer_json([number], shape=(1, 1), parameters=parameters))


def answer_of(reply: Reply) -> float:
    assert reply.status == 200, reply
    return float(reply.json["outputs"][0]["data"][0])


def one_sequence(server: ServerProcess, model: str, number: int) -> list[str]:
    """A sequence of random length by a client of its own: the instances that it met."""
    dice = random.Random(number)
    key: int | str = f"client {number}" if number % 2 else number + 1
    total = 0.0
    met = []
    with httpclient.InferenceServerClient(f"localhost:{server.http_port}") as client:
        length = dice.randint(1, 12)
        for step in range(length):
            value = float(dice.randint(0, 1000))
            total += value
            tensor = httpclient.InferInput("IN", [1, 1], "FP32")
            tensor.set_data_from_numpy(np.array([[value]], np.float32))
            result = client.infer(
                model,
                [tensor],
                sequence_id=key,
                sequence_start=step == 0,
                sequence_end=step == length - 1,
            )
            found = result.get_response()
            assert result.as_numpy("OUT").item() == total
            told = found["parameters"]
            assert (told["READY"], told["START"] == "1", told["END"] == "True") == (
                "1.0",
                step == 0,
                step == length - 1,
            )
            met.append(told["instance"])
    return met


@pytest.mark.parametrize("model", ["oldest", "direct"])
def test_t46_every_request_of_a_sequence_meets_its_own_state(server: ServerProcess, model: str) -> None:
    with ThreadPoolExecutor(12) as pool:
        sequences = list(pool.map(lambda number: one_sequence(server, model, number), range(60)))
    assert all(len(set(met)) == 1 for met in sequences)
    if model == "oldest":
        assert {met[0] for met in sequences} == {"oldest_0_0", "oldest_0_1"}


def test_a_stream_carries_sequences_with_string_ids(server: ServerProcess) -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with grpcclient.InferenceServerClient(f"localhost:{server.grpc_port}") as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        tensor = grpcclient.InferInput("IN", [1, 1], "FP32")
        tensor.set_data_from_numpy(np.array([[1.0]], np.float32))
        for step in range(20):
            for key in ("left", "right"):
                client.async_stream_infer(
                    "oldest",
                    [tensor],
                    request_id=f"{key} {step}",
                    sequence_id=key,
                    sequence_start=step == 0,
                    sequence_end=step == 19,
                )
        found: dict[str, list[float]] = {"left": [], "right": []}
        for _ in range(40):
            result, error = answers.get(timeout=30)
            assert error is None, error
            found[result.get_response().id.split()[0]].append(result.as_numpy("OUT").item())
        client.stop_stream()
    assert found == {key: [float(n) for n in range(1, 21)] for key in ("left", "right")}


def test_a_unary_call_carries_a_sequence_and_its_errors(server: ServerProcess) -> None:
    with grpcclient.InferenceServerClient(f"localhost:{server.grpc_port}") as client:
        tensor = grpcclient.InferInput("IN", [1, 1], "FP32")
        tensor.set_data_from_numpy(np.array([[5.0]], np.float32))
        for start, total in ((True, 5.0), (False, 10.0), (True, 5.0)):
            result = client.infer("direct", [tensor], sequence_id=2**63 - 1, sequence_start=start)
            assert result.as_numpy("OUT").item() == total
        client.infer("direct", [tensor], sequence_id=2**63 - 1, sequence_end=True)
        with pytest.raises(InferenceServerException) as refused:
            client.infer("direct", [tensor], sequence_id=2**63 - 1)
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert refused.value.message() == (
        f"inference request for sequence {2**63 - 1} to model 'direct' must specify the START flag on the "
        "first request of the sequence"
    )


def test_statistics_come_by_grpc_as_well(server: ServerProcess) -> None:
    ask(server, "oldest", 7, "SE")
    with grpcclient.InferenceServerClient(f"localhost:{server.grpc_port}") as client:
        (found,) = client.get_inference_statistics("oldest").model_stats
    assert found.inference_count > 0


def test_t46_breaches_of_the_rules_are_refused_in_the_real_servers_words(server: ServerProcess) -> None:
    no_id = "inference request to model 'direct' must specify a non-zero or non-empty correlation ID"
    for reply in (
        ask(server, "direct", 0, "S"),
        ask(server, "direct", "", "S"),
        server.infer("direct", infer_json([0], shape=(1, 1))),
    ):
        assert (reply.status, reply.error) == (400, no_id)
    for flags in ("", "E"):
        reply = ask(server, "direct", 77, flags)
        assert reply.status == 400
        assert reply.error == (
            "inference request for sequence 77 to model 'direct' must specify the START flag on the first "
            "request of the sequence"
        )
    two = infer_json([0, 0], shape=(2, 1), parameters={"sequence_id": 7, "sequence_start": True})
    reply = server.infer("direct", two)
    assert reply.status == 400
    assert reply.error == (
        "inference request to model 'direct' must specify batch-size 1 due to requirements of sequence "
        "batcher"
    )


def test_direct_keeps_a_sequence_in_its_row(server: ServerProcess) -> None:
    ask(server, "direct", 1, "S")
    for number in (1, 2):
        reply = ask(server, "direct", 2, "S" if number == 1 else "", number)
        told = reply.json["parameters"]
        assert (told["row"], told["rows"]) == (1, 2)  # row 0 is that of sequence 1, and empty
    for key in (1, 2):
        ask(server, "direct", key, "E")


def test_a_sequence_waits_for_a_slot_and_gets_one_when_another_ends(server: ServerProcess) -> None:
    ask(server, "single", "first", "S")
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(ask, server, "single", "second", "S", 5)
        wait_until(lambda: server.pending("single") == 1, 30, "the second sequence waits")
        ask(server, "single", "first", "E")
        assert answer_of(waiting.result(30)) == 5
    assert answer_of(ask(server, "single", "second", "E", 2)) == 7


def test_t46_a_sequence_that_idles_is_forgotten_and_the_next_one_runs(server: ServerProcess) -> None:
    begun = time.monotonic()
    ask(server, "single", "quiet", "S")
    assert answer_of(ask(server, "single", "next", "SE", 5)) == 5
    assert time.monotonic() - begun > 1.5
    assert "must specify the START flag" in ask(server, "single", "quiet").error


def test_a_sequence_that_finds_no_slot_in_time_is_told_so(server: ServerProcess) -> None:
    ask(server, "single", "first", "S")
    reply = ask(server, "single", "late", "S", timeout=100_000)
    assert (reply.status, reply.error) == (503, "timeout of the corresponding sequence has been expired")
    ask(server, "single", "first", "E")


def test_a_client_that_goes_away_ends_its_sequence(server: ServerProcess) -> None:
    ask(server, "single", "mine", "S")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, server, "single", "mine", "", -30)
        wait_until((server.repository / "single" / "1" / ".running").exists, 30, "it runs")
        body = infer_json([3], shape=(1, 1), parameters={"sequence_id": "mine"})
        with server.connect() as connection:
            connection.send(request("POST", "/v2/models/single/infer", body))
            wait_until(lambda: server.pending("single") == 1, 30, "the second request waits")
        running.result(30)
    assert "must specify the START flag" in ask(server, "single", "mine").error


def test_an_onnx_model_gets_its_controls(server: ServerProcess) -> None:
    assert [i["name"] for i in server.get("/v2/models/onnx").json["inputs"]] == ["IN"]
    assert answer_of(ask(server, "onnx", 3, "S", 5)) == 5 + 100 + 1000 + 3
    assert answer_of(ask(server, "onnx", 4, "S", 5)) == 5 + 100 + 1000 + 4
    assert answer_of(ask(server, "onnx", 4, "", 6)) == 6 + 1000 + 4
    assert answer_of(ask(server, "onnx", 3, "E", 7)) == 7 + 10000 + 1000 + 3
    ask(server, "onnx", 4, "E")


def test_an_iterative_request_runs_as_often_as_its_model_likes(server: ServerProcess) -> None:
    with ThreadPoolExecutor(12) as pool:
        wanted = [1 + number % 20 for number in range(60)]
        replies = list(pool.map(lambda times: server.infer("counting", infer_json([times])), wanted))
    assert [answer_of(reply) for reply in replies] == wanted
    assert max(reply.json["parameters"]["rows"] for reply in replies) > 1
    counts = server.get("/v2/models/counting/stats").json["model_stats"][0]
    assert counts["inference_stats"]["success"]["count"] == 60
    assert counts["inference_stats"]["fail"]["count"] == 0
    assert counts["execution_count"] >= 20


def test_generate_answers_an_iterative_request(server: ServerProcess) -> None:
    reply = server.ask("POST", "/v2/models/counting/generate", b'{"IN":7}')
    assert (reply.status, reply.json["OUT"]) == (200, 7.0)


def test_an_iterative_request_may_be_answered_bit_by_bit(server: ServerProcess) -> None:
    def events(times: int) -> list[float]:
        reply = server.ask("POST", "/v2/models/streaming/generate_stream", b'{"IN":%d}' % times)
        assert reply.status == 200
        found = [line.removeprefix("data: ") for line in reply.body.decode().splitlines() if line]
        return [json.loads(event)["OUT"] for event in found]

    with ThreadPoolExecutor(6) as pool:
        wanted = [1 + number % 9 for number in range(24)]
        assert list(pool.map(events, wanted)) == [list(map(float, range(1, n + 1))) for n in wanted]


@pytest.mark.parametrize("model", ["keeping", "states"])
def test_the_server_keeps_states_between_requests(server: ServerProcess, model: str) -> None:
    def sequence(key: int) -> None:
        total, log = 100.0, [0.0]
        for step in range(6):
            reply = ask(server, model, key, {0: "S", 5: "E"}.get(step, ""), key + step)
            assert reply.status == 200, reply
            total += key + step
            outputs = {out["name"]: out["data"] for out in reply.json["outputs"]}
            assert outputs.pop("OUT") == [total]
            assert outputs == ({"LOGGED": [sum(log)]} if model == "states" else {})
            log.append(float(key + step))
            if model == "keeping":
                assert reply.json["parameters"]["log"] == str(log)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(sequence, range(1, 41)))


def test_a_client_that_asks_for_one_output_gets_no_state_and_loses_none(server: ServerProcess) -> None:
    for step in range(3):
        parameters = {"sequence_id": 7, "sequence_start": step == 0, "sequence_end": step == 2}
        body = infer_json([1.0], shape=(1, 1), parameters=parameters, outputs=[{"name": "OUT"}])
        for model in ("keeping", "states"):
            reply = server.infer(model, body)
            assert [(out["name"], out["data"]) for out in reply.json["outputs"]] == [("OUT", [101.0 + step])]


def test_states_are_not_among_a_models_inputs_and_outputs(server: ServerProcess) -> None:
    document = server.get("/v2/models/states").json
    assert [tensor["name"] for tensor in document["inputs"]] == ["IN"]
    assert [tensor["name"] for tensor in document["outputs"]] == ["OUT", "LOGGED"]


def test_the_server_says_that_it_knows_sequences(server: ServerProcess) -> None:
    assert "sequence" in server.get("/v2").json["extensions"]


def test_t46_a_thousand_sequences_that_never_end_leave_room_for_others(server: ServerProcess) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(
            pool.map(lambda key: ask(server, "oldest", f"lost {key}", "S", timeout=20_000), range(1000))
        )
    assert {reply.status for reply in replies} <= {200, 503}
    assert sum(reply.status == 200 for reply in replies) >= 16


def test_t46_a_thousand_live_sequences_do_not_mix_and_those_that_never_end_make_room(
    server: ServerProcess,
) -> None:
    """Two rounds of a thousand for a thousand slots; half of the first never ends, and is forgotten."""

    def talk(client: int, base: int) -> None:
        keys = range(base + client, base + 1000, 8)
        with server.connect(timeout_s=60) as connection:
            for step in range(3):
                for key in keys:
                    if step == 2 and key % 2:
                        continue  # its END is lost
                    flags = {"sequence_start": step == 0, "sequence_end": step == 2}
                    body = infer_json([float(key)], shape=(1, 1), parameters={"sequence_id": key, **flags})
                    connection.send(request("POST", "/v2/models/crowd/infer", body))
                    reply = connection.reply()
                    assert reply is not None
                    assert answer_of(reply) == key * (step + 1)

    for base in (10_000, 20_000):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda client: talk(client, base), range(8)))  # noqa: B023
    wait_until(lambda: ask(server, "crowd", 10_001).status == 400, 60, "it was forgotten")


def test_t46_a_worker_that_dies_costs_its_sequences_and_no_others(
    start_server: StartServer, repository: Path
) -> None:
    strategy = "oldest { max_candidate_sequences: 4 }"
    write_python_model(
        repository, "two", ADDING, extra=batching(strategy, more="instance_group { count: 2 }")
    )
    server = start_server(repository)
    told = {key: ask(server, "two", key, "S", 1).json["parameters"] for key in ("a", "b", "c", "d")}
    dead, lives = told["a"]["instance"], told["b"]["instance"]
    assert dead != lives
    with ThreadPoolExecutor(2) as pool:
        dying = pool.submit(ask, server, "two", "a", "", -100)
        wait_until((repository / "two" / "1" / ".running").exists, 30, "it runs")
        os.kill(told["a"]["pid"], signal.SIGKILL)
        failed = dying.result(60)
    assert failed.status == 503
    assert "start it anew" in failed.error
    wait_until(lambda: server.ready("two"), 60, "the model is ready")
    for key in told:
        reply = ask(server, "two", key, "", 1)
        if told[key]["instance"] == lives:
            assert answer_of(reply) == 2
        else:
            assert reply.status == 503
            assert f"sequence {key} of model 'two' was lost" in reply.error
            assert answer_of(ask(server, "two", key, "S", 7)) == 7
