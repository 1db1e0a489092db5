"""The sequence batchers of the real Triton and of tritium, given the same requests.

Runs where the real Triton is set up (``tests/harness/peers.py``). What differs on purpose is in
docs/compatibility.md, "Sequences", and not asked here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.harness.gates import LIMIT_S, Asked
from tests.harness.http import infer_json, wait_until
from tests.harness.models import write_python_model
from tests.harness.peers import Peer, Peers, both, served_by_both

IDLE_S = 1.0
PATIENCE_S = 15.0  # Triton looks for time-outs as rarely as for sequences that idle
CONTROLS = """
  control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }
  control_input { name: "READY" control { kind: CONTROL_SEQUENCE_READY fp32_false_true: [ 0, 1 ] } }
  control_input { name: "END" control { kind: CONTROL_SEQUENCE_END bool_false_true: [ false, true ] } }
"""
ID = 'control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_%s } }'

# OUT is the sum of the sequence so far; TOLD says of every row of the batch what the model was told.
ADDING = """
class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        rows = [self.told(request) for request in requests]
        return [self.one(place, request, rows) for place, request in enumerate(requests)]

    def told(self, request):
        names = sorted(tensor.name() for tensor in request.inputs() if tensor.name() != "IN")
        told = {name: values(request, name) for name in names}
        if not told["READY"].any():  # what else such a row holds is undefined in Triton
            return "empty"
        seen = {name: [str(a.dtype), list(a.shape), str(a.ravel()[0])] for name, a in told.items()}
        return {**seen, "flags": request.flags(), "id": str(request.correlation_id())}

    def one(self, place, request, rows):
        key = request.correlation_id()
        if rows[place] == "empty":
            return pb_utils.InferenceResponse([])
        if request.flags() & 1:
            self.sums[key] = 0.0
        self.sums[key] = self.sums.get(key, -1e6) + float(values(request).max())
        if values(request).max() == -99:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("told so"))
        told = np.array([[json.dumps({"row": place, "rows": rows}).encode()]], np.object_)
        out = np.array([[self.sums[key]]], np.float32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", out), pb_utils.Tensor("TOLD", told)])
"""

# OUT is how often the request was executed, as often as IN says; 13 is an error in the second execution.
COUNTING = """
class TritonPythonModel:
    def initialize(self, args):
        self.counts = {}

    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        key = request.correlation_id()
        count = self.counts[key] = 1 if request.flags() & 1 else self.counts[key] + 1
        if values(request).max() == 13 and count == 2:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("told so"))
        if count < values(request).max():
            request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
            return None
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([[count]], np.float32))])
"""

Step = tuple[int | str, str, float] | float  # a sequence, its flags (S, E) and a number; or seconds to wait


def batching(strategy: str, kind: str, idle_s: float) -> str:
    return (
        f"sequence_batching {{ {strategy} max_sequence_idle_microseconds: {int(idle_s * 1e6)} "
        f"{CONTROLS} {ID % kind if kind else ''} }}"
    )


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    models = tmp_path_factory.mktemp("sequences") / "models"
    strategies = {"direct": "direct { }", "oldest": "oldest { max_candidate_sequences: 2 }", "default": ""}
    outputs = [("OUT", "FP32", [1]), ("TOLD", "STRING", [1])]
    for name, strategy in strategies.items():
        for kind in ("UINT64", "INT32", ""):
            extra = batching(strategy, kind, 60)
            write_python_model(
                models,
                f"{name}_{kind.lower() or 'any'}",
                ADDING,
                max_batch_size=2,
                outputs=outputs,
                extra=extra,
            )
    write_python_model(
        models,
        "single",
        ADDING,
        max_batch_size=0,
        outputs=[("OUT", "FP32", [1, 1]), ("TOLD", "STRING", [1, 1])],
        extra=batching("direct { }", "UINT64", 60),
    )
    for name, idle_s in (("forgetful", IDLE_S), ("impatient", PATIENCE_S)):
        extra = batching("direct { }", "UINT64", idle_s)
        write_python_model(models, name, ADDING, max_batch_size=1, outputs=outputs, extra=extra)
    iterative = "sequence_batching { iterative_sequence: true }"
    write_python_model(models, "counting", COUNTING, extra=iterative)
    with served_by_both(models) as pair:
        yield pair


def ask(peer: Peer, model: str, step: tuple[int | str, str, float], **more: Any) -> Any:
    key, flags, number = step
    parameters = {"sequence_id": key, "sequence_start": "S" in flags, "sequence_end": "E" in flags, **more}
    shape = (1,) if model == "single" else (1, 1)
    return peer.infer(model, infer_json([number], shape=shape, parameters=parameters))


def played(peers: Peers, model: str, *steps: Step) -> list[Any]:
    """What both servers answer to requests that are sent one after the other."""

    def scene(peer: Peer) -> list[Any]:
        found = []
        for step in steps:
            if isinstance(step, tuple):
                found.append(ask(peer, model, step))
            else:
                time.sleep(step)
        return found

    theirs, ours = both(peers, scene)
    assert ours == theirs
    return ours


def sums(answers: list[Any]) -> list[float | str]:
    return [each["outputs"][0]["data"][0] if "outputs" in each else each["error"] for each in answers]


@pytest.mark.parametrize(
    "model", ["direct_uint64", "oldest_uint64", "default_uint64", "direct_int32", "single"]
)
def test_a_sequence_is_told_and_answered_alike(peers: Peers, model: str) -> None:
    found = played(peers, model, (5, "S", 1), (5, "", 2), (5, "E", 3), (5, "SE", 4))
    assert sums(found) == [1, 3, 6, 4]


@pytest.mark.parametrize("model", ["direct_any", "oldest_any"])
def test_ids_may_be_strings_and_begin_anew(peers: Peers, model: str) -> None:
    found = played(peers, model, ("a b", "S", 1), ("a b", "", 2), ("a b", "S", 5), ("a b", "E", 1))
    assert sums(found) == [1, 3, 5, 6]


@pytest.mark.parametrize("model", ["direct_uint64", "oldest_uint64"])
def test_an_error_of_the_model_does_not_end_a_sequence(peers: Peers, model: str) -> None:
    found = played(peers, model, (7, "S", 1), (7, "", -99), (7, "E", 100))
    assert sums(found) == [1, "told so", 2]


@pytest.mark.parametrize("model", ["direct_uint64", "oldest_uint64", "counting"])
@pytest.mark.parametrize(
    "step",
    [(5, "", 1), (5, "E", 1), (0, "S", 1), ("", "S", 1), (6, "", 1)],
)
def test_breaches_of_the_rules_are_refused_in_the_same_words(
    peers: Peers, model: str, step: tuple[int | str, str, float]
) -> None:
    if model == "counting" and not step[0]:
        pytest.skip("an iterative request needs no id")
    (found,) = played(peers, model, step)
    assert found["status"] == 400


def test_after_its_end_a_sequence_must_start(peers: Peers) -> None:
    found = played(peers, "oldest_uint64", (8, "S", 1), (8, "E", 1), (8, "", 1), (8, "SE", 3))
    assert [each["status"] for each in found] == [200, 200, 400, 200]


def test_a_request_is_one_row(peers: Peers) -> None:
    body = infer_json([1, 2], shape=(2, 1), parameters={"sequence_id": 3, "sequence_start": True})
    theirs, ours = both(peers, lambda peer: peer.infer("direct_uint64", body))
    assert ours == theirs
    assert ours["status"] == 400


@pytest.mark.parametrize("key", ["x" * 128, "x" * 129, 2**63, 2**64 - 1])
def test_ids_of_any_size_are_taken_or_refused_alike(peers: Peers, key: int | str) -> None:
    model = "direct_any" if isinstance(key, str) else "direct_uint64"
    played(peers, model, (key, "SE", 1))


def test_sequences_keep_their_rows(peers: Peers) -> None:
    found = played(
        peers, "direct_uint64", (1, "S", 1), (2, "S", 10), (1, "", 1), (2, "", 10), (1, "E", 1), (2, "E", 10),
        (3, "SE", 5),
    )  # fmt: skip
    assert sums(found) == [1, 10, 2, 20, 3, 30, 5]


def test_a_sequence_that_idles_is_forgotten(peers: Peers) -> None:
    found = played(
        peers, "forgetful", (1, "S", 1), 3 * IDLE_S, (1, "", 1), (2, "S", 5), (2, "E", 5)
    )  # fmt: skip
    assert [each["status"] for each in found] == [200, 400, 200, 200]


@pytest.mark.parametrize("model", ["direct_uint64", "oldest_uint64"])
def test_a_sequence_without_a_slot_waits_until_another_ends(peers: Peers, model: str) -> None:
    def scene(peer: Peer) -> list[Any]:
        found = [ask(peer, model, (1, "S", 1)), ask(peer, model, (2, "S", 2))]
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ask, peer, model, (3, "SE", 3))
            try:
                wait_until(lambda: peer.pending(model) == 1, LIMIT_S, "the third one waits")
                found.append(ask(peer, model, (2, "", 2)))
            finally:
                found += [ask(peer, model, (2, "E", 2)), ask(peer, model, (1, "E", 1))]
            return [*sums(found), *sums([waiting.result()])]

    theirs, ours = both(peers, scene)
    assert ours == theirs == [1, 2, 4, 6, 2, 3]


def test_a_sequence_that_finds_no_slot_in_time_is_told_so(peers: Peers) -> None:
    def scene(peer: Peer) -> Any:
        ask(peer, "impatient", (1, "S", 1))
        return ask(peer, "impatient", (2, "S", 3), timeout=200_000)

    theirs, ours = both(peers, scene)
    assert ours == theirs
    assert ours["status"] == 503


@pytest.mark.parametrize("count", [1, 2, 5])
def test_iterative_requests_run_as_often_as_the_model_likes(peers: Peers, count: int) -> None:
    theirs, ours = both(peers, lambda peer: peer.infer("counting", infer_json([float(count)])))
    assert ours == theirs
    assert sums([ours]) == [count]


def test_an_iterative_request_ends_with_an_error(peers: Peers) -> None:
    theirs, ours = both(peers, lambda peer: peer.infer("counting", infer_json([13.0])))
    assert ours == theirs
    assert ours["error"] == "told so"


def test_streams_carry_sequences_alike(peers: Peers) -> None:
    asked = [
        Asked(
            f"r{place}",
            value=float(place),
            parameters={"sequence_id": 9, "sequence_start": place == 0, "sequence_end": place == 3},
        )
        for place in range(5)
    ]
    theirs, ours = both(peers, lambda peer: peer.stream(*(one.message("oldest_uint64") for one in asked)))
    assert ours == theirs
    assert "must specify the START flag" in ours[-1]["error"]


@pytest.mark.parametrize("model", ["direct_uint64", "oldest_any", "counting", "forgetful"])
def test_configurations_are_shown_alike(peers: Peers, model: str) -> None:
    theirs, ours = both(peers, lambda peer: peer.ask("GET", f"/v2/models/{model}/config").json)
    assert ours == theirs
