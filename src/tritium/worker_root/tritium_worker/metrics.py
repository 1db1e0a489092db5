"""Custom metrics of a model, which the server adds to its own: counters, gauges and histograms."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional

from tritium_worker import frames
from tritium_worker.errors import TritonModelException
from tritium_worker.process import PROCESS
from tritium_worker.text import text

_KINDS = ("counter", "gauge", "histogram")


class MetricFamily:
    """Metrics of one name that differ in their labels.

    Args:
        name: as Prometheus allows it: letters, digits, underscores and colons.
        description: the help text.
        kind: COUNTER, GAUGE or HISTOGRAM.

    Raises:
        TritonModelException: an unknown kind, a bad name, or a family of this name and another kind.
    """

    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2

    def __init__(self, name: str, description: str, kind: int) -> None:
        if kind not in (self.COUNTER, self.GAUGE, self.HISTOGRAM):
            raise TritonModelException(
                f"MetricFamily('{name}'): expected MetricFamily.COUNTER, GAUGE or HISTOGRAM, got {kind!r}"
            )
        self._name = text(name, "MetricFamily(name)")
        self._kind = kind
        told = text(description, "MetricFamily(description)")
        PROCESS.calls().ask("family", name=self._name, description=told, kind=_KINDS[kind])

    def Metric(  # noqa: N802 - Triton's name
        self, labels: Optional[Dict[str, str]] = None, buckets: Optional[List[float]] = None
    ) -> Metric:
        """One metric of the family; the same for the same labels.

        Args:
            buckets: upper bounds in ascending order, for a histogram.

        Raises:
            TritonModelException: labels that are no strings, buckets for another kind, or none for a
                histogram.
        """
        if (self._kind == self.HISTOGRAM) != (buckets is not None):
            wanted = "needs buckets" if self._kind == self.HISTOGRAM else "takes no buckets"
            raise TritonModelException(f"Metric of '{self._name}': a {_KINDS[self._kind]} {wanted}")
        answer = PROCESS.calls().ask("metric", family=self._name, labels=labels or {}, buckets=buckets)
        return Metric(answer["metric"], self._name, self._kind)


class Metric:
    """One series. Made by ``MetricFamily.Metric``."""

    def __init__(self, number: int, name: str, kind: int) -> None:
        self._number = number
        self._name = name
        self._kind = kind

    def increment(self, value: float) -> None:
        """Add to a counter (not less than 0) or a gauge.

        Raises:
            TritonModelException: a histogram, or a counter that would fall.
        """
        if self._kind == MetricFamily.HISTOGRAM:
            raise self._unsupported("increment")
        if self._kind == MetricFamily.COUNTER and value < 0:
            raise TritonModelException(f"Metric '{self._name}': a counter cannot be decremented, got {value}")
        self._tell("increment", value)

    def set(self, value: float) -> None:
        """Replace the value of a gauge.

        Raises:
            TritonModelException: it is no gauge.
        """
        if self._kind != MetricFamily.GAUGE:
            raise self._unsupported("set")
        self._tell("set", value)

    def observe(self, value: float) -> None:
        """Add an observation to a histogram.

        Raises:
            TritonModelException: it is no histogram.
        """
        if self._kind != MetricFamily.HISTOGRAM:
            raise self._unsupported("observe")
        self._tell("observe", value)

    def value(self) -> float:
        """What the server has now, after everything that was told before.

        Raises:
            TritonModelException: a histogram, which has no single value.
        """
        if self._kind == MetricFamily.HISTOGRAM:
            raise self._unsupported("value")
        return float(PROCESS.calls().ask("value", metric=self._number)["value"])

    def _tell(self, op: str, value: float) -> None:
        if not math.isfinite(value):
            raise TritonModelException(f"Metric '{self._name}': expected a finite number, got {value!r}")
        body: Dict[str, Any] = {"metric": self._number, "op": op, "value": float(value)}
        PROCESS.calls().tell(frames.METRIC, body)

    def _unsupported(self, method: str) -> TritonModelException:
        return TritonModelException(f"Metric '{self._name}': a {_KINDS[self._kind]} has no {method}()")
