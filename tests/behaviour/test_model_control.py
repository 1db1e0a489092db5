"""Models that come and go while clients are at work (T12, T14, T15, T16; Triton's L0_lifecycle)."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.behaviour.conftest import StartServer
from tests.harness.http import Reply, infer_json, request, wait_until
from tests.harness.models import PLAIN, STUCK, write_python_model
from tests.harness.server import ServerProcess, alive

# OUT is IN times a number that stands in the file; all rows of an answer have to be of one file.
TIMES = """
class TritonPythonModel:
    def execute(self, requests):
        return [answer(values(request) * {}) for request in requests]
"""
# Loads or unloads ``times`` as the parameter ``do`` says, and answers whether it is ready then.
CONTROLLER = """
class TritonPythonModel:
    def execute(self, requests):
        return [self.one(json.loads(request.parameters())) for request in requests]

    def one(self, asked):
        try:
            if asked["do"] == "load":
                pb_utils.load_model("times")
            elif asked["do"] == "override":
                files = {"file:3/model.py": asked["source"].encode()}
                pb_utils.load_model("times", files=files, config=asked["config"])
            elif asked["do"] == "unload":
                pb_utils.unload_model("times")
            else:
                pb_utils.load_model(asked["do"])
        except pb_utils.TritonModelException as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        return answer(np.array([[pb_utils.is_model_ready("times")]], np.float32))
"""
EXPLICIT = ("--model-control-mode", "explicit", "--load-model", "echo")
WAIT_S = 60.0


def post(server: ServerProcess, path: str, body: bytes = b"") -> Reply:
    return server.ask("POST", f"/v2/repository{path}", body)


def load(server: ServerProcess, model: str, body: bytes = b"") -> Reply:
    return post(server, f"/models/{model}/load", body)


def unload(server: ServerProcess, model: str) -> Reply:
    return post(server, f"/models/{model}/unload")


def index(server: ServerProcess, model: str) -> list[dict[str, str]]:
    return [entry for entry in post(server, "/index").json if entry["name"] == model]


def write_times(repository: Path, number: int) -> None:
    source = repository / "times" / "1" / "model.py"
    if not source.exists():
        write_python_model(repository, "times", TIMES.format(number), extra="dynamic_batching {}")
        return
    head = source.read_text().partition("class TritonPythonModel")[0]
    new = source.with_suffix(".new")
    new.write_text(head + TIMES.format(number).lstrip())
    new.replace(source)


@contextmanager
def clients(count: int, work: Callable[[], None]) -> Iterator[None]:
    """``count`` threads do ``work`` again and again while the block runs; what one raises is raised here."""
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            work()

    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(client) for _ in range(count)]
        try:
            yield
        finally:
            over.set()
        for client_run in running:
            client_run.result(WAIT_S)


def test_reloads_lose_no_request_and_mix_nothing(start_server: StartServer, repository: Path) -> None:
    write_times(repository, 1)
    server = start_server(repository, *EXPLICIT, "--load-model", "times")
    seen: Counter[float] = Counter()

    def ask() -> None:
        reply = server.infer("times", infer_json([1] * 100))
        assert reply.status == 200, reply.body
        (number,) = set(reply.json["outputs"][0]["data"])
        seen[number] += 1

    with clients(4, ask):
        for number in range(2, 12):
            write_times(repository, number)
            assert load(server, "times").status == 200
            assert server.infer("times", infer_json([1])).json["outputs"][0]["data"] == [number]
    assert len(seen) > 2
    wait_until(lambda: len(index(server, "times")) == 1, WAIT_S, "old generations are unloaded")
    assert index(server, "times") == [{"name": "times", "version": "1", "state": "READY"}]
    server.assert_three_ok()


def test_large_requests_are_not_lost_by_reloads_either(start_server: StartServer, repository: Path) -> None:
    write_times(repository, 1)
    server = start_server(repository, *EXPLICIT, "--load-model", "times")
    body = infer_json([1] * 400_000)  # so long that it is read in a thread

    def ask() -> None:
        reply = server.infer("times", body)
        assert reply.status == 200, reply.body[:300]

    with clients(2, ask):
        for number in range(2, 7):
            write_times(repository, number)
            assert load(server, "times").status == 200


def test_a_reload_that_fails_changes_nothing_for_clients(start_server: StartServer, repository: Path) -> None:
    write_times(repository, 1)
    server = start_server(repository, *EXPLICIT, "--load-model", "times")
    source = repository / "times" / "1" / "model.py"
    good = source.read_text()
    config = repository / "times" / "config.pbtxt"

    def ask() -> None:
        assert server.infer("times", infer_json([1])).status == 200

    with clients(2, ask):
        source.write_text("def broken(:\n")
        assert load(server, "times").status == 400
        (entry,) = index(server, "times")
        assert (entry["state"], "SyntaxError" in entry["reason"]) == ("READY", True)
        config.write_text("foo: 1\n" + config.read_text())
        assert load(server, "times").status == 400
        server.assert_three_ok()
        config.write_text(config.read_text().removeprefix("foo: 1\n"))
        source.write_text(good)
        assert load(server, "times").status == 200
    assert "reason" not in index(server, "times")[-1]


def test_unloads_and_loads_under_clients_answer_404_and_503_at_worst(
    start_server: StartServer, repository: Path
) -> None:
    write_times(repository, 1)
    server = start_server(repository, *EXPLICIT)
    statuses: Counter[int] = Counter()

    def ask() -> None:
        statuses[server.infer("times", infer_json([1])).status] += 1

    with clients(4, ask):
        for _ in range(8):
            assert load(server, "times").status == 200
            wait_until(
                lambda: server.infer("times", infer_json([1])).status == 200, WAIT_S, "the model serves"
            )
            assert unload(server, "times").status == 200
    assert set(statuses) <= {200, 404, 503}
    wait_until(lambda: index(server, "times")[0]["state"] == "UNAVAILABLE", WAIT_S, "it is unloaded")
    wait_until(lambda: len(server.workers()) == 1, WAIT_S, "its workers are gone")
    server.assert_three_ok()


def test_threads_that_load_and_unload_one_model_end_in_one_state(
    start_server: StartServer, repository: Path
) -> None:
    write_times(repository, 1)
    server = start_server(repository, *EXPLICIT)

    def operate(number: int) -> None:
        for step in range(10):
            reply = unload(server, "times") if (number + step) % 3 == 0 else load(server, "times")
            assert reply.status == 200, reply.body
            assert post(server, "/index").status == 200
            assert server.infer("times", infer_json([1])).status in (200, 404, 503)

    with ThreadPoolExecutor(8) as pool:
        for finished in [pool.submit(operate, number) for number in range(8)]:
            finished.result(2 * WAIT_S)
    assert load(server, "times").status == 200
    wait_until(lambda: len(index(server, "times")) == 1, WAIT_S, "old generations are unloaded")
    wait_until(lambda: len(server.workers()) == 2, WAIT_S, "only the models that are loaded have workers")
    server.assert_three_ok()


def test_a_load_that_hangs_keeps_nobody_waiting_and_survives_its_client(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "stuck", STUCK)
    write_times(repository, 1)
    server = start_server(repository, *EXPLICIT)
    with server.connect() as impatient:
        impatient.send(request("POST", "/v2/repository/models/stuck/load", b""))
        wait_until(lambda: index(server, "stuck")[0].get("state") == "LOADING", WAIT_S, "the load runs")
    assert load(server, "times").status == 200
    assert server.infer("times", infer_json([3])).status == 200
    (repository / "stuck" / "go").touch()
    wait_until(lambda: server.ready("stuck"), WAIT_S, "the load went on")


def test_a_server_that_is_stopped_while_a_model_loads_ends(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "stuck", STUCK)
    server = start_server(repository, *EXPLICIT, "--exit-timeout-secs", "2")
    with server.connect() as impatient:
        impatient.send(request("POST", "/v2/repository/models/stuck/load", b""))
        wait_until(lambda: index(server, "stuck")[0].get("state") == "LOADING", WAIT_S, "the load runs")
        workers = server.workers()
    server.stop()
    wait_until(lambda: not any(alive(pid) for pid in workers), WAIT_S, "the workers are gone")


def test_files_of_a_load_request_cannot_leave_their_directory(
    start_server: StartServer, repository: Path, tmp_path: Path
) -> None:
    server = start_server(repository, *EXPLICIT)
    before = {path for path in tmp_path.rglob("*") if "server-" not in path.name}
    paths = ["../x", "1/../../x", "/etc/tritium-test", "..", "1/..", "\\..\\x", "", "a\0b", "~/x"]
    for path in paths:
        body = json.dumps({"parameters": {"config": "{}", f"file:{path}": "eA=="}}).encode()
        assert load(server, "echo", body).status == 400
    assert {path for path in tmp_path.rglob("*") if "server-" not in path.name} == before
    for name in ("..", ".", "%2e%2e", "..%2f..", "\\..", "$(id)", ";ls"):
        assert load(server, name).status == 400
    server.assert_three_ok()


def test_a_model_by_request_is_gone_without_a_trace(
    start_server: StartServer, repository: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    prelude = f"import tempfile; tempfile.tempdir = {str(temporary)!r}"
    server = start_server(repository, *EXPLICIT, prelude=prelude)
    config = {
        "backend": "python",
        "max_batch_size": 8,
        "input": [{"name": "IN", "data_type": "TYPE_FP32", "dims": [-1]}],
        "output": [{"name": "OUT", "data_type": "TYPE_FP32", "dims": [-1]}],
    }
    source = (repository / "echo" / "1" / "model.py").read_bytes()
    files = {"file:1/model.py": base64.b64encode(source).decode()}
    body = json.dumps({"parameters": {"config": json.dumps(config), **files}}).encode()
    for _ in range(3):
        assert load(server, "fresh", body).status == 200
        assert server.infer("fresh", infer_json([1])).status == 200
    unload(server, "fresh")
    wait_until(lambda: not any(temporary.glob("tritium-model-*")), WAIT_S, "its files are removed")
    write_python_model(repository, "other", PLAIN)
    assert load(server, "other").status == 200


def test_a_model_loads_and_unloads_another(start_server: StartServer, repository: Path) -> None:
    write_times(repository, 2)
    write_python_model(repository, "controller", CONTROLLER)
    server = start_server(repository, *EXPLICIT, "--load-model", "controller")

    def control(do: str, **more: str) -> Reply:
        return server.infer("controller", infer_json([0], parameters={"do": do, **more}))

    assert control("load").json["outputs"][0]["data"] == [1.0]
    assert server.infer("times", infer_json([1])).json["outputs"][0]["data"] == [2.0]
    source = (repository / "times" / "1" / "model.py").read_text().replace("* 2", "* 5")
    config = json.dumps(server.get("/v2/models/times/config").json)
    assert control("override", source=source, config=config).json["outputs"][0]["data"] == [1.0]
    reply = server.infer("times", infer_json([1])).json
    assert (reply["outputs"][0]["data"], reply["model_version"]) == ([5.0], "3")
    assert control("unload").json["outputs"][0]["data"] == [0.0]
    assert not server.ready("times")
    assert control("nope").error == (
        "Failed to load model: Failed to process the request for model 'controller_0', message: "
        "failed to load 'nope', failed to poll from model repository"
    )


def test_a_model_controls_nothing_without_explicit_control(
    start_server: StartServer, repository: Path
) -> None:
    write_times(repository, 2)
    write_python_model(repository, "controller", CONTROLLER)
    server = start_server(repository)
    reply = server.infer("controller", infer_json([0], parameters={"do": "unload"}))
    assert reply.error.endswith("explicit model load / unload is not allowed if polling is enabled")
    assert server.ready("times")
