"""Calls that want a secret, and headers that become parameters: what both protocols share."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping

from tritium.core.request import InferenceRequest
from tritium.errors import InvalidArgumentError
from tritium.options import Restriction

CATEGORIES = (
    "health",
    "metadata",
    "inference",
    "shared-memory",
    "model-config",
    "model-repository",
    "statistics",
    "trace",
    "logging",
)


class Restrictions:
    """Which header the calls of a category need.

    Args:
        prefix: what a header's name begins with, before the restriction's key.

    Raises:
        InvalidArgumentError: there is no such category, or it is restricted twice.
    """

    def __init__(self, restrictions: Iterable[Restriction] = (), *, prefix: str = "") -> None:
        self._needed: dict[str, tuple[str, bytes]] = {}
        for restriction in restrictions:
            for category in restriction.categories:
                if category not in CATEGORIES:
                    known = ", ".join(CATEGORIES)
                    raise InvalidArgumentError(
                        f"unknown restricted api '{category}', expected one of {known}"
                    )
                if category in self._needed:
                    raise InvalidArgumentError(f"restricted api '{category}' can not be specified twice")
                self._needed[category] = (prefix + restriction.key, restriction.value.encode())

    def missing(self, category: str, fields: Mapping[bytes, bytes]) -> str | None:
        """The header that a call of ``category`` lacks, if it does.

        Args:
            fields: its headers, by names in lower case.
        """
        needed = self._needed.get(category)
        if needed is None:
            return None
        name, secret = needed
        given = fields.get(name.lower().encode(), b"")
        return None if hmac.compare_digest(given, secret) else name


def forward_pattern(text: str) -> re.Pattern[bytes] | None:
    """What the names of forwarded headers match somewhere, in any case; None where none are forwarded.

    Raises:
        InvalidArgumentError: it is no regular expression.
    """
    if not text:
        return None
    try:
        return re.compile(text.encode(), re.IGNORECASE)
    except re.error as error:
        raise InvalidArgumentError(
            f"header forward pattern '{text}' is no regular expression: {error}"
        ) from None


def forwarded_parameters(
    pattern: re.Pattern[bytes] | None, fields: Iterable[tuple[bytes, bytes]]
) -> dict[str, str]:
    """Parameters of a request, as its headers say them; of a name that comes twice, the last one counts."""
    if pattern is None:
        return {}
    return {
        name.decode("latin-1"): value.decode("utf-8", "replace")
        for name, value in fields
        if pattern.search(name)
    }


def forward(request: InferenceRequest, parameters: Mapping[str, str]) -> None:
    """Give ``request`` these parameters, too; those that it has may be shared with other requests."""
    request.parameters = {**request.parameters, **parameters}
