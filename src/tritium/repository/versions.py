"""Which versions of a model are served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tritium.core.model_config import VersionPolicy
from tritium.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Selection:
    """The versions to serve, ascending, and what the log should say about the others."""

    versions: tuple[int, ...]
    warnings: tuple[str, ...] = ()


def select_versions(policy: VersionPolicy, available: Sequence[int], model: str) -> Selection:
    """The versions that ``policy`` selects; none is an error for the caller to raise (``NoVersionError``).

    A policy without a choice selects all, as Triton's.
    """
    ordered = tuple(sorted(set(available)))
    if policy.specific is not None:
        wanted = sorted(set(policy.specific.versions))
        warnings = tuple(
            f"version {version} is specified for model '{model}', but the version directory is not present"
            for version in wanted
            if version not in ordered
        )
        return Selection(tuple(version for version in wanted if version in ordered), warnings)
    if policy.latest is not None:
        count = policy.latest.num_versions
        return Selection(ordered[-count:] if count else ())
    return Selection(ordered)


class NoVersionError(ConfigError):
    """A model of which no version is selected."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"at least one version must be available under the version policy of model '{model}'"
        )
