from __future__ import annotations

from typing import Any

import pytest

from tests.unit.builders import request
from tritium.errors import InvalidArgumentError
from tritium.protocol.request_options import KnownOptions, RequestOptions


class Reader:
    """Reads numbers as priorities, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, text: bytes) -> RequestOptions:
        self.count += 1
        if not text.isdigit():
            raise InvalidArgumentError("not a number")
        return RequestOptions(priority=int(text))


def test_a_request_asks_for_the_options_that_are_applied() -> None:
    options = RequestOptions({"x": 1}, "s", 3, 2, 9)
    one = request()
    options.apply(one)
    assert (one.parameters, one.correlation_id, one.flags) == ({"x": 1}, "s", 3)
    assert (one.priority, one.timeout_us) == (2, 9)


def test_what_was_read_once_is_known() -> None:
    reader = Reader()
    known = KnownOptions(reader)
    first, again, other = known.read(b"1"), known.read(b"1"), known.read(b"2")
    assert first is not None and other is not None
    assert first is again
    assert (first.priority, other.priority, reader.count) == (1, 2, 2)


def test_what_cannot_be_read_has_no_options() -> None:
    known = KnownOptions(Reader())
    assert known.read(b"x") is None
    assert known.read(b"x") is None


@pytest.mark.parametrize("text", [b"%d", b"%0600d"], ids=["many", "long"])
def test_the_memory_of_options_is_bounded(text: bytes) -> None:
    reader = Reader()
    known = KnownOptions(reader)
    texts = [text % number for number in range(3000)]
    for each in texts:
        known.read(each)
    for number, each in enumerate(texts):
        found = known.read(each)
        assert found is not None and found.priority == number
    assert reader.count > 5000  # most were forgotten


@pytest.mark.parametrize("seen", [{"parameters": {"x": 1}}, {"correlation_id": "s"}, {"flags": 1}])
def test_options_are_plain_where_a_model_sees_nothing_of_them(seen: dict[str, Any]) -> None:
    assert RequestOptions(priority=2, timeout_us=9, binary_data_output=True).plain
    assert not RequestOptions(**seen).plain
