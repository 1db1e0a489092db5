"""Tests for ``tritium.execution.call_role``."""

from __future__ import annotations

import pytest

from tritium.execution.call_role import CallRole


@pytest.mark.parametrize("order", [("asks", "asked"), ("asked", "asks")])
def test_a_model_that_asks_and_is_asked_is_found_once_whatever_comes_first(order: tuple[str, str]) -> None:
    found: list[str] = []
    role = CallRole(lambda: found.append("both"))
    tell = {"asks": role.asks, "asked": role.asked}
    for _ in range(2):
        tell[order[0]]()
    assert (role.both, found) == (False, [])
    for _ in range(2):
        tell[order[1]]()
    assert (role.both, found) == (True, ["both"])
