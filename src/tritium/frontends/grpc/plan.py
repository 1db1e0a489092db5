"""What a header list says about calls that have it: worked out once, for clients repeat their headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from tritium.frontends.grpc.status import GrpcStatus, http_refusal_block, refusal_block
from tritium.http2.header_rules import Field, RequestHeaders

_CODINGS = {b"identity": None, b"gzip": "gzip", b"deflate": "deflate"}
_UNITS_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_RESERVED = frozenset((b"te", b"content-type", b"grpc-timeout", b"grpc-encoding", b"grpc-accept-encoding"))
_MAX_TIMEOUT_S = 86400.0  # tritium's: no call lasts longer than a day, if it has a deadline at all
M = TypeVar("M")


class CallPlan(Generic[M]):
    """How to handle calls with one header list.

    Attributes:
        method: who handles them.
        refusal: the block that answers them instead, if there is one.
        timeout_s: from grpc-timeout.
        coding: of the messages that have the compressed flag.
        reply_coding: what replies are compressed with.
        metadata: the client's own fields.
        forwarded: those that are parameters of inferences.
    """

    __slots__ = ("coding", "forwarded", "metadata", "method", "path", "refusal", "reply_coding", "timeout_s")

    def __init__(self, headers: RequestHeaders, method: M | None) -> None:
        self.path = headers.path
        self.method = method
        self.refusal: bytes | None = None
        self.timeout_s: float | None = None
        self.coding: str | None = None
        self.reply_coding: str | None = None
        self.metadata: tuple[Field, ...] = tuple(
            field for field in headers.fields if field[0] not in _RESERVED
        )
        self.forwarded: Mapping[str, str] = {}


def make_plan(
    headers: RequestHeaders, methods: Mapping[bytes, M], *, compression: str | None, max_header_list: int
) -> CallPlan[M]:
    """Read a header list, as grpc-core does.

    Args:
        compression: the coding of replies to clients that accept it.
    """
    plan = CallPlan(headers, methods.get(headers.path))
    fields = dict(headers.fields)
    plan.refusal = _refusal(headers, fields, plan.method is not None, max_header_list)
    if plan.refusal is not None:
        return plan
    accepted = fields.get(b"grpc-accept-encoding", b"")
    if compression is not None and compression.encode() in [a.strip() for a in accepted.split(b",")]:
        plan.reply_coding = compression
    try:
        plan.timeout_s = parse_timeout(fields[b"grpc-timeout"]) if b"grpc-timeout" in fields else None
        plan.coding = _CODINGS[fields.get(b"grpc-encoding", b"identity")]
    except ValueError:
        plan.refusal = refusal_block(GrpcStatus.INTERNAL, "Error parsing 'grpc-timeout' metadata")
    except KeyError:
        name = fields[b"grpc-encoding"].decode("latin-1")
        text = f"grpc-encoding '{name}' is not supported, expected identity, deflate or gzip"
        plan.refusal = refusal_block(GrpcStatus.UNIMPLEMENTED, text)
    return plan


def _refusal(
    headers: RequestHeaders, fields: Mapping[bytes, bytes], known: bool, max_header_list: int
) -> bytes | None:
    content_type = fields.get(b"content-type", b"")
    if content_type[16:17] not in (b"", b"+", b";") or not content_type.startswith(b"application/grpc"):
        return http_refusal_block(415)
    problem = ""
    if headers.method != b"POST":
        problem = "Bad method header"
    elif b"te" not in fields:
        problem = "Missing :te header"
    elif not headers.authority and b"host" not in fields:
        problem = "Missing :authority header"
    if problem:
        return refusal_block(GrpcStatus.INTERNAL, problem)
    if headers.oversized:
        text = f"received metadata size exceeds hard limit of {max_header_list} bytes"
        return refusal_block(GrpcStatus.RESOURCE_EXHAUSTED, text)
    return None if known else refusal_block(GrpcStatus.UNIMPLEMENTED, "")


def parse_timeout(value: bytes) -> float:
    """A grpc-timeout in seconds; ValueError if it is none."""
    digits, unit = value[:-1], value[-1:]
    if not 1 <= len(digits) <= 8 or not digits.isdigit() or unit not in _UNITS_S:
        raise ValueError(f"{value!r} is no grpc-timeout")
    return min(int(digits) * _UNITS_S[unit], _MAX_TIMEOUT_S)
