from __future__ import annotations

import pytest

from tritium.core.model_config import AllVersions, LatestVersions, SpecificVersions, VersionPolicy
from tritium.repository.versions import NoVersionError, Selection, select_versions


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        (VersionPolicy(latest=LatestVersions(1)), (10,)),
        (VersionPolicy(latest=LatestVersions(2)), (2, 10)),
        (VersionPolicy(latest=LatestVersions(9)), (0, 2, 10)),
        (VersionPolicy(latest=LatestVersions(0)), ()),
        (VersionPolicy(all=AllVersions()), (0, 2, 10)),
        (VersionPolicy(), (0, 2, 10)),
        (VersionPolicy(specific=SpecificVersions((10, 0, 10))), (0, 10)),
        (VersionPolicy(specific=SpecificVersions()), ()),
    ],
)
def test_selects_by_number(policy: VersionPolicy, versions: tuple[int, ...]) -> None:
    assert select_versions(policy, (10, 0, 2), "m") == Selection(versions)


def test_warns_of_a_version_that_is_not_there() -> None:
    policy = VersionPolicy(specific=SpecificVersions((1, 5)))
    assert select_versions(policy, (1,), "m") == Selection(
        (1,), ("version 5 is specified for model 'm', but the version directory is not present",)
    )


def test_no_version_is_said_in_tritons_words() -> None:
    assert (
        str(NoVersionError("m"))
        == "at least one version must be available under the version policy of model 'm'"
    )
