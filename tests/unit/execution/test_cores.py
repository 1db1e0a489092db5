"""Tests for ``tritium.execution.cores``."""

from __future__ import annotations

import pytest

from tritium.execution.cores import available_cores, core_shares, shares_of


@pytest.mark.parametrize(
    ("cores", "instances", "expected"),
    [
        ([0, 1], 2, ["0", "1"]),
        ([0, 1, 2, 3, 4], 2, ["0,1", "2,3,4"]),
        ([4, 6], 3, ["4", "6", "4"]),
        ([0], 2, ["0", "0"]),
    ],
)
def test_cores_are_dealt_out(cores: list[int], instances: int, expected: list[str]) -> None:
    assert shares_of(cores, instances) == expected


def test_one_instance_has_them_all() -> None:
    assert core_shares(1) == [""]
    assert len(core_shares(3)) == 3
    assert available_cores() >= 1
