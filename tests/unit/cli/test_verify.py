"""Tests for ``tritium.cli.verify``: what is compared, and what is said of it."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from tests.unit.builders import model_input
from tritium.cli.verify import Comparison, random_input, relative_difference
from tritium.core.tensor import Array


@pytest.mark.parametrize(
    ("found", "expected", "difference"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 4.0]), 0.5),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf]), 0.0),
        (np.array([np.nan]), np.array([1.0]), inf),
        (np.array([1e-9]), np.array([0.0]), 1e-9),
        (np.array([1]), np.array([1.0]), inf),
        (np.zeros((2, 1)), np.zeros(2), inf),
        (np.zeros(0), np.zeros(0), 0.0),
    ],
)
def test_differences_are_relative_to_the_largest_element(
    found: Array, expected: Array, difference: float
) -> None:
    assert relative_difference(found, expected) == difference


def test_inputs_have_the_models_shapes_and_types() -> None:
    random = np.random.default_rng(0)
    assert random_input(model_input(dims=(3, -1)), 2, random).shape == (2, 3, 1)
    whole = random_input(model_input(data_type="INT64", dims=(50,)), 0, random)
    assert whole.dtype == np.dtype(np.int64)
    assert set(whole.tolist()) == {0, 1}


def test_a_line_says_whether_the_engines_agree() -> None:
    assert Comparison("m", 1, 1e-6, output="OUTPUT_0").line().startswith("same m version 1: ")
    far = Comparison("m", 1, 0.5, output="OUTPUT_1")
    assert "5.0e-01, in OUTPUT_1; expected at most 1e-04" in far.line()
    assert not far.fine
    assert (
        Comparison("m", 2, problem="no runtime").line() == "FAIL m version 2: cannot be verified: no runtime"
    )


def test_the_output_that_is_furthest_beyond_its_limit_is_named() -> None:
    half, single = np.array([1, 1], np.float16), np.array([1, 1], np.float32)
    agreed = Comparison("m", 1).including("HALF", half + np.float16(0.002), half)
    assert (agreed.fine, agreed.output) == (True, "HALF")
    assert agreed.including("SINGLE", single + np.float32(1e-6), single) is agreed
    apart = agreed.including("SINGLE", single + np.float32(0.002), single)
    assert (apart.fine, apart.output, apart.limit) == (False, "SINGLE", 1e-4)
