from __future__ import annotations

import pytest

from tritium.frontends.grpc.plan import parse_timeout


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"1S", 1), (b"200m", 0.2), (b"5u", 5e-6), (b"7n", 7e-9), (b"2M", 120), (b"3H", 10_800), (b"0S", 0)],
)
def test_timeouts_have_units(value: bytes, seconds: float) -> None:
    assert parse_timeout(value) == pytest.approx(seconds)


def test_timeouts_of_more_than_a_day_are_a_day() -> None:
    assert parse_timeout(b"99999999H") == 86_400


@pytest.mark.parametrize("value", [b"", b"S", b"1", b"1s", b"-1S", b"1.5S", b"123456789S", b" 1S", b"\xb2S"])
def test_anything_else_is_no_timeout(value: bytes) -> None:
    with pytest.raises(ValueError, match="grpc-timeout"):
        parse_timeout(value)
