from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritium.errors import ErrorCode
from tritium.frontends.grpc.status import GrpcStatus, percent_encode, trailers_block
from tritium.protocol.status import STATUS


@pytest.mark.parametrize(
    ("text", "encoded"),
    [("plain", b"plain"), ("a%b", b"a%25b"), ("é\n", b"%C3%A9%0A"), ("~ \x7f", b"~ %7F"), ("", b"")],
)
def test_texts_are_percent_encoded(text: str, encoded: bytes) -> None:
    assert percent_encode(text) == encoded


@given(st.text())
def test_texts_come_back(text: str) -> None:
    encoded = percent_encode(text)
    assert encoded.strip() == encoded
    decoded = unquote(encoded.decode("ascii"), errors="replace")
    assert decoded == text.encode("utf-8", "replace").decode().strip(" ")


def test_long_texts_are_cut() -> None:
    assert len(percent_encode("x" * 10_000)) == 4096


def test_every_error_code_has_a_grpc_status() -> None:
    for code in ErrorCode:
        assert STATUS[code].grpc in GrpcStatus.__members__


def test_ok_needs_no_text() -> None:
    assert trailers_block(GrpcStatus.OK, "") == b"\x00\x0bgrpc-status\x010"
