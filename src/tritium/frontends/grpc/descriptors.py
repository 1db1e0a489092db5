"""What .proto files of gRPC's own services say: health and reflection."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto

_Kind = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"string": _Kind.TYPE_STRING, "bytes": _Kind.TYPE_BYTES, "int32": _Kind.TYPE_INT32}
HEALTH = "grpc.health.v1"
REFLECTION_PACKAGES = ("grpc.reflection.v1", "grpc.reflection.v1alpha")


def health_file() -> FileDescriptorProto:
    """grpc/health/v1/health.proto."""
    file = FileDescriptorProto(name="grpc/health/v1/health.proto", package=HEALTH, syntax="proto3")
    _message(file, "HealthCheckRequest", ("string service = 1",))
    response = _message(file, "HealthCheckResponse", ("HealthCheckResponse.ServingStatus status = 1",))
    statuses = response.enum_type.add(name="ServingStatus").value
    for number, name in enumerate(("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")):
        statuses.add(name=name, number=number)
    response.field[0].type = _Kind.TYPE_ENUM
    service = file.service.add(name="Health")
    for method, streaming in (("Check", False), ("Watch", True)):
        service.method.add(
            name=method,
            input_type=f".{HEALTH}.HealthCheckRequest",
            output_type=f".{HEALTH}.HealthCheckResponse",
            server_streaming=streaming,
        )
    return file


def reflection_file(package: str) -> FileDescriptorProto:
    """grpc/reflection/v1/reflection.proto, or that of v1alpha, which says the same."""
    name = f"{package.replace('.', '/')}/reflection.proto"
    file = FileDescriptorProto(name=name, package=package, syntax="proto3")
    extension = ("string containing_type = 1", "int32 extension_number = 2")
    request = (
        "string host = 1",
        "oneof string file_by_filename = 3",
        "oneof string file_containing_symbol = 4",
        "oneof ExtensionRequest file_containing_extension = 5",
        "oneof string all_extension_numbers_of_type = 6",
        "oneof string list_services = 7",
    )
    response = (
        "string valid_host = 1",
        "ServerReflectionRequest original_request = 2",
        "oneof FileDescriptorResponse file_descriptor_response = 4",
        "oneof ExtensionNumberResponse all_extension_numbers_response = 5",
        "oneof ListServiceResponse list_services_response = 6",
        "oneof ErrorResponse error_response = 7",
    )
    _message(file, "ServerReflectionRequest", request, oneof="message_request")
    _message(file, "ExtensionRequest", extension)
    _message(file, "ServerReflectionResponse", response, oneof="message_response")
    _message(file, "FileDescriptorResponse", ("repeated bytes file_descriptor_proto = 1",))
    numbers = ("string base_type_name = 1", "repeated int32 extension_number = 2")
    _message(file, "ExtensionNumberResponse", numbers)
    _message(file, "ListServiceResponse", ("repeated ServiceResponse service = 1",))
    _message(file, "ServiceResponse", ("string name = 1",))
    _message(file, "ErrorResponse", ("int32 error_code = 1", "string error_message = 2"))
    file.service.add(name="ServerReflection").method.add(
        name="ServerReflectionInfo",
        input_type=f".{package}.ServerReflectionRequest",
        output_type=f".{package}.ServerReflectionResponse",
        client_streaming=True,
        server_streaming=True,
    )
    return file


def _message(
    file: FileDescriptorProto, name: str, fields: Sequence[str], oneof: str = ""
) -> descriptor_pb2.DescriptorProto:
    """Add a message; ``fields`` are as in a .proto file, where "oneof" stands for being one of ``oneof``."""
    message = file.message_type.add(name=name)
    if oneof:
        message.oneof_decl.add(name=oneof)
    for line in fields:
        declared, _, number = line.partition(" = ")
        *labels, kind, field_name = declared.split()
        field = message.field.add(name=field_name, number=int(number))
        field.label = _Kind.LABEL_REPEATED if "repeated" in labels else _Kind.LABEL_OPTIONAL
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type, field.type_name = _Kind.TYPE_MESSAGE, f".{file.package}.{kind}"
        if "oneof" in labels:
            field.oneof_index = 0
    return message
