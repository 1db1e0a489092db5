"""The same ensembles of ``model.py`` files served by the real Triton and by tritium.

Runs where the real Triton is set up (``tests/harness/peers.py``). Where an ensemble does not fit, tritium
says more than Triton, whose text comes first.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.http import infer_json, wait_until
from tests.harness.models import write_chain, write_ensemble, write_python_model
from tests.harness.peers import Peer, Peers, both, message, served_by_both

DECOUPLED = "model_transaction_policy { decoupled: true }"
# In Triton 2.51 a response has no parameters.
ECHO = """
class TritonPythonModel:
    def execute(self, requests):
        return [self.one(values(request)) for request in requests]

    def one(self, array):
        if (array == -1).any():
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("told so"))
        if (array == -2).any():
            return pb_utils.InferenceResponse([])
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)])
"""
REPEAT = """
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for i in range(int(values(request).max())):
                array = np.array([[i]], np.float32)
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
BAD = ("type", "shape", "unmapped", "unknown", "circle", "meets", "needs_broken")
GOOD = ("echo", "chain", "outer", "no_batch_first", "batch_first", "stream", "nested_stream", "fork")


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    root = tmp_path_factory.mktemp("ensembles")
    models = root / "models"
    for name in ("echo", "other"):
        write_python_model(models, name, ECHO)
    write_python_model(models, "plain", ECHO, max_batch_size=0)
    write_python_model(models, "integers", ECHO, inputs=[("IN", "INT32", [-1])])
    write_python_model(models, "three", ECHO, inputs=[("IN", "FP32", [3])])
    write_python_model(models, "two", ECHO, inputs=[("IN", "FP32", [-1]), ("B", "FP32", [-1])])
    write_python_model(models, "broken", 'raise ValueError("no")')
    write_python_model(models, "repeat", REPEAT, extra=DECOUPLED)
    write_chain(models, "chain", "echo", "other", "echo")
    write_chain(models, "outer", "chain", "other")
    write_chain(models, "no_batch_first", "plain", "echo")
    write_chain(models, "batch_first", "echo", max_batch_size=0)
    write_chain(models, "stream", "repeat", "echo")
    write_chain(models, "nested_stream", "repeat", "repeat")
    outputs = [("A", "FP32", [-1]), ("B", "FP32", [-1])]
    fork = [(model, {"IN": "IN"}, {"OUT": made}) for model, made in (("echo", "A"), ("other", "B"))]
    write_ensemble(models, "fork", *fork, outputs=outputs)
    write_chain(models, "type", "echo", "integers")
    write_chain(models, "shape", "three", inputs=[("IN", "FP32", [4])])
    write_chain(models, "unmapped", "two")
    write_chain(models, "unknown", "echo", "nowhere")
    write_chain(models, "circle", "circle")
    write_chain(models, "needs_broken", "broken")
    meets = [("repeat", {"IN": "IN"}, {"OUT": "x"}), ("two", {"IN": "x", "B": "IN"}, {"OUT": "OUT"})]
    write_ensemble(models, "meets", *meets)
    with served_by_both(
        models, "--model-control-mode=explicit", *(f"--load-model={name}" for name in GOOD)
    ) as pair:
        yield pair


def infer(
    model: str, data: list[float], shape: list[int] | None = None, **more: Any
) -> Callable[[Peer], Any]:
    return lambda peer: peer.infer(model, infer_json(data, shape=shape, **more))


@pytest.mark.parametrize(
    "ask",
    [
        infer("chain", [1, 2], id="seven", parameters={"sequence_id": 5, "sequence_start": True}),
        infer("chain", [1, 2, 3, 4], [2, 2]),
        infer("outer", [1, 2]),
        infer("chain", [-1]),
        infer("outer", [-1]),
        infer("chain", [-2]),
        infer("chain", [0] * 9, [9, 1]),
        infer("no_batch_first", [1, 2]),
        infer("no_batch_first", [1, 2], [2, 1]),
        infer("batch_first", [1, 2], [2]),
        infer("fork", [1], outputs=[{"name": "B"}]),
        infer("stream", [1]),
    ],
)
def test_answers_are_equal(peers: Peers, ask: Callable[[Peer], Any]) -> None:
    theirs, ours = both(peers, ask)
    assert ours == theirs


@pytest.mark.parametrize(
    ("model", "value"), [("stream", 3), ("stream", 0), ("nested_stream", 4), ("chain", 3)]
)
def test_streams_have_the_same_responses_in_the_same_order(peers: Peers, model: str, value: int) -> None:
    asked = message(
        model,
        [("IN", "FP32", [1, 1], struct.pack("<f", value))],
        triton_enable_empty_final_response=True,
    )
    theirs, ours = both(peers, lambda peer: values(peer.stream(asked)))
    assert ours == theirs


def values(answers: list[Any]) -> list[Any]:
    """Errors and outputs; when the final flag comes with the last of them is a matter of luck."""
    assert answers[-1]["parameters"]["triton_final_response"] == {"bool_param": True}
    return [(a["error"], a["outputs"], a["raw_output_contents"]) for a in answers if a.get("outputs")]


@pytest.mark.parametrize("model", BAD)
def test_what_does_not_fit_is_refused_in_tritons_words(peers: Peers, model: str) -> None:
    theirs, ours = both(peers, lambda peer: peer.load(model))
    assert ours["status"] == theirs["status"] == 400
    words = theirs["error"].split("RuntimeError")[0].split("ValueError")[0].rstrip("\n")
    if model == "circle":  # Triton leaves out what is between
        words = "load failed for model 'circle': circular dependency between ensembles: circle -> "
    assert ours["error"].startswith(words)


@pytest.mark.parametrize("path", ["chain", "chain/config", "stream/config"])
def test_metadata_and_configuration_are_equal(peers: Peers, path: str) -> None:
    theirs, ours = both(peers, lambda peer: peer.ask("GET", f"/v2/models/{path}"))
    assert ours.json == theirs.json


def test_statistics_count_the_same(peers: Peers) -> None:
    def counts(peer: Peer) -> dict[str, tuple[int, ...]]:
        found = {}
        for model in ("fork", "echo", "other"):
            stats = peer.ask("GET", f"/v2/models/{model}/stats").json["model_stats"][0]
            sizes = [entry["batch_size"] for entry in stats["batch_stats"]]
            success = stats["inference_stats"]["success"]["count"]
            found[model] = (stats["inference_count"], stats["execution_count"], success, *sizes)
        return found

    def added(peer: Peer) -> list[int]:
        before = counts(peer)
        infer("fork", [1, 2, 3], [3, 1])(peer)
        wait_until(lambda: counts(peer)["other"] != before["other"], 10, "it is counted")
        after = counts(peer)
        return [after[model][place] - before[model][place] for model in before for place in range(3)]

    theirs, ours = both(peers, added)
    assert ours == theirs == [3, 1, 1] * 3


def test_ensembles_go_and_come_with_their_models(peers: Peers) -> None:
    def scene(peer: Peer) -> list[Any]:
        def state(model: str) -> str:
            entries = peer.ask("POST", "/v2/repository/index").json
            return next(str(e.get("state")) for e in entries if e["name"] == model)

        def control(verb: str) -> None:
            assert peer.ask("POST", f"/v2/repository/models/other/{verb}", b"{}").status == 200

        control("unload")
        wait_until(lambda: state("outer") == "UNAVAILABLE", 30, "the outer ensemble is unloaded")
        seen: list[Any] = [state("chain"), state("echo"), infer("chain", [1])(peer)]
        control("load")
        wait_until(lambda: state("outer") == "READY", 30, "the outer ensemble is loaded")
        return [*seen, state("chain"), infer("outer", [1])(peer)]

    theirs, ours = both(peers, scene)
    assert ours == theirs
    assert ours[0] == "UNAVAILABLE"
