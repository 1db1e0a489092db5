"""Server reflection, by the real client of the package grpcio-reflection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import ServerProcess

TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("reflection")
    write_python_model(root / "models", "echo", PLAIN)
    with ServerProcess(root / "models", "--grpc-reflection", log=root / "log") as running:
        yield running


@pytest.fixture
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as made:
        yield made


def test_the_services_are_listed(channel: grpc.Channel) -> None:
    assert set(ProtoReflectionDescriptorDatabase(channel).get_services()) == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    }


@pytest.mark.parametrize(
    ("service", "method", "is_true"),
    [
        ("inference.GRPCInferenceService", "ModelReady", "ready"),
        ("grpc.health.v1.Health", "Check", "status"),
    ],
)
def test_a_client_without_stubs_makes_a_call(
    channel: grpc.Channel, service: str, method: str, is_true: str
) -> None:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    described = pool.FindServiceByName(service).FindMethodByName(method)
    request = GetMessageClass(described.input_type)()
    if "name" in described.input_type.fields_by_name:
        request.name = "echo"
    call = channel.unary_unary(f"/{service}/{method}")
    answer = GetMessageClass(described.output_type).FromString(
        call(request.SerializeToString(), timeout=TIMEOUT_S)
    )
    assert getattr(answer, is_true)


def ask(channel: grpc.Channel, version: str, *questions: Any) -> list[Any]:
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    return list(call(iter(questions), timeout=TIMEOUT_S))


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_every_question_of_a_stream_is_answered_in_order(channel: grpc.Channel, version: str) -> None:
    question = reflection_pb2.ServerReflectionRequest
    extension = reflection_pb2.ExtensionRequest(containing_type="a.B", extension_number=1)
    answers = ask(
        channel,
        version,
        question(host="h", file_by_filename="grpc_service.proto"),
        question(file_containing_symbol="inference.ModelInferRequest.InferInputTensor"),
        question(file_containing_symbol="no.Such"),
        question(file_containing_extension=extension),
        question(),
    )
    kinds = [answer.WhichOneof("message_response") for answer in answers]
    assert kinds == ["file_descriptor_response"] * 2 + ["error_response"] * 3
    first, second = answers[0].file_descriptor_response, answers[1].file_descriptor_response
    assert first == second
    assert len(first.file_descriptor_proto) == 2
    assert answers[0].valid_host == answers[0].original_request.host == "h"
    assert [answer.error_response.error_code for answer in answers[2:]] == [5, 5, 3]
