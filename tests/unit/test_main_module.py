"""Tests for ``python -m tritium``."""

from __future__ import annotations

import runpy
import sys

import pytest


def test_the_module_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tritium", "--version"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("tritium", run_name="__main__")
    assert capsys.readouterr().out.startswith("tritium ")
