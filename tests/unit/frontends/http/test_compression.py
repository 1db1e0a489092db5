from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritium.errors import InvalidArgumentError
from tritium.frontends.coding import deflate as compress
from tritium.frontends.http.compression import decompress, preferred_coding
from tritium.frontends.http.exchange import HttpRefusal

CODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("body", [b"", b"abc", b"x" * 3_000_000])
def test_bodies_of_other_peoples_compressors_are_read(coding: str, body: bytes) -> None:
    assert decompress(CODINGS[coding](body), coding, limit=3_000_000) == body


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([*CODINGS]), st.lists(st.binary(max_size=50), max_size=4))
def test_what_is_compressed_is_decompressed_to_the_same(coding: str, buffers: list[bytes]) -> None:
    encoded = b"".join(compress([*buffers], coding))
    assert decompress(bytearray(encoded), coding, limit=1000) == b"".join(buffers)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_refused_at_the_limit(coding: str) -> None:
    bomb = CODINGS[coding](bytes(50_000_000))
    with pytest.raises(HttpRefusal) as caught:
        decompress(bomb, coding, limit=2_000_000)
    assert caught.value.status == 413


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda raw: b"not at all", "request body is not valid"),
        (lambda raw: raw[:-1], "it is cut short"),
        (lambda raw: raw[: len(raw) // 2], "it is cut short"),
        (lambda raw: b"", "it is cut short"),
        (lambda raw: raw + b"x", "data follow its end"),
    ],
    ids=["nonsense", "no end", "half", "empty", "too much"],
)
def test_damaged_bodies_are_refused(coding: str, damage: Callable[[bytes], bytes], text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        decompress(damage(CODINGS[coding](b"hello " * 100)), coding, limit=10_000)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (b"", None),
        (b"gzip", "gzip"),
        (b"deflate", "deflate"),
        (b"gzip, deflate", "gzip"),
        (b"deflate,gzip", "deflate"),
        (b"gzip;q=0.5, deflate;q=0.8", "deflate"),
        (b"gzip;q=0.5,identity;q=0.8", None),
        (b"identity, gzip", None),
        (b"gzip;q=0", None),
        (b"*", None),
        (b"br, zstd", None),
        (b"GZIP ; q=1.0", "gzip"),
        (b"gzip;q=nonsense, deflate;q=0.1", "deflate"),
        (b"gzip;level=9", "gzip"),
        (b"gzip;q=nan", None),
        (b"\xff", None),
    ],
)
def test_the_heaviest_coding_that_we_have_is_preferred(accept: bytes, coding: str | None) -> None:
    assert preferred_coding(accept) == coding
