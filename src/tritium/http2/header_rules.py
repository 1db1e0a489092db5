"""Which header lists make a request: RFC 9113, sections 8.2 and 8.3."""

from __future__ import annotations

import re
from collections.abc import Sequence

Field = tuple[bytes, bytes]

_NAME = re.compile(rb"[!-9;-@\[-~]+")  # visible ASCII without upper case and colon
_VALUE = re.compile(rb"(?![ \t])[^\x00\r\n]*(?<![ \t])")
_CONNECTION_FIELDS = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
_DIGITS = re.compile(rb"[0-9]{1,18}")


class MalformedError(Exception):
    """A header list that is none of a request's; the text says why."""


class RequestHeaders:
    """The header list of a request, read. Shared by all requests that repeat it.

    ``plan`` is the application's: what it made of these headers the first time.
    """

    __slots__ = ("authority", "content_length", "fields", "method", "oversized", "path", "plan", "scheme")

    def __init__(
        self, pseudo: dict[bytes, bytes], fields: tuple[Field, ...], content_length: int | None
    ) -> None:
        self.method = pseudo.get(b":method", b"")
        self.scheme = pseudo.get(b":scheme", b"")
        self.path = pseudo.get(b":path", b"")
        self.authority = pseudo.get(b":authority", b"")
        self.fields = fields  # without the pseudo-header fields
        self.content_length = content_length
        self.oversized = False  # longer than the limit that was announced
        self.plan: object = None


def read_request(fields: Sequence[Field]) -> RequestHeaders:
    """A request's header list.

    Raises:
        MalformedError: it breaks a rule.
    """
    pseudo: dict[bytes, bytes] = {}
    regular = 0
    for name, value in fields:
        if not name.startswith(b":"):
            break
        if name not in _PSEUDO:
            raise MalformedError(f"unknown pseudo-header field {_shown(name)}")
        if name in pseudo:
            raise MalformedError(f"{_shown(name)} is there twice")
        if _VALUE.fullmatch(value) is None:
            raise MalformedError(f"{_shown(name)} has a forbidden character in its value")
        pseudo[name] = value
        regular += 1
    rest = tuple(fields[regular:])
    _check_pseudo(pseudo)
    return RequestHeaders(pseudo, rest, check_fields(rest))


def _check_pseudo(pseudo: dict[bytes, bytes]) -> None:
    method = pseudo.get(b":method")
    if not method:
        raise MalformedError(":method is missing")
    if method == b"CONNECT":
        if b":scheme" in pseudo or b":path" in pseudo:
            raise MalformedError("CONNECT has :scheme or :path")
        return
    for name in (b":scheme", b":path"):
        if not pseudo.get(name):
            raise MalformedError(f"{_shown(name)} is missing or empty")


def check_fields(fields: Sequence[Field]) -> int | None:
    """Check fields that are no pseudo-header fields, or trailers; the content length if they say one.

    Raises:
        MalformedError: they break a rule.
    """
    content_length: int | None = None
    for name, value in fields:
        if _NAME.fullmatch(name) is None:
            raise MalformedError(f"{_shown(name)} is no name of a header field, or stands in the wrong place")
        if _VALUE.fullmatch(value) is None:
            raise MalformedError(f"{_shown(name)} has a forbidden character in its value")
        if name in _CONNECTION_FIELDS:
            raise MalformedError(f"{_shown(name)} is not allowed in HTTP/2")
        if name == b"te" and value.lower() != b"trailers":
            raise MalformedError("te may only be 'trailers'")
        if name == b"content-length":
            length = int(value) if _DIGITS.fullmatch(value) else None
            if length is None or content_length not in (None, length):
                raise MalformedError("content-length is no number, or there are two")
            content_length = length
    return content_length


def _shown(name: bytes) -> str:
    return repr(name[:40].decode("latin-1"))
