"""Server reflection: what services there are and what their messages look like, for clients without stubs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from tritium.core.tensor import Buffer
from tritium.frontends.grpc.call import GrpcCall
from tritium.frontends.grpc.descriptors import REFLECTION_PACKAGES, health_file, reflection_file
from tritium.frontends.grpc.service import Streaming
from tritium.frontends.grpc.status import GrpcError, GrpcStatus
from tritium.protobuf_messages import MODEL_CONFIG, service_messages


class ReflectionService:
    """grpc.reflection.v1 and its predecessor v1alpha, which most tools still ask."""

    def __init__(self) -> None:
        own = {package: reflection_file(package) for package in REFLECTION_PACKAGES}
        self._files: dict[str, FileDescriptorProto] = {}
        self._pool = descriptor_pool.DescriptorPool()
        for file in (*_triton_files(), health_file(), *own.values()):
            self._pool.Add(file)
            self._files[file.name] = file
        self.services = sorted(
            f"{file.package}.{service.name}" for file in self._files.values() for service in file.service
        )
        self.methods: Mapping[bytes, Streaming] = {
            f"/{package}.ServerReflection/ServerReflectionInfo".encode(): self._method(package)
            for package in own
        }

    def _method(self, package: str) -> Streaming:
        request, response = (
            message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"{package}.{name}"))
            for name in ("ServerReflectionRequest", "ServerReflectionResponse")
        )
        return Streaming(lambda call: _Reflection(self, call, request, response))

    def files_of(self, name: str, *, symbol: bool) -> list[bytes]:
        """The serialized file that defines a symbol, or has a name, before those that it needs.

        Raises:
            KeyError: there is none.
        """
        found = self._pool.FindFileContainingSymbol(name) if symbol else self._pool.FindFileByName(name)
        names: dict[str, None] = {}
        self._collect(found.name, names)
        return [self._files[each].SerializeToString() for each in names]

    def _collect(self, name: str, names: dict[str, None]) -> None:
        names[name] = None
        for needed in self._files[name].dependency:
            if needed not in names:
                self._collect(needed, names)


class _Reflection:
    """One call."""

    def __init__(self, service: ReflectionService, call: GrpcCall, request: Any, response: Any) -> None:
        self._service = service
        self._call = call
        self._request = request
        self._response = response
        call.on_stop = self._call.finish

    def on_message(self, message: Buffer) -> None:
        """One question, answered at once; the next is taken when the client has read enough."""
        asked = self._request()
        try:
            asked.ParseFromString(bytes(message))
        except DecodeError:
            text = "the message is no ServerReflectionRequest"
            raise GrpcError(GrpcStatus.INVALID_ARGUMENT, text) from None
        answer = self._response(valid_host=asked.host, original_request=asked)
        self._answer(asked, answer)
        self._call.send(answer.SerializeToString())
        if self._call.writable:
            self._call.consumed()
        else:
            self._call.on_writable = self._call.consumed

    def on_half_close(self) -> None:
        """The client asks no more."""
        self._call.finish()

    def _answer(self, asked: Any, answer: Any) -> None:
        kind = str(asked.WhichOneof("message_request") or "")
        try:
            if kind == "list_services":
                for name in self._service.services:
                    answer.list_services_response.service.add(name=name)
            elif kind in ("file_by_filename", "file_containing_symbol"):
                symbol = kind == "file_containing_symbol"
                files = self._service.files_of(getattr(asked, kind), symbol=symbol)
                answer.file_descriptor_response.file_descriptor_proto.extend(files)
            elif not kind:
                self._fail(answer, GrpcStatus.INVALID_ARGUMENT, "the request asks for nothing")
            else:
                self._fail(answer, GrpcStatus.NOT_FOUND, "none of the messages has extensions")
        except KeyError:
            self._fail(answer, GrpcStatus.NOT_FOUND, f"not found: {getattr(asked, kind)[:200]}")

    @staticmethod
    def _fail(answer: Any, status: GrpcStatus, text: str) -> None:
        answer.error_response.error_code = int(status)
        answer.error_response.error_message = text


def _triton_files() -> Iterable[FileDescriptorProto]:
    for module in (MODEL_CONFIG, service_messages()):
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        yield file
