"""Rate limiter, response cache and warm-up of the real Triton and of tritium, given the same models.

Runs where the real Triton is set up (``tests/harness/peers.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.harness.gates import GATED, LIMIT_S, held
from tests.harness.http import infer_json, wait_until
from tests.harness.models import write_chain, write_python_model
from tests.harness.peers import Peer, Peers, both, served_by_both

LIMITS = 'instance_group {{ count: {} rate_limiter {{ resources {{ name: "R" {}count: {} }} }} }}'
CACHED = "response_cache { enable: true }"
SEQUENCES = "sequence_batching { max_sequence_idle_microseconds: 60000000 }"
# In Triton 2.51 a response has no parameters.
ECHO = """
class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", values(one))]) for one in requests]
"""
# OUT is what has run so far, in the order of the requests: their number, and the sum of their values.
NOTING = """
class TritonPythonModel:
    def initialize(self, args):
        self.seen = np.zeros(2, np.float32)

    def execute(self, requests):
        for request in requests:
            self.seen += [1, values(request).sum()]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", self.seen[None])]) for request in requests]
"""
SAMPLE = 'model_warmup {{ name: "s" batch_size: {} count: {} {} }}'
INPUT = 'inputs {{ key: "{}" value {{ data_type: TYPE_FP32 dims: 2 {} }} }}'
ZEROS = INPUT.format("IN", "zero_data: true")
WARM = {
    "zeros": SAMPLE.format(2, 3, ZEROS),
    "once": SAMPLE.format(1, 0, ZEROS),
    "raw": SAMPLE.format(1, 1, INPUT.format("IN", 'input_data_file: "raw"')),
    "two": SAMPLE.format(1, 1, ZEROS) + SAMPLE.format(2, 1, ZEROS),
}
COLD = {
    "no_input": SAMPLE.format(1, 1, ""),
    "no_source": SAMPLE.format(1, 1, INPUT.format("IN", "")),
}
GOOD = ("one", "other", "limited_sequences", "cached", "uncached", "first", "chain", *WARM)


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    models = tmp_path_factory.mktemp("resources") / "models"
    three = [("OUT", "FP32", [3])]
    for name in ("one", "other"):
        write_python_model(models, name, GATED, outputs=three, extra=LIMITS.format(1, "", 1))
    write_python_model(
        models, "limited_sequences", GATED, outputs=three, extra=LIMITS.format(1, "", 1) + SEQUENCES
    )
    write_python_model(models, "greedy", ECHO, extra=LIMITS.format(1, "", 3))
    write_python_model(models, "world", ECHO, extra=LIMITS.format(1, "global: true ", 1))
    for name, extra in (("cached", CACHED), ("uncached", "")):
        write_python_model(models, name, ECHO, extra=extra)
    write_python_model(models, "first", ECHO, extra=CACHED)
    write_chain(models, "chain", "first", "uncached")
    write_models_to_warm(models)
    loaded = [f"--load-model={name}" for name in GOOD]
    flags = ["--rate-limit=execution_count", "--rate-limit-resource=R:1", "--cache-config=local,size=1048576"]
    with served_by_both(models, "--model-control-mode=explicit", *loaded, *flags) as pair:
        yield pair


def write_models_to_warm(models: Path) -> None:
    for name, sample in {**WARM, **COLD}.items():
        write_python_model(models, name, NOTING, outputs=[("OUT", "FP32", [2])], extra=sample)
        (models / name / "warmup").mkdir()
        (models / name / "warmup" / "raw").write_bytes(np.array([3, 4], "<f4").tobytes())


def counts(peer: Peer, model: str) -> dict[str, int]:
    found = peer.statistics(model)
    stats = found["inference_stats"]
    names = ("success", "fail", "queue", "compute_infer", "cache_hit", "cache_miss")
    more = {name: found[f"{name}_count"] for name in ("inference", "execution")}
    return {**more, **{name: stats[name]["count"] for name in names}}


@pytest.mark.parametrize("waiting", ["other", "limited_sequences"])
def test_who_finds_the_pool_empty_waits_for_it(peers: Peers, waiting: str) -> None:
    body = infer_json([0.0], parameters={"sequence_id": 1, "sequence_start": True, "sequence_end": True})

    def scene(peer: Peer) -> Any:
        with ThreadPoolExecutor(1) as pool, held(peer, "one") as go_on:
            asked = pool.submit(peer.infer, waiting, body)
            try:
                wait_until(lambda: peer.pending(waiting) == 1, LIMIT_S, "it waits")
                waits = not asked.done()
            finally:
                go_on()
            answer = asked.result()
        return waits, answer["status"], answer["outputs"][0]["data"][1:]

    theirs, ours = both(peers, scene)
    assert ours == theirs == (True, 200, [1, 0])


@pytest.mark.parametrize("model", ["greedy", "world", *COLD])
def test_what_could_never_run_is_refused_in_the_same_words(peers: Peers, model: str) -> None:
    theirs, ours = both(peers, lambda peer: peer.load(model))
    assert ours["status"] == theirs["status"] == 400
    assert ours["error"] == theirs["error"]


@pytest.mark.parametrize("model", [*WARM])
def test_warm_up_runs_as_often_and_is_counted_alike(peers: Peers, model: str) -> None:
    def scene(peer: Peer) -> Any:
        warm = counts(peer, model)
        return warm, peer.infer(model, infer_json([1.0, 1.0]))["outputs"]

    theirs, ours = both(peers, scene)
    assert ours == theirs


def test_hits_and_misses_are_counted_alike(peers: Peers) -> None:
    def scene(peer: Peer) -> Any:
        models = ("cached", "uncached", "first", "chain")
        answers: list[Any] = []
        for model in models:
            for data in ([1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [1.0, 2.0]):
                answers.append(peer.infer(model, infer_json(data, id=f"{model} {len(answers)}")))
        total = {name: counts(peer, name) for name in models}

        def at_rest() -> bool:  # the last answer leaves before it is counted
            nonlocal total
            before, total = total, {name: counts(peer, name) for name in models}
            return before == total

        wait_until(at_rest, LIMIT_S, "it is counted")
        return answers, total

    theirs, ours = both(peers, scene)
    assert ours[0] == theirs[0]
    assert ours[1] == theirs[1]
    assert (ours[1]["cached"]["cache_hit"], ours[1]["cached"]["cache_miss"]) == (2, 2)


@pytest.mark.parametrize("model", ["one", "limited_sequences", "cached", "zeros", "raw"])
def test_configurations_are_shown_alike(peers: Peers, model: str) -> None:
    theirs, ours = both(peers, lambda peer: peer.ask("GET", f"/v2/models/{model}/config").json)
    assert ours == theirs
