"""The gRPC service by the real tritonclient."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.harness.models import ALL_TYPES, ECHO, FAILING, PLAIN, SLOW, write_python_model
from tests.harness.pipeline_models import LATER, REPEAT
from tests.harness.server import ServerProcess

DECOUPLED = "model_transaction_policy { decoupled: true }"
Reply = tuple[str, str]  # what a reply of a stream is: the request's id or the error's text, and details


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("grpc")
    models = root / "models"
    for name, source in (("echo", PLAIN), ("failing", FAILING), ("slow", SLOW)):
        write_python_model(models, name, source)
    for name, source in (("repeat", REPEAT), ("later", LATER)):
        write_python_model(models, name, source, extra=DECOUPLED)
    inputs = [(f"I_{kind}", kind, [-1]) for kind in ALL_TYPES if kind != "BF16"]
    outputs = [(f"O_{kind}", kind, [-1]) for kind in ALL_TYPES if kind != "BF16"]
    write_python_model(models, "types", ECHO, inputs=inputs, outputs=outputs, max_batch_size=0)
    with ServerProcess(models, log=root / "log") as running:
        yield running
        running.assert_three_ok()


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Any]:
    with grpcclient.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as made:
        yield made


def tensor(array: np.ndarray[Any, Any], name: str = "IN", library: Any = grpcclient) -> Any:
    made = library.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array)
    return made


def floats(*values: float) -> np.ndarray[Any, Any]:
    return np.array([values], np.float32)


def test_health_and_metadata_are_those_of_http(server: ServerProcess, client: Any) -> None:
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("echo") and client.is_model_ready("echo", "1")
    assert not client.is_model_ready("nope") and not client.is_model_ready("echo", "9")
    with httpclient.InferenceServerClient(f"127.0.0.1:{server.http_port}") as http:
        assert client.get_server_metadata(as_json=True) == http.get_server_metadata()
        metadata = client.get_model_metadata("echo", as_json=True)
        assert metadata["inputs"][0]["shape"] == ["-1", "-1"]
        assert metadata["versions"] == http.get_model_metadata("echo")["versions"]
        config = client.get_model_config("echo", as_json=True)["config"]
        assert config["max_batch_size"] == http.get_model_config("echo")["max_batch_size"] == 8
    statistics = client.get_inference_statistics("echo", as_json=True)["model_stats"]
    assert [entry["name"] for entry in statistics] == ["echo"]
    assert {entry["name"] for entry in client.get_inference_statistics(as_json=True)["model_stats"]} >= {
        "slow"
    }


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    made: dict[str, np.ndarray[Any, Any]] = {}
    for kind in ALL_TYPES:
        if kind == "STRING":
            made[kind] = np.array([b"", b"\xff\x00", "ü".encode()], dtype=object)
        elif kind != "BF16":
            dtype = {"BOOL": "bool", "FP16": "f2", "FP32": "f4", "FP64": "f8"}.get(kind, kind.lower())
            made[kind] = np.array([0, 1, 3]).astype(dtype)
    return made


def test_every_datatype_comes_back_the_same_over_both_protocols(server: ServerProcess, client: Any) -> None:
    sent = arrays()
    over_grpc = client.infer("types", [tensor(array, f"I_{kind}") for kind, array in sent.items()])
    with httpclient.InferenceServerClient(f"127.0.0.1:{server.http_port}") as http:
        inputs = [tensor(array, f"I_{kind}", httpclient) for kind, array in sent.items()]
        over_http = http.infer("types", inputs)
        for kind, array in sent.items():
            assert np.array_equal(over_grpc.as_numpy(f"O_{kind}"), array), kind
            assert np.array_equal(over_http.as_numpy(f"O_{kind}"), array), kind


def ask(client: Any, model: str = "echo", **fields: Any) -> Any:
    """One call with a message as it stands."""
    message = service_pb2.ModelInferRequest(model_name=model)
    for entry in fields.pop("inputs", ()):
        message.inputs.add(**entry)
    message.raw_input_contents.extend(fields.pop("raw", ()))
    for name, choice in fields.pop("parameters", {}).items():
        setattr(message.parameters[name], *choice)
    for name, value in fields.items():
        setattr(message, name, value)
    return client._client_stub.ModelInfer(message)


def in_contents(datatype: str, field: str, values: list[Any], name: str = "IN") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [1, len(values)], "contents": {field: values}}


@pytest.mark.parametrize(
    ("kind", "field", "values"),
    [
        ("BOOL", "bool_contents", [True, False]),
        ("INT8", "int_contents", [-3, 200]),
        ("INT32", "int_contents", [-3, 7]),
        ("INT64", "int64_contents", [-(2**62), 7]),
        ("UINT8", "uint_contents", [3, 256]),
        ("UINT64", "uint64_contents", [2**63, 7]),
        ("FP32", "fp32_contents", [1.5, -2]),
        ("FP64", "fp64_contents", [1.5, -2]),
        ("BYTES", "bytes_contents", [b"a", b""]),
    ],
)
def test_typed_contents_are_read_and_narrow_integers_wrap(
    client: Any, kind: str, field: str, values: list[Any]
) -> None:
    name = "STRING" if kind == "BYTES" else kind
    sent = arrays()
    entries = []
    for other, array in sent.items():
        wanted = array if other != name else None
        if wanted is None:
            entry = in_contents(kind, field, values, f"I_{name}")
            entry["shape"] = [len(values)]
        else:
            entry = {"name": f"I_{other}", "datatype": np_to_triton_dtype(array.dtype), "shape": [0]}
            if other == "FP16":
                entry["shape"] = [0]
            entry["contents"] = {}
        entries.append(entry)
    reply = grpcclient.InferResult(ask(client, "types", inputs=entries))
    found = reply.as_numpy(f"O_{name}")
    if kind == "BYTES":
        assert found.tolist() == values
    else:
        assert np.array_equal(found, np.array(values).astype(sent[name].dtype))


IN = {"name": "IN", "datatype": "FP32", "shape": [1, 2]}
TENSOR = "input tensor 'IN' for model 'echo'"
UNNAMED = "[request id: <id_unknown>]"
RESERVED = (
    "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting "
    "with 'triton_' are allowed: triton_enable_empty_final_response"
)
BAD_VERSION = (
    "failed to get model version from specified version string 'x' (details: stol), version should be an "
    "integral value > 0"
)
TWO = b"\0" * 8


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"model": "nope"}, "NOT_FOUND", "Request for unknown model: 'nope' is not found"),
        (
            {"inputs": [{**IN, "contents": {"fp32_contents": [1, 2]}}], "raw": [TWO]},
            "INVALID_ARGUMENT",
            "contents field must not be specified when using raw_input_contents for 'IN' for model 'echo'",
        ),
        (
            {"inputs": [IN]},
            "INVALID_ARGUMENT",
            f"unable to find data for {TENSOR} in request.",
        ),
        (
            {"inputs": [{**IN, "contents": {"int_contents": [1, 2]}}]},
            "INVALID_ARGUMENT",
            f"unexpected explicit tensor data for {TENSOR} of type 'INT32', expected datatype 'FP32'",
        ),
        (
            {"inputs": [{**IN, "contents": {"fp32_contents": [1]}}]},
            "INVALID_ARGUMENT",
            f"{UNNAMED} input byte size mismatch for input 'IN' for model 'echo'. Expected 8, got 4",
        ),
        (
            {"inputs": [{**IN, "shape": [-1, 2]}], "raw": [TWO]},
            "INVALID_ARGUMENT",
            "All input dimensions should be specified for input 'IN' for model 'echo', got [-1,2]",
        ),
        (
            {"parameters": {"sequence_id": ("uint64_param", 3)}},
            "INVALID_ARGUMENT",
            "invalid value type for 'sequence_id' parameter, expected int64_param or string_param.",
        ),
        (
            {"parameters": {"priority": ("int64_param", -1)}},
            "INVALID_ARGUMENT",
            "invalid value for 'priority', expected value >= 0.",
        ),
        (
            {"parameters": {"timeout": ("string_param", "1")}},
            "INVALID_ARGUMENT",
            "invalid value type for 'timeout' parameter, expected int64_param.",
        ),
        (
            {"parameters": {"triton_x": ("bool_param", True)}},
            "INVALID_ARGUMENT",
            RESERVED,
        ),
        (
            {"parameters": {"a": ("uint64_param", 3)}},
            "INVALID_ARGUMENT",
            "invalid value type for 'a' parameter, expected int64_param, bool_param, or string_param.",
        ),
        (
            {"model": "repeat"},
            "UNIMPLEMENTED",
            "ModelInfer RPC doesn't support models with decoupled transaction policy",
        ),
        (
            {"model_version": "x"},
            "INVALID_ARGUMENT",
            BAD_VERSION,
        ),
    ],
)
def test_errors_have_tritons_status_and_text(
    client: Any, fields: dict[str, Any], status: str, text: str
) -> None:
    model = fields.pop("model", "echo")
    with pytest.raises(Exception) as raised:
        ask(client, model, **fields)
    error: Any = raised.value
    assert (error.code().name, error.details()) == (status, text)


def test_more_raw_entries_than_inputs_are_ignored(client: Any) -> None:
    assert ask(client, inputs=[IN], raw=[TWO, b"more"]).raw_output_contents[0] == TWO


def test_large_tensors_travel_whole(client: Any) -> None:
    array = np.arange(1_500_000, dtype=np.float32).reshape(1, -1)
    assert np.array_equal(client.infer("echo", [tensor(array)]).as_numpy("OUT"), array)


def test_many_clients_get_their_own_answers(server: ServerProcess) -> None:
    def one(number: int) -> bool:
        with grpcclient.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as own:
            results = [own.infer("echo", [tensor(floats(number, i))]).as_numpy("OUT") for i in range(20)]
        return all(np.array_equal(result, floats(number, i)) for i, result in enumerate(results))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(16)))


def stream(client: Any, requests: list[tuple[str, float, str]], replies: int, **options: Any) -> list[Reply]:
    """The replies to (model, value, request id)s of one stream, in the order in which they came."""
    headers = options.pop("headers", None)
    came: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: came.put((result, error)), headers=headers)
    try:
        for model, value, identity in requests:
            client.async_stream_infer(model, [tensor(floats(value))], request_id=identity, **options)
        found: list[Reply] = []
        for _ in range(replies):
            result, error = came.get(timeout=30)
            if error is not None:
                found.append(("error", str(error.message())))
                continue
            message = result.get_response()
            last = message.parameters["triton_final_response"].bool_param
            found.append((message.id, f"{len(message.outputs)} outputs{', final' if last else ''}"))
        return found
    finally:
        client.stop_stream()


@pytest.mark.parametrize("model", ["repeat", "later"])
def test_a_decoupled_model_streams_its_responses(client: Any, model: str) -> None:
    assert stream(client, [(model, 3, "a")], 3) == [("a", "1 outputs")] * 3
    found = stream(client, [(model, 2, "a")], 3, enable_empty_final_response=True)
    assert found == [("a", "1 outputs")] * 2 + [("a", "0 outputs, final")]


def test_replies_of_ordinary_models_keep_the_order_of_the_requests(client: Any) -> None:
    found = stream(client, [("slow", 0.5, "s"), ("echo", 1, "e"), ("nope", 1, "n"), ("failing", 3, "f")], 4)
    assert found == [
        ("s", "1 outputs, final"),
        ("e", "1 outputs, final"),
        ("error", "Request for unknown model: 'nope' is not found"),
        ("error", "told so"),
    ]


def test_errors_do_not_end_a_stream_unless_the_client_says_so(client: Any) -> None:
    found = stream(client, [("failing", 3, "f"), ("echo", 1, "e")], 2)
    assert found == [("error", "told so"), ("e", "1 outputs, final")]
    strict = {"triton_grpc_error": "true"}
    assert stream(client, [("failing", 3, "f")], 1, headers=strict) == [("error", "told so")]


def test_a_client_that_leaves_a_stream_cancels_what_runs(server: ServerProcess) -> None:
    with grpcclient.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as own:
        own.start_stream(lambda result, error: None)
        own.async_stream_infer("later", [tensor(floats(600))])
        own.stop_stream(cancel_requests=True)
    server.assert_three_ok()


def test_models_are_loaded_and_unloaded_only_under_explicit_control(client: Any) -> None:
    names = [entry["name"] for entry in client.get_model_repository_index(as_json=True)["models"]]
    assert "echo" in names
    with pytest.raises(InferenceServerException, match="explicit model load / unload is not allowed"):
        client.load_model("echo")


@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.get_system_shared_memory_status(),
        lambda client: client.get_trace_settings(),
        lambda client: client.get_log_settings(),
    ],
)
def test_what_is_not_offered_says_so(client: Any, use: Any) -> None:
    with pytest.raises(InferenceServerException, match="not offered by this server") as raised:
        use(client)
    assert raised.value.status() == "StatusCode.UNIMPLEMENTED"
