"""The same ``model.py`` files served by the real Triton and by tritium: values, texts and statuses are equal.

``python_models`` holds the files. Where tritium answers otherwise on purpose, the tables here say what both
answer, and docs/compatibility.md says why. Runs where the real Triton is set up (``tests/harness/peers.py``).
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks import servers
from tests.harness.http import infer_binary, infer_json, wait_until
from tests.harness.models import PLAIN, write_python_model
from tests.harness.peers import Answer, Peer, ReferencePeer, message, reference_python, reference_triton
from tests.harness.server import ServerProcess

MODELS = Path(__file__).parent / "python_models"
NOT_LOADED = ("late", "measured")  # by the tests themselves
Peers = tuple[ReferencePeer, Peer]
CODES = [
    "UNKNOWN",
    "INTERNAL",
    "NOT_FOUND",
    "INVALID_ARG",
    "UNAVAILABLE",
    "UNSUPPORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
]
SIZES = {"BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4}
SIZES |= {"INT64": 8, "FP16": 2, "FP32": 4, "FP64": 8}

# Probes whose answers differ: what the real Triton says, and what tritium does.
DIFFERENT: Mapping[str, tuple[Any, Any]] = {
    "constants": (
        {"TRITONSERVER_MEMORY_CPU": "MemoryType", "TRITONSERVER_MEMORY_GPU": "MemoryType"},
        {"TRITONSERVER_MEMORY_CPU": 0, "TRITONSERVER_MEMORY_GPU": 1},
    ),
    "tensor_types": ([["TypeError"]] * 12, [1, 6, 7, 8, 9, 2, 3, 4, 5, 10, 11, 12]),
    "dlpack_shares_memory": (["float32", [3], [0, 0, 0]], ["float32", [3], [0, 7, 0]]),
    "byte_strings_of_nothing": ([], ""),
    "byte_strings_of_numbers": (None, ["TritonModelException"]),
    "numpy_type_of_pythons_bool": (None, 1),
    "numpy_type_that_is_none": ([None, None], [None, 11]),
    "decoupled_policy_that_is_empty": (["KeyError", "'decoupled'"], False),
    "release_flags_that_are_none": (None, ["TritonModelException"]),
    "logged_numbers": (["TypeError"], None),
}

COMPLETES = """
    @staticmethod
    def auto_complete_config(config):
        {}
        return config
"""
HEAD = "import triton_python_backend_utils as pb_utils\n"
BEGIN = f"{HEAD}class TritonPythonModel:\n    def execute(self, requests):\n        return []\n"


def completing(line: str) -> str:
    return BEGIN + COMPLETES.format(line)


def initializing(line: str) -> str:
    return f"{BEGIN}\n    def initialize(self, args):\n        {line}\n"


BROKEN: Mapping[str, str] = {
    "on_import": "raise ValueError('on import')\n",
    "no_class": "class Other:\n    pass\n",
    "no_execute": "class TritonPythonModel:\n    pass\n",
    "in_initialize": initializing("raise ValueError('in initialize')"),
    "without_text": initializing("raise KeyError"),
    "in_completion": completing("raise ValueError('in completion')"),
    "completes_nothing": completing("config = None"),
    "smaller_batch": completing("config.set_max_batch_size(1)"),
    "other_type": completing("config.add_input({'name': 'IN', 'data_type': 'TYPE_INT32', 'dims': [-1]})"),
    "other_dims": completing("config.add_output({'name': 'OUT', 'data_type': 'TYPE_FP32', 'dims': [4]})"),
    "no_name": completing("config.add_input({'data_type': 'TYPE_FP32', 'dims': [4]})"),
    "bad_dims": completing("config.add_input({'name': 'A', 'data_type': 'TYPE_FP32', 'dims': [-2]})"),
}


def ways(model: str) -> list[str]:
    """The names of the methods of ``Ways`` in a model's file."""
    tree = ast.parse((MODELS / model / "1" / "model.py").read_text())
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Ways")
    return [node.name for node in found.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]


def probes() -> list[str]:
    tree = ast.parse((MODELS / "probes" / "1" / "model.py").read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name.removeprefix("probe_") for name in names if name.startswith("probe_")]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """The real Triton and tritium, both with their model.py files on the same Python and numpy."""
    program = reference_triton()
    root = tmp_path_factory.mktemp("python")
    models = root / "models"
    shutil.copytree(MODELS, models)
    write_python_model(models, "echo", PLAIN)
    loaded = sorted(path.name for path in models.iterdir() if path.name not in NOT_LOADED)
    for name, source in BROKEN.items():
        write_python_model(models, name, max_batch_size=2)
        (models / name / "1" / "model.py").write_text(source)
    flags = ["--model-control-mode=explicit", *(f"--load-model={name}" for name in loaded)]
    ours = [part for flag in flags for part in flag.split("=", 1)]
    ours += ["--backend-config", f"python,executable={reference_python()}"]
    with (
        ReferencePeer(lambda: servers.real_triton(program, models, *flags), models) as triton,
        ServerProcess(models, *ours, log=root / "log") as tritium,
    ):
        yield triton, Peer(tritium.http_port, tritium.grpc_port, tritium.metrics_port, models)
        tritium.assert_three_ok()


def both(peers: Peers, ask: Callable[[Peer], Any]) -> tuple[Any, Any]:
    """What Triton answers, and what tritium does."""
    triton, tritium = peers
    return triton.answer(ask), ask(tritium)


def same(peers: Peers, ask: Callable[[Peer], Any]) -> Any:
    """What both answer."""
    triton, tritium = both(peers, ask)
    assert tritium == triton
    return tritium


def told(peer: Peer, model: str, **parameters: str) -> Any:
    """What a model tells as JSON in its first output."""
    answer = peer.infer(model, infer_json([1, 2], shape=[2], parameters=parameters))
    return json.loads(answer["outputs"][0]["data"][0]) if answer["status"] == 200 else answer


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


@pytest.mark.parametrize("probe", probes())
def test_functions_and_classes(peers: Peers, probe: str) -> None:
    triton, tritium = both(peers, lambda peer: told(peer, "probes", probe=probe))
    if probe == "names":
        assert set(triton) <= set(tritium)
    elif probe == "constants":
        theirs, ours = DIFFERENT[probe]
        assert triton | ours == tritium and triton | theirs == triton
    elif probe in DIFFERENT:
        assert (triton, tritium) == DIFFERENT[probe]
    else:
        assert tritium == triton


def test_initialize_is_given_the_same(peers: Peers) -> None:
    body = infer_json([1])
    found = same(peers, lambda peer: json.loads(peer.infer("arguments", body)["outputs"][0]["data"][0]))
    assert found["model_name"] == "arguments" and found["types"] == ["str"]


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"id": "abc"},
        {"parameters": {"z": 1, "a": "b", "c": True, "f": 1.5, "n": -3}},
        {"parameters": {"sequence_id": 7, "sequence_start": True, "sequence_end": True, "priority": 2}},
        {"parameters": {"sequence_id": "abc", "sequence_end": True, "timeout": 123456, "x": 1}},
        {"outputs": [{"name": "OUT"}]},
        {"outputs": [{"name": "MORE"}, {"name": "OUT"}]},
    ],
)
def test_a_request_over_http_says_the_same_of_itself(peers: Peers, extra: Any) -> None:
    answer = same(peers, lambda peer: peer.infer("accessors", infer_json([1, 2], **extra)))
    assert answer["status"] == 200


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"a": "b"},
        {"sequence_id": 7, "sequence_start": True, "priority": 2, "timeout": 123456},
        {"sequence_id": "abc", "sequence_end": True},
    ],
)
def test_a_request_over_grpc_says_the_same_of_itself(peers: Peers, parameters: Any) -> None:
    asked = message("accessors", [("IN", "FP32", [1, 2], floats(1, 2))], **parameters)
    assert "outputs" in same(peers, lambda peer: peer.unary(asked))


def test_strings_are_bytes_in_object_arrays(peers: Peers) -> None:
    elements = b"".join(struct.pack("<I", len(text)) + text for text in (b"\xff\0", b"", b"abc"))
    tensors = [("IN", "BYTES", [1, 3], elements)]
    binary = infer_binary(tensors, parameters={"binary_data_output": True})
    text = infer_json(["a", "", "\u732b"], datatype="BYTES")
    assert same(peers, lambda peer: peer.infer("strings", *binary))["status"] == 200
    assert same(peers, lambda peer: peer.infer("strings", text))["outputs"][0]["data"] == ["\u732b", "", "a"]
    assert "outputs" in same(peers, lambda peer: peer.unary(message("strings", tensors)))


def test_bf16_goes_through_dlpack(peers: Peers) -> None:
    tensors = [("IN", "BF16", [3], bytes(range(6)))]
    binary = infer_binary(tensors, parameters={"binary_data_output": True})
    assert same(peers, lambda peer: peer.infer("halves", *binary))["binary"].startswith("000102030405")
    assert "outputs" in same(peers, lambda peer: peer.unary(message("halves", tensors)))


def test_every_type_comes_back_as_it_was(peers: Peers) -> None:
    tensors = [(f"I_{kind}", kind, [3], bytes([0, 1, 1]) * size) for kind, size in SIZES.items()]
    answer = same(peers, lambda peer: peer.unary(message("every_type", tensors)))
    assert len(answer["raw_output_contents"]) == len(SIZES)


@pytest.mark.parametrize("how", [way for way in ways("outcomes") if way != "error"])
def test_execute_ends_the_same(peers: Peers, how: str) -> None:
    body = infer_json([1, 2], parameters={"how": how})
    triton, tritium = both(peers, lambda peer: peer.infer("outcomes", body))
    modules = re.compile(r"tritium_worker\.(response|errors)\.|c_python_backend_utils\.")
    assert modules.sub("", json.dumps(tritium)) == modules.sub("", json.dumps(triton))


@pytest.mark.parametrize("code", CODES)
def test_a_models_error_has_the_same_status(peers: Peers, code: str) -> None:
    same(
        peers, lambda peer: peer.infer("outcomes", infer_json([1], parameters={"how": "error", "code": code}))
    )
    asked = message("outcomes", [("IN", "FP32", [1, 1], floats(1))], how="error", code=code)
    assert same(peers, lambda peer: peer.unary(asked))["error"] == "told so"


@pytest.mark.parametrize("how", ["both_outputs", "one_output", "no_outputs", "raises"])
@pytest.mark.parametrize("names", [["TEXT"], ["OUT"], ["TEXT", "OUT"]], ids=",".join)
def test_only_what_was_asked_for_is_answered(peers: Peers, how: str, names: list[str]) -> None:
    outputs = [{"name": name} for name in names]
    body = infer_json([1, 2], parameters={"how": how}, outputs=outputs)
    same(peers, lambda peer: peer.infer("outcomes", body))


@pytest.mark.parametrize("values", [(1, 2, 3, 4), (1, -1, 3, 4), (1, 2, 3, 7)])
def test_a_batch_is_answered_one_by_one_and_fails_together(peers: Peers, values: Sequence[float]) -> None:
    def batch(peer: Peer) -> list[Answer]:
        with ThreadPoolExecutor(len(values)) as pool:
            return list(pool.map(lambda value: peer.infer("batches", infer_json([value])), values))

    same(peers, batch)


@pytest.mark.parametrize("how", ways("iterating"))
def test_a_request_that_its_model_gives_back_runs_again(peers: Peers, how: str) -> None:
    body = infer_json([2.5], shape=(1, 1), id=how, parameters={"how": how})
    triton, tritium = both(peers, lambda peer: peer.infer("iterating", body))
    modules = re.compile(r"tritium_worker\.response\.|c_python_backend_utils\.")
    assert modules.sub("", json.dumps(tritium)) == modules.sub("", json.dumps(triton))


@pytest.mark.parametrize("times", [1, 3])
def test_a_request_is_answered_each_time_before_it_is_given_back(peers: Peers, times: int) -> None:
    asked = message("iterating_streams", [("IN", "FP32", [1, 1], floats(times))])
    asked.id = str(times)
    assert len(same(peers, lambda peer: peer.stream(asked))) == times


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_decoupled_coroutine_answers_the_same(peers: Peers, count: int) -> None:
    asked = message("coroutine_streams", [("IN", "FP32", [1], floats(count))])
    assert len(same(peers, lambda peer: peer.stream(asked))) == count


STREAMS = [way for way in ways("streams") if "cancelled" not in way and not way.startswith("what_")]


@pytest.mark.parametrize("how", STREAMS)
def test_a_decoupled_model_answers_the_same(peers: Peers, how: str) -> None:
    asked = message("streams", [("IN", "FP32", [1], floats(1))], how=how)
    assert bool(same(peers, lambda peer: peer.stream(asked))) == (how != "none")


def test_a_sender_refuses_the_same(peers: Peers) -> None:
    def refused(peer: Peer) -> list[Answer]:
        peer.stream(message("streams", [("IN", "FP32", [1], floats(1))], how="what_is_raised"))
        return peer.stream(message("streams", [("IN", "FP32", [1], floats(1))], how="what_was_raised"))

    assert "Unsupported flag provided" in same(peers, refused)[0]["error"]


def test_request_and_sender_see_that_the_client_has_gone(peers: Peers) -> None:
    def cancelled(peer: Peer) -> bool:
        tensors = [("IN", "FP32", [1], floats(1))]
        first = peer.first_of_stream(message("streams", tensors, how="until_it_is_cancelled"))
        assert first["raw_output_contents"] == [floats(0, 0).hex()]
        asked = message("streams", tensors, how="whether_it_was_cancelled")
        seen = [floats(1, 1).hex()]
        wait_until(lambda: peer.stream(asked)[0]["raw_output_contents"] == seen, 20.0, "it sees it")
        return True

    assert same(peers, cancelled)


@pytest.mark.parametrize("how", ["three_and_an_empty_final", "one", "none"])
def test_generate_stream_answers_the_same(peers: Peers, how: str) -> None:
    body = json.dumps({"IN": [1.0], "how": how}).encode()
    path = "/v2/models/streams/generate_stream"
    same(peers, lambda peer: (peer.ask("POST", path, body).status, peer.ask("POST", path, body).body))


@pytest.mark.parametrize(
    "how", [way for way in ways("asking") if way not in ("stream", "errors_of_the_model")]
)
def test_other_models_answer_a_model_the_same(peers: Peers, how: str) -> None:
    same(peers, lambda peer: told(peer, "asking", how=how))


def test_an_error_of_another_model_keeps_its_code(peers: Peers) -> None:
    triton, tritium = both(peers, lambda peer: told(peer, "asking", how="errors_of_the_model"))
    assert triton == [["error", 1, "told so"]] * 2
    assert tritium == [["error", 2, "told so"], ["error", 7, "told so"]]


def test_coroutines_answer_the_same(peers: Peers) -> None:
    for body in (infer_json([1], shape=[1]), infer_json([1], shape=[1], id="raise")):
        same(peers, lambda peer, body=body: peer.infer("coroutine", body))  # type: ignore[misc]


def test_metrics_of_a_model_are_the_same(peers: Peers) -> None:
    def measured(peer: Peer) -> list[str]:
        assert peer.load("measured")["status"] == 200
        values = json.dumps(told(peer, "measured"))
        return [values, *sorted(line for line in peer.metrics().splitlines() if "parity_" in line)]

    lines = same(peers, measured)
    assert 'parity_level{a="1"} 5.25' in lines


@pytest.mark.parametrize("model", ["completed", "completed_in_part", "streams", "arguments"])
def test_a_completed_configuration_is_the_same(peers: Peers, model: str) -> None:
    for path in (f"/v2/models/{model}/config", f"/v2/models/{model}"):
        assert same(peers, lambda peer, path=path: peer.ask("GET", path).json)["name"] == model  # type: ignore[misc]


@pytest.mark.parametrize("how", ways("loading"))
def test_a_model_loads_and_unloads_others_the_same(peers: Peers, how: str) -> None:
    triton, tritium = both(peers, lambda peer: told(peer, "loading", how=how))
    if how in ("load_files_without_a_config", "load_with_a_config_that_is_none"):
        assert tritium[1].startswith(f"{triton[1]}: ")  # behind Triton's text comes the cause
    else:
        assert tritium == triton


@pytest.mark.parametrize("name", BROKEN)
def test_a_model_that_does_not_load_says_the_same(peers: Peers, name: str) -> None:
    same(peers, lambda peer: peer.load(name))
    peers[1].ask("POST", f"/v2/repository/models/{name}/unload", b"{}")  # else the server is not ready


def test_coroutines_await_other_models_the_same(peers: Peers) -> None:
    """Stays the last one: Triton 2.51 may not survive what comes after it."""
    answer = same(peers, lambda peer: peer.infer("coroutine", infer_json([100], shape=[1])))
    assert answer["outputs"][0]["data"] == [1100.0]
