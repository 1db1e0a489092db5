"""gRPC statuses, and the header blocks of replies."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from tritium.http2.header_rules import Field
from tritium.http2.headers import ReplyBlocks, encode_fields


class GrpcStatus(IntEnum):
    """The canonical codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class GrpcError(Exception):
    """A call ends with this status; the text is shown to the client."""

    def __init__(self, status: GrpcStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


_MAX_TEXT_BYTES = 4096  # of a status; longer ones make clients refuse the whole reply
_KEPT = frozenset(range(0x20, 0x7F)) - {ord("%")}
_BEGINNING: tuple[Field, ...] = ((b":status", b"200"), (b"content-type", b"application/grpc"))
_ACCEPTED: tuple[Field, ...] = ((b"grpc-accept-encoding", b"identity, deflate, gzip"),)

OK = ReplyBlocks((*_BEGINNING, *_ACCEPTED), ((b"grpc-status", b"0"),))
HEADERS, TRAILERS_OK = OK.literal


def headers_block(coding: str | None, metadata: Sequence[Field] = ()) -> bytes:
    """What a reply begins with; ``coding`` is that of its messages."""
    if coding is None and not metadata:
        return HEADERS
    encoding = ((b"grpc-encoding", coding.encode()),) if coding else ()
    return encode_fields((*_BEGINNING, *_ACCEPTED, *encoding, *metadata))


def trailers_block(status: GrpcStatus, text: str, metadata: Sequence[Field] = ()) -> bytes:
    """What a reply ends with."""
    if status is GrpcStatus.OK and not text and not metadata:
        return TRAILERS_OK
    return encode_fields((*_status_fields(status, text), *metadata))


def refusal_block(status: GrpcStatus, text: str, metadata: Sequence[Field] = ()) -> bytes:
    """A whole reply that has no message."""
    accepted = _ACCEPTED if status is GrpcStatus.UNIMPLEMENTED else ()
    return encode_fields((*_BEGINNING, *accepted, *_status_fields(status, text), *metadata))


def http_refusal_block(status: int) -> bytes:
    """A whole reply to what is no gRPC request."""
    return encode_fields(((b":status", b"%d" % status),))


def _status_fields(status: GrpcStatus, text: str) -> tuple[Field, ...]:
    fields: tuple[Field, ...] = ((b"grpc-status", b"%d" % status),)
    return (*fields, (b"grpc-message", percent_encode(text))) if text else fields


def percent_encode(text: str) -> bytes:
    """A status text as grpc-message carries it; long ones are cut."""
    raw = text.encode("utf-8", "replace")[:_MAX_TEXT_BYTES]
    if raw[-1:] == b" " or raw[:1] == b" ":  # HTTP/2 allows none at the ends
        raw = raw.strip(b" ")
    return b"".join(bytes((byte,)) if byte in _KEPT else b"%%%02X" % byte for byte in raw)
