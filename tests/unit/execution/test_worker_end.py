"""Tests for ``tritium.execution.worker_end``."""

from __future__ import annotations

from pathlib import Path

from tritium.execution.worker_end import EndReason, OomKills, worker_end


def test_each_kill_by_the_system_is_claimed_once(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\noom 3\noom_kill 3\noom_group_kill 0\n")
    kills = OomKills(events)
    assert not kills.claim()
    events.write_text("low 0\noom 5\noom_kill 5\noom_group_kill 0\n")
    assert [kills.claim() for _ in range(3)] == [True, True, False]


def test_nothing_is_claimed_where_the_kernel_does_not_count(tmp_path: Path) -> None:
    assert not OomKills(tmp_path / "none").claim()
    (tmp_path / "odd").write_text("oom_kill many\n")
    assert not OomKills(tmp_path / "odd").claim()


def test_this_process_has_had_no_kill_since_just_now() -> None:
    assert not OomKills().claim()


def test_a_plain_end_says_the_same_to_clients_and_in_the_log() -> None:
    end = worker_end(EndReason.STOPPED, "was stopped")
    assert (end.reason.value, end.text, end.log_text) == ("stopped", "was stopped", "was stopped")
