"""grpc.health.v1.Health: Check, and Watch with every change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from tritium.core.tensor import Buffer
from tritium.frontends.grpc.call import GrpcCall
from tritium.frontends.grpc.descriptors import health_file
from tritium.frontends.grpc.service import Streaming, Unary
from tritium.frontends.grpc.status import GrpcError, GrpcStatus

_ANSWERS = {True: b"\x08\x01", False: b"\x08\x02"}  # HealthCheckResponse{status: SERVING, NOT_SERVING}


class HealthService:
    """Answers for any service name, known or not, as Triton does.

    Args:
        is_ready: whether the service of this name, or with ``""`` the server, takes requests now.
    """

    def __init__(self, is_ready: Callable[[str], bool]) -> None:
        self._is_ready = is_ready
        self._request = _request_type()
        self._watchers: dict[_Watcher, None] = {}
        self.methods: Mapping[bytes, Unary | Streaming] = {
            b"/grpc.health.v1.Health/Check": Unary(self._check),
            b"/grpc.health.v1.Health/Watch": Streaming(self._watch),
        }

    def refresh(self) -> None:
        """Readiness may have changed: tell those who watch."""
        for watcher in [*self._watchers]:
            watcher.update()

    @property
    def watchers(self) -> int:
        """How many calls watch."""
        return len(self._watchers)

    def is_ready(self, name: str) -> bool:
        """What is answered for a name."""
        return self._is_ready(name)

    def name_of(self, message: Buffer) -> str:
        """The service that a HealthCheckRequest asks about; raises GrpcError."""
        request: Any = self._request()
        try:
            request.ParseFromString(bytes(message))
        except DecodeError:
            raise GrpcError(GrpcStatus.INVALID_ARGUMENT, "the message is no HealthCheckRequest") from None
        return str(request.service)

    def _check(self, call: GrpcCall, message: Buffer) -> None:
        call.respond(_ANSWERS[self._is_ready(self.name_of(message))])

    def _watch(self, call: GrpcCall) -> _Watcher:
        return _Watcher(self, call, self._watchers)


class _Watcher:
    """A Watch call: the present state and then every other one, as fast as the client reads."""

    def __init__(self, service: HealthService, call: GrpcCall, watchers: dict[_Watcher, None]) -> None:
        self._service = service
        self._call = call
        self._watchers = watchers
        self._name: str | None = None
        self._told: bool | None = None

    def on_message(self, message: Buffer) -> None:
        """The one request."""
        if self._name is not None:
            self._leave()
            raise GrpcError(GrpcStatus.INVALID_ARGUMENT, "Watch takes one request message")
        self._name = self._service.name_of(message)
        self._watchers[self] = None
        self._call.on_cancel = self._leave
        self._call.on_stop = self._end
        self._call.on_writable = self.update
        self._call.consumed()
        self.update()

    def on_half_close(self) -> None:
        """The client says no more, and goes on listening."""
        if self._name is None:
            raise GrpcError(GrpcStatus.UNIMPLEMENTED, "Watch requires exactly one request message.")

    def update(self) -> None:
        """Tell the client if there is something new to tell."""
        if self._call.over:
            self._leave()
        if self._name is None or self._call.over or not self._call.writable:
            return
        ready = self._service.is_ready(self._name)
        if ready != self._told:
            self._told = ready
            self._call.send(_ANSWERS[ready])

    def _end(self) -> None:
        self.update()
        self._leave()
        self._call.finish(GrpcStatus.UNAVAILABLE, "the server is stopping")

    def _leave(self) -> None:
        self._watchers.pop(self, None)


def _request_type() -> type[Message]:
    """HealthCheckRequest, in a pool of its own: a program may have its own copy of the same file."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(health_file())
    descriptor = pool.FindMessageTypeByName("grpc.health.v1.HealthCheckRequest")
    request: type[Message] = message_factory.GetMessageClass(descriptor)
    return request
