from __future__ import annotations

from itertools import product

import pytest

from tests.unit.builders import model
from tritium.errors import InternalError
from tritium.repository.lifecycle import ModelVersion, VersionState

LEGAL = {
    ("UNKNOWN", "LOADING"),
    ("LOADING", "READY"),
    ("LOADING", "UNAVAILABLE"),
    ("READY", "UNLOADING"),
    ("UNLOADING", "UNAVAILABLE"),
    ("UNAVAILABLE", "LOADING"),
}


@pytest.mark.parametrize(("old", "new"), sorted(LEGAL))
def test_versions_follow_tritons_states(old: str, new: str) -> None:
    version = ModelVersion("m", 1, VersionState(old))
    version.to(VersionState(new), "why")
    assert (version.state.value, version.reason) == (new, "why")


@pytest.mark.parametrize(
    ("old", "new"), sorted(pair for pair in product(VersionState.__members__, repeat=2) if pair not in LEGAL)
)
def test_any_other_step_is_a_fault_of_the_server(old: str, new: str) -> None:
    version = ModelVersion("m", 3, VersionState(old), reason="kept")
    with pytest.raises(InternalError, match=f"model 'm' version 3 cannot go from {old} to {new}"):
        version.to(VersionState(new))
    assert (version.state.value, version.reason) == (old, "kept")


def test_a_version_has_its_model_while_it_serves_and_drains() -> None:
    loaded, version = model(), ModelVersion("m", 1)
    held = []
    for state in ("LOADING", "READY", "UNLOADING", "UNAVAILABLE"):
        version.to(VersionState(state), model=loaded if state == "READY" else None)
        held.append(version.model is loaded)
    assert held == [False, True, True, False]


def test_a_reason_does_not_outlive_its_state() -> None:
    version = ModelVersion("m", 1, VersionState.UNAVAILABLE, "it broke")
    version.to(VersionState.LOADING)
    assert version.reason == ""
