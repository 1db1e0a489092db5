"""Metrics that models define: counters, gauges and histograms, shared by all who name the same series."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tritium.errors import AlreadyExistsError, InvalidArgumentError

KINDS = ("counter", "gauge", "histogram")
MAX_SERIES = 10_000  # of one family; a label that is different in every request must not fill the memory
_RESERVED = ("nv_", "tritium_")  # the server's own families
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Series:
    """One metric of a family. ``counts``: observations per bucket of a histogram, the last unbounded."""

    kind: str
    labels: Labels
    bounds: tuple[float, ...] = ()
    value: float = 0.0  # of a histogram, the sum
    counts: list[int] = field(default_factory=list)

    def update(self, operation: str, value: float) -> None:
        """Apply ``increment``, ``set`` or ``observe``.

        Raises:
            InvalidArgumentError: the kind does not have it, a counter would fall, or the value is not finite.
        """
        if not math.isfinite(value):
            raise InvalidArgumentError(f"a metric takes finite numbers, got {value}")
        if operation == "increment" and self.kind != "histogram":
            if self.kind == "counter" and value < 0:
                raise InvalidArgumentError(f"a counter cannot be decremented, got {value}")
            self.value += value
        elif operation == "set" and self.kind == "gauge":
            self.value = value
        elif operation == "observe" and self.kind == "histogram":
            self.value += value
            self.counts[bisect_left(self.bounds, value)] += 1
        else:
            raise InvalidArgumentError(f"a {self.kind} has no operation '{operation}'")


@dataclass(slots=True)
class Family:
    """Series of one name."""

    name: str
    description: str
    kind: str
    owners: set[str] = field(default_factory=set)  # model instances that defined it
    series: dict[Labels, int] = field(default_factory=dict)  # their numbers


class CustomMetrics:
    """The families of all models of a server. A family lasts as long as an instance that defined it."""

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}
        self._series: dict[int, Series] = {}
        self._last_number = 0

    def define(self, owner: str, name: str, description: str, kind: str) -> None:
        """Define a family, or join one that exists.

        Raises:
            InvalidArgumentError: a name that Prometheus does not allow or that is the server's own.
            AlreadyExistsError: the family exists with another kind.
        """
        if kind not in KINDS:
            raise InvalidArgumentError(f"unknown kind of metric '{kind}', expected one of {', '.join(KINDS)}")
        if not _NAME.fullmatch(name) or name.startswith(_RESERVED):
            raise InvalidArgumentError(
                f"'{name[:200]}' cannot name a metric family: write letters, digits, underscores and colons, "
                "and begin with none of nv_ and tritium_"
            )
        family = self.families.get(name)
        if family is None:
            family = self.families[name] = Family(name, description, kind)
        elif family.kind != kind:
            raise AlreadyExistsError("Family name already exists with different type")
        family.owners.add(owner)

    def series_number(
        self, name: str, labels: Mapping[str, str], bounds: Sequence[float] | None = None
    ) -> int:
        """The number of the series with these labels, which is made if it is new.

        Args:
            bounds: upper bounds of a histogram's buckets, in ascending order.

        Raises:
            InvalidArgumentError: no such family, bad labels or bounds, or too many series.
        """
        family = self.families.get(name)
        if family is None:
            raise InvalidArgumentError(f"there is no metric family '{name}'")
        key = _checked_labels(labels)
        known = family.series.get(key)
        if known is not None:
            return known
        if len(family.series) >= MAX_SERIES:
            raise InvalidArgumentError(f"metric family '{name}' has {MAX_SERIES} metrics, which is the limit")
        series = Series(family.kind, key)
        if family.kind == "histogram":
            series.bounds = _checked_bounds(bounds or ())
            series.counts = [0] * (len(series.bounds) + 1)
        self._last_number += 1
        family.series[key] = self._last_number
        self._series[self._last_number] = series
        return self._last_number

    def series(self, number: int) -> Series:
        """A series by its number.

        Raises:
            InvalidArgumentError: its family is gone.
        """
        found = self._series.get(number)
        if found is None:
            raise InvalidArgumentError("the metric is gone: no instance is left that defined its family")
        return found

    def release(self, owner: str) -> None:
        """``owner`` is unloaded: families that only it defined go."""
        for family in list(self.families.values()):
            family.owners.discard(owner)
            if not family.owners:
                del self.families[family.name]
                for number in family.series.values():
                    del self._series[number]


def _checked_labels(labels: Mapping[str, str]) -> Labels:
    for name, value in labels.items():
        if not _LABEL.fullmatch(name) or name.startswith("__") or not isinstance(value, str):
            raise InvalidArgumentError(
                f"label '{str(name)[:200]}' of a metric: expected a name of letters, digits and underscores, "
                "and a string"
            )
    return tuple(sorted(labels.items()))


def _checked_bounds(bounds: Sequence[float]) -> tuple[float, ...]:
    ascending = all(a < b for a, b in pairwise(bounds))
    if not bounds or not ascending or not all(math.isfinite(bound) for bound in bounds):
        raise InvalidArgumentError(
            f"buckets of a histogram: expected upper bounds in ascending order, got {list(bounds)[:20]}"
        )
    return tuple(float(bound) for bound in bounds)
