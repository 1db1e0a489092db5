"""The JSON document of ``/v2/models/<m>/config``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from tritium.core.model_config import EnsembleScheduling, ModelConfig

# Not known to Triton 2.51, whose documents clients were written for: shown only when set.
_SHOWN_WHEN_SET = frozenset({(EnsembleScheduling, "max_inflight_requests")})


def document_of(config: ModelConfig) -> dict[str, Any]:
    """``config`` as ``json.dumps`` takes it, keys in the order of the proto.

    Every scalar and every list is there, with its default; a sub-message only if it is set. Whole floats
    are shown as integers, and those that JSON cannot hold as protobuf's ``"NaN"`` and ``"Infinity"``.
    """
    return _message(config)


def _message(message: Any) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for field in fields(message):
        value = getattr(message, field.name)
        newer = (type(message), field.name) in _SHOWN_WHEN_SET
        if value is None or (newer and field.default is not MISSING and value == field.default):
            continue
        document[field.name.rstrip("_")] = _value(value)
    return document


def _value(value: object) -> object:
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _value(item) for key, item in value.items()}
    if isinstance(value, float):
        return _number(value)
    return _message(value) if is_dataclass(value) else value


def _number(value: float) -> float | int | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
