"""Why a model was not loaded, in Triton's words.

Triton blames itself (500) for some of these; here the caller can mend all of them, so they are INVALID_ARG
(docs/compatibility.md, 'client errors').
"""

from __future__ import annotations

from collections.abc import Mapping

from tritium.errors import InvalidArgumentError, TritiumError, UnavailableError


class LoadRefusedError(UnavailableError):
    """Models come and go by requests only under explicit control."""

    def __init__(self) -> None:
        super().__init__("explicit model load / unload is not allowed if polling is enabled")


class LoadFailedError(InvalidArgumentError):
    """A model was not loaded; what served before still does."""


def poll_failed(name: str, cause: str = "") -> LoadFailedError:
    """Nothing could be tried: no such model, or a configuration that cannot be read.

    Args:
        cause: follows Triton's text, which keeps it to the log.
    """
    text = f"failed to load '{name}', failed to poll from model repository"
    return LoadFailedError(f"{text}: {cause}" if cause else text)


def load_failed(name: str, cause: str) -> LoadFailedError:
    """No version could be tried."""
    return LoadFailedError(f"load failed for model '{name}': {cause}\n")


def versions_failed(name: str, errors: Mapping[int, TritiumError]) -> LoadFailedError:
    """These versions were tried and failed."""
    clauses = "".join(
        f"version {version} is at UNAVAILABLE state: {reason(error)};\n" for version, error in errors.items()
    )
    return LoadFailedError(f"load failed for model '{name}': {clauses}")


def reason(error: TritiumError) -> str:
    """An error as the index shows it."""
    return f"{error.code.text}: {error}"
