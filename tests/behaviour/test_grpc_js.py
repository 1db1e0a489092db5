"""The gRPC service by Node's ``@grpc/grpc-js``, which shares nothing with grpc-core."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from tests.harness.grpc_js import GrpcJs, grpc_js
from tests.harness.models import FAILING, PLAIN, WATCHFUL, write_python_model
from tests.harness.pipeline_models import REPEAT
from tests.harness.server import ServerProcess

SERVICE = "/inference.GRPCInferenceService/"
INFER, STREAM = f"{SERVICE}ModelInfer", f"{SERVICE}ModelStreamInfer"
OK, CANCELLED, DEADLINE_EXCEEDED, NOT_FOUND, UNIMPLEMENTED = 0, 1, 4, 5, 12
ENOUGH_S = 30.0


@pytest.fixture(scope="module")
def node() -> GrpcJs:
    return grpc_js()


@pytest.fixture(scope="module")
def server(node: GrpcJs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("grpc-js")
    for name, source in (("echo", PLAIN), ("failing", FAILING), ("watchful", WATCHFUL)):
        write_python_model(root / "models", name, source)
    decoupled = "model_transaction_policy { decoupled: true }"
    write_python_model(root / "models", "repeat", REPEAT, extra=decoupled)
    with ServerProcess(root / "models", "--grpc-compression", "low", log=root / "log") as running:
        yield running


def asking(model: str, *values: float, identity: str = "") -> bytes:
    message = service_pb2.ModelInferRequest(model_name=model, id=identity)
    message.inputs.add(name="IN", datatype="FP32", shape=[1, len(values)])
    message.raw_input_contents.append(np.array(values, np.float32).tobytes())
    return bytes(message.SerializeToString())


def replied(message: bytes) -> Any:
    return service_pb2.ModelInferResponse.FromString(message)


def streamed(message: bytes) -> Any:
    return service_pb2.ModelStreamInferResponse.FromString(message)


def out(response: Any) -> list[float]:
    return list(np.frombuffer(response.raw_output_contents[0], np.float32).tolist())


def test_a_unary_call_is_answered(node: GrpcJs, server: ServerProcess) -> None:
    done = node.call(server.grpc_port, INFER, asking("echo", 1, 2.5, identity="a"))
    assert done["code"] == OK
    response = replied(done["messages"][0])
    assert (response.id, response.model_name, out(response)) == ("a", "echo", [1.0, 2.5])


@pytest.mark.parametrize("compression", [1, 2])
def test_compressed_messages_are_taken_and_sent(
    node: GrpcJs, server: ServerProcess, compression: int
) -> None:
    done = node.call(server.grpc_port, INFER, asking("echo", *[1.0] * 5000), compression=compression)
    assert done["code"] == OK
    assert out(replied(done["messages"][0])) == [1.0] * 5000


def test_a_message_beyond_every_window_goes_both_ways(node: GrpcJs, server: ServerProcess) -> None:
    values = np.arange(1 << 20, dtype=np.float32)
    done = node.call(server.grpc_port, INFER, asking("echo", *values.tolist()))
    assert done["code"] == OK
    assert np.array_equal(out(replied(done["messages"][0])), values)


@pytest.mark.parametrize(
    ("model", "value", "code", "details"),
    [
        ("failing", 5, UNIMPLEMENTED, "told so"),  # TritonError.UNSUPPORTED
        ("failing", 2, NOT_FOUND, "told so"),
        ("nope", 1, NOT_FOUND, "Request for unknown model: 'nope' is not found"),
    ],
)
def test_errors_have_their_status_and_text(
    node: GrpcJs, server: ServerProcess, model: str, value: float, code: int, details: str
) -> None:
    done = node.call(server.grpc_port, INFER, asking(model, value))
    assert (done["code"], done["details"], done["messages"]) == (code, details, [])


def test_an_unknown_method_is_unimplemented(node: GrpcJs, server: ServerProcess) -> None:
    assert node.call(server.grpc_port, f"{SERVICE}Nope", b"")["code"] == UNIMPLEMENTED


def test_a_stream_answers_every_request_in_order(node: GrpcJs, server: ServerProcess) -> None:
    messages = [asking("echo", number, identity=str(number)) for number in range(50)]
    done = node.call(server.grpc_port, STREAM, *messages, stream=True)
    assert done["code"] == OK
    replies = [streamed(message).infer_response for message in done["messages"]]
    assert [(reply.id, out(reply)) for reply in replies] == [(str(n), [float(n)]) for n in range(50)]


def test_an_error_on_a_stream_does_not_end_it(node: GrpcJs, server: ServerProcess) -> None:
    done = node.call(server.grpc_port, STREAM, asking("nope", 1), asking("echo", 7), stream=True)
    assert done["code"] == OK
    first, second = map(streamed, done["messages"])
    assert "unknown model: 'nope'" in first.error_message
    assert out(second.infer_response) == [7.0]


def test_a_decoupled_model_answers_many_times(node: GrpcJs, server: ServerProcess) -> None:
    done = node.call(server.grpc_port, STREAM, asking("repeat", 20), stream=True)
    assert done["code"] == OK
    assert len([message for message in done["messages"] if streamed(message).infer_response.outputs]) == 20


def counted(node: GrpcJs, server: ServerProcess) -> list[float]:
    """How many requests of ``watchful`` began, and how many were cancelled."""
    done = node.call(server.grpc_port, INFER, asking("watchful", 0))
    return out(replied(done["messages"][0]))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"deadline_ms": 2500}, DEADLINE_EXCEEDED),
        ({"cancel_after_ms": 2500}, CANCELLED),
        ({"cancel_after_ms": 2500, "stream": True}, CANCELLED),
    ],
    ids=["deadline", "cancellation", "cancelled stream"],
)
def test_deadlines_and_cancellation_reach_the_model(
    node: GrpcJs, server: ServerProcess, options: dict[str, Any], code: int
) -> None:
    _, before = counted(node, server)
    method = STREAM if options.get("stream") else INFER
    done = node.call(server.grpc_port, method, asking("watchful", ENOUGH_S), **options)
    assert done["code"] == code
    _, after = counted(node, server)
    assert after == before + 1
