from __future__ import annotations

import pytest

from tritium.scheduling.deadlock import Wait, deadlock_text, find_deadlock

ONE_EACH = {name: [f"{name}_0"] for name in "abcd"}


def waits(*pairs: str) -> list[Wait]:
    """``a0>b`` is a running question, ``a0>b?`` a queued one."""
    found = []
    for pair in pairs:
        caller, _, target = pair.partition(">")
        found.append(Wait(f"{caller[0]}_{caller[1]}", target.rstrip("?"), target.endswith("?")))
    return found


@pytest.mark.parametrize(
    ("pairs", "circle"),
    [
        (["a0>a?"], ["a_0"]),
        (["a0>b", "b0>a?"], ["b_0", "a_0"]),
        (["a0>b", "b0>c", "c0>a?"], ["c_0", "a_0", "b_0"]),
        (["a0>b?", "b0>a?"], ["a_0", "b_0"]),
        (["d0>a?", "a0>b", "b0>a?"], ["b_0", "a_0"]),
    ],
)
def test_circles_are_found(pairs: list[str], circle: list[str]) -> None:
    assert [wait.caller for wait in find_deadlock(waits(*pairs), ONE_EACH)] == circle


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        ["a0>b"],
        ["a0>b?"],  # b_0 computes
        ["a0>b", "b0>c?"],  # c_0 computes
        ["a0>b", "b0>c", "c0>d"],
    ],
)
def test_chains_that_end_somewhere_are_not_deadlocks(pairs: list[str]) -> None:
    assert find_deadlock(waits(*pairs), ONE_EACH) == []


def test_a_second_instance_saves_a_model_that_asks_itself() -> None:
    two = {"a": ["a_0", "a_1"]}
    assert find_deadlock(waits("a0>a"), two) == []
    assert [wait.caller for wait in find_deadlock(waits("a0>a", "a1>a?"), two)] == ["a_1"]


def test_the_text_names_the_circle_and_the_way_out() -> None:
    text = deadlock_text(find_deadlock(waits("a0>b", "b0>a?"), ONE_EACH))
    assert text.startswith("deadlock: 'b_0' waits for 'a', 'a_0' waits for 'b', and every instance")
    assert "instance_group" in text
