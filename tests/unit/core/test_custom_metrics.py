from __future__ import annotations

from typing import Any

import pytest

from tritium.core.custom_metrics import MAX_SERIES, CustomMetrics
from tritium.errors import TritiumError


def defined(kind: str = "counter") -> CustomMetrics:
    metrics = CustomMetrics()
    metrics.define("m_0", "fam", "what it counts", kind)
    return metrics


def test_the_same_labels_are_the_same_series_whatever_their_order() -> None:
    metrics = defined()
    first = metrics.series_number("fam", {"a": "1", "b": "2"})
    assert metrics.series_number("fam", {"b": "2", "a": "1"}) == first
    assert metrics.series_number("fam", {"a": "1"}) != first


@pytest.mark.parametrize(
    ("kind", "updates", "value"),
    [
        ("counter", [("increment", 2), ("increment", 0.5)], 2.5),
        ("gauge", [("set", 7), ("increment", -2)], 5),
        ("histogram", [("observe", 1), ("observe", 30)], 31),
    ],
)
def test_series_are_updated(kind: str, updates: list[tuple[str, float]], value: float) -> None:
    metrics = defined(kind)
    bounds = [1.0, 5.0] if kind == "histogram" else None
    series = metrics.series(metrics.series_number("fam", {}, bounds))
    for operation, amount in updates:
        series.update(operation, amount)
    assert series.value == value
    if kind == "histogram":
        assert series.counts == [1, 0, 1]


@pytest.mark.parametrize(
    ("kind", "operation", "value"),
    [
        ("counter", "increment", -1),
        ("counter", "set", 1),
        ("gauge", "observe", 1),
        ("histogram", "increment", 1),
        ("gauge", "set", float("nan")),
        ("gauge", "delete", 1),
    ],
)
def test_what_a_kind_does_not_have_is_refused(kind: str, operation: str, value: float) -> None:
    metrics = defined(kind)
    series = metrics.series(metrics.series_number("fam", {}, [1.0] if kind == "histogram" else None))
    with pytest.raises(TritiumError):
        series.update(operation, value)


@pytest.mark.parametrize("name", ["", "1a", "a b", 'a"', "nv_inference_count", "tritium_x", "é"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(TritiumError, match="cannot name a metric family"):
        CustomMetrics().define("m_0", name, "", "gauge")


def test_a_family_of_another_kind_is_not_replaced() -> None:
    metrics = defined()
    metrics.define("n_0", "fam", "again", "counter")
    with pytest.raises(TritiumError, match=r"^Family name already exists with different type$"):
        metrics.define("n_0", "fam", "", "gauge")


@pytest.mark.parametrize("labels", [{"a-b": "x"}, {"": "x"}, {"__a": "x"}, {"a": 3}])
def test_bad_labels_are_refused(labels: dict[str, Any]) -> None:
    with pytest.raises(TritiumError, match="label"):
        defined().series_number("fam", labels)


@pytest.mark.parametrize("bounds", [[], [2.0, 1.0], [1.0, 1.0], [float("inf")]])
def test_bad_buckets_are_refused(bounds: list[float]) -> None:
    with pytest.raises(TritiumError, match="buckets"):
        defined("histogram").series_number("fam", {}, bounds)


def test_the_number_of_series_is_bounded() -> None:
    metrics = defined()
    for i in range(MAX_SERIES):
        metrics.series_number("fam", {"i": str(i)})
    with pytest.raises(TritiumError, match="limit"):
        metrics.series_number("fam", {"i": "one more"})


def test_a_family_goes_with_the_last_instance_that_defined_it() -> None:
    metrics = defined()
    metrics.define("m_1", "fam", "", "counter")
    number = metrics.series_number("fam", {})
    metrics.release("m_0")
    assert metrics.series(number).value == 0
    metrics.release("m_1")
    assert metrics.families == {}
    with pytest.raises(TritiumError, match="gone"):
        metrics.series(number)
