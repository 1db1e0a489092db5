from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.oneflow.operations import check, floats
from tritium.oneflow.reductions import REDUCTIONS

X = floats(4, 6)
KINDS: dict[str, Any] = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod}
TESTED = set(REDUCTIONS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [True, False])
def test_reductions(kind: str, keep: bool) -> None:
    for axes in [(1,), (2,), (1, 2), (-1,)]:
        expected = KINDS[kind](X, axis=axes, keepdims=keep)
        check(f"reduce_{kind}", [X], expected, axis=axes, keepdims=keep)


def test_any_and_all() -> None:
    truth = X > 0.3
    check("reduce_any", [truth], np.asarray(truth.any(2)), axis=(2,), keepdims=False)
    check(
        "reduce_all",
        [truth.astype(np.int8)],
        np.asarray(truth.all(1, keepdims=True)),
        axis=(1,),
        keepdims=True,
    )


@pytest.mark.parametrize("unbiased", [True, False])
def test_variance_does_not_cancel(unbiased: bool) -> None:
    far = X + np.float32(1000)
    for axes, keep in [((2,), True), ((1, 2), False)]:
        expected = far.astype(np.float64).var(axes, ddof=int(unbiased), keepdims=keep).astype(np.float32)
        numbers: dict[str, Any] = {"dim": axes, "keepdim": keep, "unbiased": unbiased}
        check("var", [far], expected, tolerance=1e-3, **numbers)


def test_cumulative_sums() -> None:
    check("cumsum", [X], X.cumsum(1), dim=1)


def test_reducing_the_rows_keeps_the_saved_batch() -> None:
    check("reduce_sum", [X], X, variable=False, axis=(0,), keepdims=True)
