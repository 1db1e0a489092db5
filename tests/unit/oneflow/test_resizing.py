from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.oneflow.operations import check, floats
from tritium.core.tensor import Array
from tritium.errors import ConfigError
from tritium.oneflow.resizing import RESIZING

X = floats(2, 4, 6)
SMOOTH: dict[str, Any] = {
    "data_format": "channels_first",
    "height_scale": 2.0,
    "width_scale": 2.0,
    "output_size": (),
}
TESTED = set(RESIZING)


def interpolated(x: Array, size: int, axis: int, *, corners: bool) -> Array:
    """Linear interpolation of one axis to ``size``."""
    old = x.shape[axis]
    steps = np.arange(size)
    places = steps * (old - 1) / (size - 1) if corners else np.clip((steps + 0.5) * old / size - 0.5, 0, None)
    low = np.minimum(places.astype(int), old - 1)
    high = np.minimum(low + 1, old - 1)
    shape = [1] * x.ndim
    shape[axis] = size
    part = (places - low).reshape(shape)
    mixed = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return np.asarray(mixed, np.float32)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_nearest_by_whole_factors(rank: int) -> None:
    x = floats(2, *[3] * rank)
    expected = x
    for axis in range(2, 2 + rank):
        expected = np.repeat(expected, 2, axis)
    check(f"upsample_nearest_{rank}d", [x], expected, data_format="channels_first", output_size=())


def test_nearest_by_other_factors_takes_the_pixel_before() -> None:
    rows, columns = np.arange(7) * 4 // 7, np.arange(9) * 6 // 9
    expected = X[:, :, rows][:, :, :, columns]
    numbers: dict[str, Any] = {
        "data_format": "channels_first",
        "output_size": (7, 9),
        "height_scale": 1.75,
        "width_scale": 1.5,
    }
    check("upsample_nearest_2d", [X], expected, **numbers)
    named: dict[str, Any] = {**numbers, "output_size": ()}
    check("upsample_nearest_2d", [X], expected, **named)


@pytest.mark.parametrize(("kind", "rank"), [("linear_1d", 1), ("bilinear_2d", 2), ("trilinear_3d", 3)])
@pytest.mark.parametrize("corners", [True, False])
def test_linear(kind: str, rank: int, corners: bool) -> None:
    x = floats(2, *range(3, 3 + rank))
    expected = x
    for axis in range(2, 2 + rank):
        expected = interpolated(expected, 7, axis, corners=corners)
    check(f"upsample_{kind}", [x], expected, align_corners=corners, **SMOOTH)


def test_bicubic_keeps_what_is_even_in_the_middle() -> None:
    x = np.broadcast_to(np.arange(8, dtype=np.float32), (3, 1, 8, 8)).copy()
    expected = interpolated(x, 15, 3, corners=True)
    expected = interpolated(expected, 15, 2, corners=True)
    expected[..., 1], expected[..., 13] = 0.40625, 6.59375  # the curve bends where the border is repeated
    check("upsample_bicubic_2d", [x], expected, align_corners=True, **SMOOTH)


def test_padding_from_the_picture() -> None:
    amounts = ((0, 0), (0, 0), (3, 1), (1, 2))
    for kind, mode in (("reflection_pad2d", "reflect"), ("replication_pad2d", "edge")):
        check(kind, [X], np.pad(X, amounts, mode=mode), padding=(1, 2, 3, 1))  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="padding must have four numbers"):
        check("reflection_pad2d", [X], X, padding=(1, 2))
