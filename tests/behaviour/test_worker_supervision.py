"""How workers are looked after: what they print, why they end, when they are replaced, what is run again."""

from __future__ import annotations

import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import Reply, infer_json, request, wait_until
from tests.harness.models import PLAIN, SLOW, write_python_model
from tests.harness.server import ServerProcess

LIMIT_S = 30.0
EXPLICIT = ("--model-control-mode", "explicit", "--load-model", "echo", "--no-strict-readiness")

PRINTING = """
import sys
class TritonPythonModel:
    def initialize(self, args):
        print("printed in initialize")

    def execute(self, requests):
        what = int(values(requests[0]).max())
        if what == 1:
            print("to stdout\\x1b[31m")
            print("to stderr", file=sys.stderr)
        elif what == 2:
            print("not ended", end="")
            sys.stderr.write("ValueError: the last words in /some/where/file.py")
            os._exit(3)
        elif what == 3:
            for number in range(200_000):
                print("flood", number)
        return [answer(values(request)) for request in requests]
"""

READY = """
class TritonPythonModel:
    def initialize(self, args):
        self.place = os.path.dirname(__file__)

    def is_ready(self):
        if os.path.exists(os.path.join(self.place, "hang")):
            time.sleep(1000)
        if os.path.exists(os.path.join(self.place, "raise")):
            raise RuntimeError("the database is away")
        return not os.path.exists(os.path.join(self.place, "false"))

    def execute(self, requests):
        time.sleep(float(values(requests[0]).max()))
        return [answer(values(request)) for request in requests]
"""

# Ends its process at the first request that any worker of it gets, and answers all others.
FIRST_TIME_FATAL = """
class TritonPythonModel:
    def execute(self, requests):
        marker = os.path.join(os.path.dirname(__file__), ".died")
        if not os.path.exists(marker):
            open(marker, "w").close()
            os._exit(1)
        return [answer(values(request)) for request in requests]
"""

ALWAYS_FATAL = """
class TritonPythonModel:
    def execute(self, requests):
        os._exit(1)
"""

GROWING = """
kept = []
class TritonPythonModel:
    def execute(self, requests):
        kept.append(bytearray(os.urandom(1 << 20) * int(values(requests[0]).max())))
        return [answer(values(request)) for request in requests]
"""

# Answers half a second after execute has returned.
LATER = """
import threading
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            response = answer(values(request))
            threading.Timer(0.5, self.send, (sender, response)).start()

    def send(self, sender, response):
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

STALLING = """
import stat, struct
class TritonPythonModel:
    def execute(self, requests):
        if values(requests[0]).max() == 1:
            for fd in range(3, 64):
                try:
                    if stat.S_ISSOCK(os.fstat(fd).st_mode):
                        os.write(fd, struct.pack("<IB", 1000, 2) + b"a part")
                except OSError:
                    pass
            time.sleep(1000)
        return [answer(values(request)) for request in requests]
"""

LEAKING = """
leaked = []
class TritonPythonModel:
    def execute(self, requests):
        if values(requests[0]).max() == 1:
            while True:
                leaked.append(os.open("/dev/null", os.O_RDONLY))
        return [answer(values(request)) for request in requests]
"""

HUNGRY = """
import resource, signal
class TritonPythonModel:
    def execute(self, requests):
        what = int(values(requests[0]).max())
        if what == 1:
            resource.setrlimit(resource.RLIMIT_AS, (1 << 33, 1 << 33))
            bytearray(1 << 34)
        if what == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return [answer(values(request)) for request in requests]
"""

LONG_TRACEBACK = """
class TritonPythonModel:
    def initialize(self, args):
        raise RuntimeError(__file__ + " says " + "x" * 1_000_000)
"""

LOADS_ITSELF = """
class TritonPythonModel:
    def initialize(self, args):
        pb_utils.load_model(args["model_name"])

    def execute(self, requests):
        return [answer(values(request)) for request in requests]
"""

ASKS_AT_START = """
class TritonPythonModel:
    def initialize(self, args):
        tensor = pb_utils.Tensor("IN", np.ones((1, 2), np.float32))
        asked = pb_utils.InferenceRequest(
            model_name="echo", requested_output_names=["OUT"], inputs=[tensor]
        )
        response = asked.exec()
        if response.has_error():
            raise RuntimeError("echo said: " + response.error().message())
        self.found = response.output_tensors()[0].as_numpy()

    def execute(self, requests):
        return [answer(self.found) for request in requests]
"""


def parameter(name: str, value: str) -> str:
    return f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}\n'


def restarts(server: ServerProcess, model: str, reason: str) -> int:
    name = f'tritium_worker_restarts_total{{model="{model}",reason="{reason}",version="1"}}'
    return int(server.metrics()[name])


def wait_until_logged(server: ServerProcess, text: str) -> None:
    wait_until(lambda: text in server.output(), LIMIT_S, f"the log says {text!r}")


def pid_of(reply: Reply) -> int:
    return int(reply.json["parameters"]["pid"])


def steady(server: ServerProcess, model: str, done: threading.Event) -> list[int]:
    """The statuses of requests, one after the other, until ``done``."""
    statuses = []
    with server.connect() as connection:
        while not done.is_set():
            connection.send(request("POST", f"/v2/models/{model}/infer", infer_json([0.01])))
            reply = connection.reply()
            statuses.append(reply.status if reply is not None else 0)
    return statuses


def test_what_a_model_prints_is_in_the_log_with_its_instance_and_stream(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "talk", PRINTING)
    server = start_server(repository)
    assert server.infer("talk", infer_json([1])).status == 200
    wait_until_logged(server, "talk_0 stderr: to stderr")
    wait_until_logged(server, "talk_0 stdout: to stdout")
    shown = server.output()
    assert re.search(r'^I.*"talk_0 stdout: printed in initialize"$', shown, re.MULTILINE)
    assert re.search(r'^I.*"talk_0 stdout: to stdout\\u001b\[31m"$', shown, re.MULTILINE)
    assert re.search(r'^W.*"talk_0 stderr: to stderr"$', shown, re.MULTILINE)
    server.assert_three_ok()


def test_the_last_words_of_a_worker_that_dies_are_not_lost(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "talk", PRINTING)
    server = start_server(repository)
    reply = server.infer("talk", infer_json([2]))
    assert reply.status == 503
    assert reply.error == "worker of 'talk_0' died while it ran this request: it exited with status 3"
    wait_until_logged(server, '"talk_0 stdout: not ended"')
    wait_until_logged(server, '"talk_0 stderr: ValueError: the last words in /some/where/file.py"')
    wait_until_logged(server, "status 3 after it wrote: ValueError: the last words in file.py; restart")
    server.assert_three_ok()


def test_a_model_that_floods_its_output_goes_on_and_the_log_counts_what_it_leaves_out(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "talk", PRINTING)
    server = start_server(repository)
    assert server.infer("talk", infer_json([3])).status == 200
    dropped = re.compile(r"talk_0 stdout: (\d+) lines dropped")

    def all_counted() -> bool:
        shown = server.output()
        return sum(map(int, dropped.findall(shown))) + shown.count("stdout: flood") == 200_000

    wait_until(all_counted, LIMIT_S, "every line is shown or counted")
    assert len(server.output()) < 2_000_000
    server.assert_three_ok()


def test_processor_time_and_memory_of_each_worker_are_in_the_metrics(
    start_server: StartServer, repository: Path
) -> None:
    server = start_server(repository)
    assert server.infer("echo", infer_json([1])).status == 200
    labels = '{instance="echo_0",model="echo",version="1"}'
    metrics = server.metrics()
    assert metrics[f"tritium_worker_cpu_seconds_total{labels}"] > 0
    assert metrics[f"tritium_worker_resident_memory_bytes{labels}"] > 1 << 20


def test_a_stopped_worker_is_counted_as_such(start_server: StartServer, repository: Path) -> None:
    write_python_model(repository, "plain", PLAIN)
    server = start_server(repository, "--worker-stopped-limit-secs", "0.5")
    os.kill(pid_of(server.infer("plain", infer_json([1]))), signal.SIGSTOP)
    wait_until(lambda: restarts(server, "plain", "stopped") == 1, LIMIT_S, "the restart is counted")
    assert server.infer("plain", infer_json([1])).status == 200
    server.assert_three_ok()


def test_t02_idempotent_requests_survive_the_end_of_their_worker(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "once", FIRST_TIME_FATAL, extra=parameter("TRITIUM_RETRY", "idempotent"))
    server = start_server(repository)
    assert server.infer("once", infer_json([1])).status == 200
    assert restarts(server, "once", "exit") == 1
    server.assert_three_ok()


def test_t02_killing_workers_loses_no_idempotent_request(start_server: StartServer, repository: Path) -> None:
    retry = parameter("TRITIUM_RETRY", "idempotent")
    write_python_model(repository, "pair", SLOW, extra="instance_group { count: 2 kind: KIND_CPU }" + retry)
    server = start_server(repository)
    done = threading.Event()
    with ThreadPoolExecutor(4) as pool, ExitStack() as at_the_end:
        at_the_end.callback(done.set)
        clients = [pool.submit(steady, server, "pair", done) for _ in range(4)]
        for kills in range(1, 4):
            os.kill(pid_of(server.infer("pair", infer_json([0]))), signal.SIGKILL)
            wait_until(lambda n=kills: restarts(server, "pair", "signal") == n, LIMIT_S, "it is counted")
        done.set()
        statuses = [status for client in clients for status in client.result()]
    assert statuses
    assert set(statuses) == {200}
    server.assert_three_ok()


def test_an_idempotent_request_that_kills_two_workers_fails(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "poison", ALWAYS_FATAL, extra=parameter("TRITIUM_RETRY", "idempotent"))
    server = start_server(repository)
    reply = server.infer("poison", infer_json([1]))
    assert reply.status == 503
    assert "died while it ran this request" in reply.error
    assert restarts(server, "poison", "exit") == 2
    server.assert_three_ok()


def test_workers_are_recycled_by_requests_and_no_request_is_lost(
    start_server: StartServer, repository: Path
) -> None:
    limit = parameter("TRITIUM_RECYCLE_AFTER_REQUESTS", "20")
    write_python_model(repository, "tired", SLOW, extra=limit + "instance_group { count: 2 kind: KIND_CPU }")
    server = start_server(repository)
    done = threading.Event()
    with ThreadPoolExecutor(4) as pool, ExitStack() as at_the_end:
        at_the_end.callback(done.set)
        clients = [pool.submit(steady, server, "tired", done) for _ in range(4)]
        wait_until(lambda: restarts(server, "tired", "recycled") >= 4, LIMIT_S, "workers are recycled")
        assert server.ready("tired")
        done.set()
        statuses = [status for client in clients for status in client.result()]
    assert set(statuses) == {200}
    counts = {reason: restarts(server, "tired", reason) for reason in ("exit", "signal", "load", "timeout")}
    assert set(counts.values()) == {0}
    wait_until_logged(server, "has answered 20 requests; it is replaced")
    server.assert_three_ok()


def test_a_worker_is_recycled_when_it_has_grown(start_server: StartServer, repository: Path) -> None:
    write_python_model(repository, "big", GROWING, extra=parameter("TRITIUM_RECYCLE_ABOVE_MB", "400"))
    server = start_server(repository)
    first = pid_of(server.infer("big", infer_json([1])))
    assert server.infer("big", infer_json([500])).status == 200
    wait_until(lambda: restarts(server, "big", "recycled") == 1, LIMIT_S, "the worker is recycled")
    assert pid_of(server.infer("big", infer_json([1]))) != first
    server.assert_three_ok()


def test_recycling_waits_for_response_senders(start_server: StartServer, repository: Path) -> None:
    write_python_model(repository, "later", LATER, extra=parameter("TRITIUM_RECYCLE_AFTER_REQUESTS", "2"))
    server = start_server(repository)
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda value: server.infer("later", infer_json([value])), range(6)))
    assert [reply.json["outputs"][0]["data"] for reply in replies] == [[float(value)] for value in range(6)]
    wait_until(lambda: restarts(server, "later", "recycled") >= 1, LIMIT_S, "a worker was recycled")
    server.assert_three_ok()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("TRITIUM_RETRY", "always", "is 'always'; write 'idempotent'"),
        ("TRITIUM_RECYCLE_AFTER_REQUESTS", "0", "is '0'; write a number of requests greater than 0"),
        ("TRITIUM_RECYCLE_ABOVE_MB", "x", "is 'x'; write a number of megabytes greater than 0"),
    ],
)
def test_a_parameter_with_a_wrong_value_is_a_load_error(
    start_server: StartServer, repository: Path, name: str, value: str, text: str
) -> None:
    write_python_model(repository, "wrong", PLAIN, extra=parameter(name, value))
    server = start_server(repository, "--no-exit-on-error")
    wait_until_logged(server, text)
    assert not server.ready("wrong")


def test_t07_the_servers_own_execution_limit_holds_where_a_model_has_none(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "slow", SLOW)
    write_python_model(repository, "own", SLOW, extra=parameter("TRITIUM_EXECUTION_TIMEOUT_SECS", "600"))
    server = start_server(repository, "--execution-timeout-secs", "1")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(server.infer, "own", infer_json([2]))
        reply = server.infer("slow", infer_json([1000]))
        assert other.result().status == 200
    assert reply.status == 504
    assert reply.error == "execution of model instance 'slow_0' exceeded its limit of 1 s"
    assert restarts(server, "slow", "timeout") == 1
    server.assert_three_ok()


def test_a_model_that_loads_itself_while_it_is_loaded_is_refused(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "snake", LOADS_ITSELF)
    server = start_server(repository, *EXPLICIT)
    reply = server.ask("POST", "/v2/repository/models/snake/load", b"{}")
    assert reply.status >= 400
    assert "loading model 'snake' waits for itself: snake -> snake" in reply.error
    server.assert_three_ok()


def test_a_model_can_ask_another_while_it_is_loaded(start_server: StartServer, repository: Path) -> None:
    write_python_model(repository, "asking", ASKS_AT_START)
    server = start_server(repository, *EXPLICIT)
    assert server.ask("POST", "/v2/repository/models/asking/load", b"{}").status == 200
    assert server.infer("asking", infer_json([1])).json["outputs"][0]["data"] == [1.0, 1.0]
    server.ask("POST", "/v2/repository/models/echo/unload", b"{}")
    wait_until(lambda: not server.ready("echo"), LIMIT_S, "echo is gone")
    server.ask("POST", "/v2/repository/models/asking/unload", b"{}")
    refused = server.ask("POST", "/v2/repository/models/asking/load", b"{}")
    assert refused.status >= 400
    assert "Model 'echo' is not ready" in refused.error


def test_a_worker_that_stalls_in_the_middle_of_a_message_is_replaced(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "stall", STALLING)
    server = start_server(repository)
    reply = server.infer("stall", infer_json([1]))
    assert reply.status == 503
    assert "it sent a part of a message and nothing more for 10.0 s and was ended" in reply.error
    assert server.infer("stall", infer_json([0])).status == 200
    assert restarts(server, "stall", "protocol") == 1
    server.assert_three_ok()


@pytest.mark.parametrize("how", ["false", "raise", "hang"])
def test_a_model_that_says_that_it_is_not_ready_is_not(
    start_server: StartServer, repository: Path, how: str
) -> None:
    write_python_model(repository, "moody", READY)
    server = start_server(repository)
    wait_until(lambda: server.ready("moody"), LIMIT_S, "it is ready")
    marker = repository / "moody" / "1" / how
    marker.touch()
    wait_until(lambda: not server.ready("moody"), LIMIT_S, "it is not ready")
    wait_until_logged(server, "model instance 'moody_0' says that it is not ready")
    assert server.infer("moody", infer_json([0])).status == 200  # it can still be asked
    if how != "hang":
        marker.unlink()
        wait_until(lambda: server.ready("moody"), LIMIT_S, "it is ready again")
    server.assert_three_ok()


def test_a_model_that_is_busy_stays_ready(start_server: StartServer, repository: Path) -> None:
    write_python_model(repository, "moody", READY)
    server = start_server(repository)
    wait_until(lambda: server.ready("moody"), LIMIT_S, "it is ready")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.infer, "moody", infer_json([5]))
        seen = set()
        while not running.done():
            seen.add(server.ready("moody"))
        assert running.result().status == 200
    assert seen == {True}


def test_t08_a_model_that_leaks_descriptors_harms_only_itself(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "leaky", LEAKING)
    server = start_server(repository)
    files = server.open_files()
    assert "Too many open files" in server.infer("leaky", infer_json([1])).error
    for _ in range(3):
        assert server.infer("leaky", infer_json([0])).status == 200
        assert server.infer("leaky", infer_json([0.0] * 100_000)).status == 200
    assert restarts(server, "leaky", "recycled") == 1
    assert server.open_files() <= files + 5
    server.assert_three_ok()


def test_t05_a_model_without_memory_fails_its_request_and_goes_on(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "hungry", HUNGRY)
    server = start_server(repository)
    before = server.rss_bytes()
    reply = server.infer("hungry", infer_json([1]))
    assert reply.status == 500
    assert "MemoryError" in reply.error
    assert server.infer("hungry", infer_json([0])).status == 200
    assert server.infer("hungry", infer_json([2])).status == 503
    assert server.infer("hungry", infer_json([0])).status == 200
    assert restarts(server, "hungry", "signal") == 1
    assert server.rss_bytes() < before + (50 << 20)
    server.assert_three_ok()


def test_t17_a_load_error_of_a_megabyte_is_cut_and_names_no_server_paths(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "wordy", LONG_TRACEBACK)
    server = start_server(repository, *EXPLICIT)
    reply = server.ask("POST", "/v2/repository/models/wordy/load", b"{}")
    assert reply.status >= 400
    assert len(reply.body) <= 5000
    assert "wordy/1/model.py says xxx" in reply.error
    index = server.ask("POST", "/v2/repository/index", b"{}")
    assert len(index.body) <= 6000
    assert str(repository) not in index.body.decode()
    server.assert_three_ok()
