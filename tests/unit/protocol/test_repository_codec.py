from __future__ import annotations

import pytest

from tritium.errors import InvalidArgumentError
from tritium.protocol.repository_codec import (
    decode_index_request,
    decode_load_request,
    decode_unload_request,
    encode_index,
)
from tritium.repository.index import IndexEntry
from tritium.repository.lifecycle import VersionState


@pytest.mark.parametrize(
    ("body", "ready"),
    [(b"", False), (b"{}", False), (b"[]", False), (b"1", False), (b'{"foo":1}', False),
     (b'{"ready":false}', False), (b'{"ready":true}', True)],
)  # fmt: skip
def test_index_requests_may_ask_for_what_is_ready(body: bytes, ready: bool) -> None:
    assert decode_index_request(body) is ready


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"ready":1}', "attempt to access JSON non-boolean as boolean"),
        (b"x", "failed to parse the request JSON buffer: Invalid value. at 0"),
    ],
)
def test_index_requests_are_refused_in_tritons_words(body: bytes, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        decode_index_request(body)
    assert str(caught.value) == text


def test_an_entry_has_what_is_known_of_it_and_nothing_else() -> None:
    entries = [
        IndexEntry("a"),
        IndexEntry("b", 10, VersionState.READY),
        IndexEntry("c", 1, VersionState.UNAVAILABLE, "unloaded"),
    ]
    assert encode_index(entries) == [
        {"name": "a"},
        {"name": "b", "version": "10", "state": "READY"},
        {"name": "c", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"},
    ]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"1", b'{"x":1}', b'{"parameters":{}}'])
def test_load_requests_may_say_nothing(body: bytes) -> None:
    assert decode_load_request(body) == {}


@pytest.mark.parametrize(
    ("encoded", "raw"),
    [
        ("eA==", b"x"),
        ("eA", b"x"),
        ("e A\\n=", b"x"),
        ("", b""),
        ("!", b""),
        ("eHh4e", b"xxx"),
        ("é/+8=", b"\xff\xef"),
    ],
)
def test_files_come_in_base64_which_is_read_leniently(encoded: str, raw: bytes) -> None:
    body = f'{{"parameters":{{"config":"c","file:1/x":"{encoded}"}}}}'.encode()
    assert decode_load_request(body) == {"config": "c", "file:1/x": raw}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"x", "failed to parse the request JSON buffer: Invalid value. at 0"),
        (b'{"parameters":1}', "attempt to get members for non-object"),
        (b'{"parameters":null}', "attempt to get members for non-object"),
        (b'{"parameters":{"foo":"1"}}', "unexpected error on creating Triton parameter"),
        (b'{"parameters":{"config":1}}', "attempt to access JSON non-string as string"),
        (b'{"parameters":{"file:1/x":5}}', "attempt to access JSON non-string as string"),
    ],
)
def test_load_requests_are_refused_in_tritons_words(body: bytes, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        decode_load_request(body)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("body", "dependents"),
    [
        (b"", False),
        (b"x", False),
        (b'{"parameters":1}', False),
        (b'{"parameters":{"unload_dependents":1}}', False),
        (b'{"parameters":{"unload_dependents":true}}', True),
    ],
)
def test_unload_requests_that_cannot_be_read_ask_for_nothing_more(body: bytes, dependents: bool) -> None:
    assert decode_unload_request(body) is dependents
