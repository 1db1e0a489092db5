"""Names of Triton's python API that this version does not have: they import, and say so when used."""

from __future__ import annotations

from typing import Any, NoReturn

from tritium_worker.errors import not_available


class MetricFamily:
    """Custom metrics. The kinds exist, so that the error is about the metric and not about a constant."""

    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise not_available("MetricFamily")


class PreferredMemory:
    """Where another model's outputs should be placed."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise not_available("PreferredMemory")


def load_model(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Model control from within a model."""
    raise not_available("load_model")


def unload_model(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Model control from within a model."""
    raise not_available("unload_model")


def is_model_ready(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Another model's readiness."""
    raise not_available("is_model_ready")
