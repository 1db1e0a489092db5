"""Pictures made larger or smaller, and padded with themselves. Axes 2 and up are spatial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tritium.oneflow.emitter import Emitter, refused
from tritium.oneflow.graph import Operation
from tritium.oneflow.layers import check_channels_first
from tritium.oneflow.operation import Table, Translate, Translation
from tritium.oneflow.rows import first_axis


def write_nearest(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """By whole factors a Resize, exact there; else by the indices that OneFlow computes in float32."""
    check_channels_first(op)
    sizes, wanted = op.operand_types[0].shape[2:], op.result_types[0].shape[2:]
    if all(size and w % size == 0 for size, w in zip(sizes, wanted, strict=True)):
        return _resize(emit, op, values[0], mode="nearest", nearest_mode="floor", transform="asymmetric")
    if max(wanted) > _MAX_PICKED or len(wanted) not in _SCALES:
        raise refused(op, f"a picture of {list(wanted)}")
    result = values[0]
    for axis, (size, w, key) in enumerate(zip(sizes, wanted, _SCALES[len(sizes)], strict=True), start=2):
        scale = w / size if op.integers("output_size") else op.number(key)
        indices = np.floor(np.arange(w, dtype=np.float32) * np.float32(1 / scale)).astype(np.int64)
        result = emit.node("Gather", [result, emit.constant(np.minimum(indices, size - 1))], axis=axis)
    return result


def smooth(mode: str, **attributes: Any) -> Translate:
    """Interpolation between pixels; corners are aligned or pixels are squares, as the file says."""

    def write(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
        check_channels_first(op)
        transform = "align_corners" if op.flag("align_corners") else "half_pixel"
        return _resize(emit, op, values[0], mode=mode, transform=transform, **attributes)

    return write


def _resize(emit: Emitter, op: Operation, value: str, *, transform: str, **attributes: Any) -> str:
    wanted = op.result_types[0].shape[2:]
    axes = list(range(2, 2 + len(wanted)))
    return emit.node(
        "Resize",
        [value, "", "", emit.ints(wanted)],
        axes=axes,
        coordinate_transformation_mode=transform,
        **attributes,
    )


def picture_padding(mode: str) -> Translate:
    """Left, right, top and bottom are filled from the picture."""

    def write(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
        padding = op.integers("padding")
        if len(padding) != 4 or len(op.operand_types[0].shape) != 4:
            raise op.error("padding must have four numbers: left, right, top, bottom")
        left, right, top, bottom = padding
        pads = emit.ints([0, 0, top, left, 0, 0, bottom, right])
        return emit.node("Pad", [values[0], pads], mode=mode)

    return write


_MAX_PICKED = 1 << 20  # pixels along an axis that is picked by indices
_SCALES = {
    1: ("scale_factor",),
    2: ("height_scale", "width_scale"),
    3: ("depth_scale", "height_scale", "width_scale"),
}

RESIZING: Table = {
    **{f"upsample_nearest_{n}d": Translation(write_nearest, first_axis, (1, 1)) for n in (1, 2, 3)},
    "upsample_linear_1d": Translation(smooth("linear"), first_axis, (1, 1)),
    "upsample_bilinear_2d": Translation(smooth("linear"), first_axis, (1, 1)),
    "upsample_trilinear_3d": Translation(smooth("linear"), first_axis, (1, 1)),
    "upsample_bicubic_2d": Translation(smooth("cubic", cubic_coeff_a=-0.75), first_axis, (1, 1)),
    "reflection_pad2d": Translation(picture_padding("reflect"), first_axis, (1, 1)),
    "replication_pad2d": Translation(picture_padding("edge"), first_axis, (1, 1)),
}
