"""HTTP path to endpoint, by Triton's rules: nothing is decoded, slashes count, the query is ignored."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from tritium.errors import InvalidArgumentError


class Endpoint(Enum):
    """What a path asks for; the value ends with the method it takes and its category of restrictions."""

    SERVER_METADATA = ("server metadata", "GET", "metadata")
    LIVE = ("live", "GET", "health")
    READY = ("ready", "GET", "health")
    MODEL_READY = ("model ready", "GET", "health")
    MODEL_METADATA = ("model metadata", "GET", "metadata")
    MODEL_CONFIG = ("model config", "GET", "model-config")
    MODEL_STATS = ("model stats", "GET", "statistics")
    INFER = ("infer", "POST", "inference")
    GENERATE = ("generate", "POST", "inference")
    GENERATE_STREAM = ("generate stream", "POST", "inference")
    REPOSITORY_INDEX = ("repository index", "POST", "model-repository")
    MODEL_LOAD = ("model load", "POST", "model-repository")
    MODEL_UNLOAD = ("model unload", "POST", "model-repository")

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.value[1]

    @property
    def category(self) -> str:
        """What it is called in restrictions."""
        return self.value[2]


class Route(NamedTuple):
    """An endpoint and what the path names. ``model`` and ``repository`` are empty where it names none."""

    endpoint: Endpoint
    model: str = ""
    version: int | None = None
    repository: str = ""


_MODEL = re.compile(
    r"/v2/models/([^/]+)(?:/versions/([0-9]+))?(?:/(infer|generate|generate_stream|ready|config|stats))?",
    re.ASCII,
)
_REPOSITORY = re.compile(r"/v2/repository(?:/([^/]+))?/(?:index|models/([^/]+)/(load|unload))", re.ASCII)
_FIXED = {
    "/v2": Route(Endpoint.SERVER_METADATA),
    "/v2/health/live": Route(Endpoint.LIVE),
    "/v2/health/ready": Route(Endpoint.READY),
    "/v2/models/stats": Route(Endpoint.MODEL_STATS),
}
_ACTIONS = {
    None: Endpoint.MODEL_METADATA,
    "infer": Endpoint.INFER,
    "generate": Endpoint.GENERATE,
    "generate_stream": Endpoint.GENERATE_STREAM,
    "ready": Endpoint.MODEL_READY,
    "config": Endpoint.MODEL_CONFIG,
    "stats": Endpoint.MODEL_STATS,
}
_MAX_VERSION = 2**63 - 1


def match(path: str) -> Route | None:
    """The route of ``path`` (without a query), or None.

    Raises:
        InvalidArgumentError: the version is no 64-bit number.
    """
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed
    found = _MODEL.fullmatch(path)
    if found is None:
        return _match_repository(path)
    name, version_text, action = found.groups()
    version = None
    if version_text is not None:
        version = int(version_text) if len(version_text) < 20 else _MAX_VERSION + 1
        if version > _MAX_VERSION:
            raise InvalidArgumentError(
                f"failed to get model version from specified version string '{version_text}' (details: "
                "stol), version should be an integral value > 0"
            )
    return Route(_ACTIONS[action], name, version)


def _match_repository(path: str) -> Route | None:
    found = _REPOSITORY.fullmatch(path)
    if found is None:
        return None
    repository, model, action = found.groups(default="")
    if not action:
        return Route(Endpoint.REPOSITORY_INDEX, repository=repository)
    endpoint = Endpoint.MODEL_LOAD if action == "load" else Endpoint.MODEL_UNLOAD
    return Route(endpoint, model, repository=repository)
