"""The one table from error codes to the statuses of the protocols."""

from __future__ import annotations

from typing import NamedTuple

from tritium.errors import ErrorCode, TritiumError


class Status(NamedTuple):
    """An HTTP status and the name of a gRPC one."""

    http: int
    grpc: str


STATUS = {
    ErrorCode.UNKNOWN: Status(400, "UNKNOWN"),
    ErrorCode.INTERNAL: Status(500, "INTERNAL"),
    ErrorCode.NOT_FOUND: Status(404, "NOT_FOUND"),
    ErrorCode.INVALID_ARG: Status(400, "INVALID_ARGUMENT"),
    ErrorCode.UNAVAILABLE: Status(503, "UNAVAILABLE"),
    ErrorCode.UNSUPPORTED: Status(501, "UNIMPLEMENTED"),
    ErrorCode.ALREADY_EXISTS: Status(400, "ALREADY_EXISTS"),
    ErrorCode.CANCELLED: Status(400, "CANCELLED"),
    ErrorCode.DEADLINE_EXCEEDED: Status(504, "DEADLINE_EXCEEDED"),
}


def status_of(error: TritiumError) -> Status:
    """The statuses of an error."""
    return STATUS[error.code]
