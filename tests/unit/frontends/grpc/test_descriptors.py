from __future__ import annotations

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2

from tritium.frontends.grpc.descriptors import health_file, reflection_file


def facts(file: FileDescriptorProto) -> tuple[object, ...]:
    """What decides how messages are written, and which calls there are."""

    def field(one: FieldDescriptorProto) -> tuple[object, ...]:
        oneof = one.HasField("oneof_index")
        return one.name, one.number, one.type, one.label, one.type_name, oneof

    messages = {message.name: [field(one) for one in message.field] for message in file.message_type}
    calls = [
        (s.name, m.name, m.input_type, m.output_type, m.client_streaming, m.server_streaming)
        for s in file.service
        for m in s.method
    ]
    return file.package, messages, calls


def test_reflection_is_described_as_its_own_file_does() -> None:
    theirs = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(theirs)
    assert facts(reflection_file("grpc.reflection.v1alpha")) == facts(theirs)


def test_both_versions_of_reflection_differ_in_their_names_only() -> None:
    newer, older = (reflection_file(f"grpc.reflection.{version}") for version in ("v1", "v1alpha"))
    assert newer.name == "grpc/reflection/v1/reflection.proto"
    assert str(newer) == str(older).replace("v1alpha", "v1")


def test_health_has_its_statuses_and_calls() -> None:
    file = health_file()
    request, response = file.message_type
    assert [(field.name, field.number, field.type) for field in request.field] == [("service", 1, 9)]
    assert [(field.name, field.number, field.type) for field in response.field] == [("status", 1, 14)]
    assert response.field[0].type_name == ".grpc.health.v1.HealthCheckResponse.ServingStatus"
    assert [value.name for value in response.enum_type[0].value][1:3] == ["SERVING", "NOT_SERVING"]
    methods = [(method.name, method.server_streaming) for method in file.service[0].method]
    assert (file.service[0].name, methods) == ("Health", [("Check", False), ("Watch", True)])
