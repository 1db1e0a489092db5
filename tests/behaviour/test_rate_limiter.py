"""Instances of different models that share resources (--rate-limit execution_count)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.http import infer_json
from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import ServerProcess

WORKING = """
class TritonPythonModel:
    def execute(self, requests):
        began = time.monotonic()
        time.sleep(0.01)
        seen = np.array([[began, time.monotonic()]])
        return [answer(seen) for request in requests]
"""
GROUP = 'instance_group {{ count: {} rate_limiter {{ resources {{ name: "R" count: {} }} }} }}'
MODELS = {"one": (1, 1), "other": (2, 1), "all": (1, 2)}  # instances, and what each needs
SEQUENCES = {"oldest": (2, 1), "direct": (1, 2)}
STRATEGIES = {
    "oldest": "oldest { max_candidate_sequences: 3 max_queue_delay_microseconds: 2000 }",
    "direct": "direct { }",
}
POOL = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("limited")
    models = root / "models"
    write_python_model(models, "echo", PLAIN)
    for name, (count, need) in {**MODELS, "greedy": (1, 3)}.items():
        write_python_model(
            models,
            name,
            WORKING,
            max_batch_size=1,
            outputs=[("OUT", "FP64", [2])],
            extra=GROUP.format(count, need),
        )
    for name, (count, need) in SEQUENCES.items():
        write_python_model(
            models,
            name,
            WORKING,
            max_batch_size=3,
            outputs=[("OUT", "FP64", [2])],
            extra=GROUP.format(count, need) + f"sequence_batching {{ {STRATEGIES[name]} }}",
        )
    flags = ["--rate-limit", "execution_count", "--rate-limit-resource", f"r:{POOL}"]
    flags += ["--model-control-mode", "explicit", "--no-exit-on-error", "--no-strict-readiness"]
    for name in ("echo", *MODELS, *SEQUENCES):
        flags += ["--load-model", name]
    with ServerProcess(models, *flags, log=root / "log") as running:
        yield running
        running.assert_three_ok()


def test_no_more_runs_than_the_pool_has(server: ServerProcess) -> None:
    def ask(name: str) -> tuple[str, float, float]:
        began, ended = server.infer(name, infer_json([0.0])).json["outputs"][0]["data"]
        return name, began, ended

    with ThreadPoolExecutor(12) as pool:
        spans = list(pool.map(ask, [*MODELS] * 20))
    for _, moment, _ in spans:
        running = [name for name, began, ended in spans if began <= moment < ended]
        assert sum(MODELS[name][1] for name in running) <= POOL
    for name in MODELS:
        assert sum(each == name for each, _, _ in spans) == 20


def test_sequences_share_the_pool_with_everybody(server: ServerProcess) -> None:
    def sequence(number: int) -> list[tuple[str, float, float]]:
        name = [*SEQUENCES][number % 2]
        found = []
        for step in range(4):
            flags = {"sequence_start": step == 0, "sequence_end": step == 3}
            body = infer_json([0.0], parameters={"sequence_id": number + 1, **flags})
            reply = server.infer(name, body)
            assert reply.status == 200, reply
            began, ended = reply.json["outputs"][0]["data"]
            found.append((name, began, ended))
        assert [began for _, began, _ in found] == sorted(began for _, began, _ in found)
        return found

    def single(number: int) -> list[tuple[str, float, float]]:
        began, ended = server.infer("one", infer_json([0.0])).json["outputs"][0]["data"]
        return [("one", began, ended)]

    with ThreadPoolExecutor(18) as pool:
        asked = [(sequence, number) for number in range(12)] + [(single, 0)] * 12
        found = [*pool.map(lambda one: one[0](one[1]), asked)]
    spans = {span for spans in found for span in spans}  # requests of a batch tell the same one
    needs = MODELS | SEQUENCES
    for _, moment, _ in spans:
        running = [name for name, began, ended in spans if began <= moment < ended]
        assert sum(needs[name][1] for name in running) <= POOL
    assert {name for name, _, _ in spans} == {"one", *SEQUENCES}


def test_an_instance_that_could_never_run_is_not_loaded(server: ServerProcess) -> None:
    reply = server.ask("POST", "/v2/repository/models/greedy/load", b"{}")
    assert reply.status == 400
    assert (
        'Resource count for "R" is limited to 2 which will prevent scheduling of one or more model '
        "instances, the minimum required count is 3" in reply.error
    )


def test_a_model_that_is_unloaded_leaves_its_resources_to_others(server: ServerProcess) -> None:
    for _ in range(3):
        for verb in ("unload", "load"):
            assert server.ask("POST", f"/v2/repository/models/all/{verb}", b"{}").status == 200
        with ThreadPoolExecutor(6) as pool:
            replies = list(
                pool.map(lambda name: server.infer(name, infer_json([0.0])), ["all", "one", "other"] * 2)
            )
        assert [reply.status for reply in replies] == [200] * 6
