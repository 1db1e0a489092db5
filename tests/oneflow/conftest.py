"""The networks that the real OneFlow saves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oneflow import environment


@pytest.fixture(scope="session")
def networks() -> Path:
    """The directory with all of ``networks.py``, saved, with their references."""
    if not environment.ENABLED:
        pytest.skip("the real OneFlow 0.9.0 is used where TRITIUM_ONEFLOW_TESTS=1 is set (downloads 1 GB)")
    try:
        return environment.saved_networks()
    except environment.MissingInterpreterError as missing:
        pytest.skip(f"NOT TESTED AGAINST THE REAL ONEFLOW: {missing}")
