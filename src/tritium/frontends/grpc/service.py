"""The seam between the transport and what is served: full method paths, and who handles their calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tritium.core.tensor import Buffer
from tritium.frontends.grpc.call import GrpcCall


class MessageReceiver(Protocol):
    """Who takes the messages of a streaming call. What is raised ends the call.

    After each message the transport lets the client send more only when ``call.consumed`` is told that the
    message is done with. ``call.on_cancel`` tells the end of a call that has no complete reply.
    """

    def on_message(self, message: Buffer) -> None:
        """A message from the client."""
        ...

    def on_half_close(self) -> None:
        """The client sends no more messages."""
        ...


@dataclass(frozen=True, slots=True)
class Unary:
    """A method with one message each way.

    ``handle(call, message)`` answers by ``call.respond`` or ``call.fail``, now or later; what it raises ends
    the call.
    """

    handle: Callable[[GrpcCall, Buffer], None]


@dataclass(frozen=True, slots=True)
class Streaming:
    """A method with any number of messages each way.

    ``open(call)`` is called when the call begins; replies go by ``call.send`` and ``call.finish``.
    """

    open: Callable[[GrpcCall], MessageReceiver]


class GrpcService(Protocol):
    """What is served."""

    @property
    def methods(self) -> Mapping[bytes, Unary | Streaming]:
        """By full path, as ``b"/grpc.health.v1.Health/Check"``."""
        ...
