"""Triton's datatypes: wire names, configuration names, Triton's numbers and numpy's types."""

from __future__ import annotations

from typing import Any, Dict, Optional

import numpy as np

# Position in this table is Triton's number of the datatype, which ``Tensor.triton_dtype`` returns.
_TABLE = (
    ("INVALID", None),
    ("BOOL", np.bool_),
    ("UINT8", np.uint8),
    ("UINT16", np.uint16),
    ("UINT32", np.uint32),
    ("UINT64", np.uint64),
    ("INT8", np.int8),
    ("INT16", np.int16),
    ("INT32", np.int32),
    ("INT64", np.int64),
    ("FP16", np.float16),
    ("FP32", np.float32),
    ("FP64", np.float64),
    ("BYTES", np.object_),
    ("BF16", None),
)

CODES: Dict[str, int] = {name: code for code, (name, _) in enumerate(_TABLE)}

NUMPY_DTYPES: Dict[str, np.dtype[Any]] = {
    name: np.dtype(kind).newbyteorder("<") for name, kind in _TABLE if kind is not None
}
"""Wire name to little-endian dtype. Not here: BF16, which numpy does not have."""

WIRE_NAMES: Dict[np.dtype[Any], str] = {dtype: name for name, dtype in NUMPY_DTYPES.items()}
"""The reverse; big-endian and ``S`` dtypes need ``wire_name``."""

TRITON_STRING_TO_NUMPY: Dict[str, Any] = {
    "TYPE_STRING" if name == "BYTES" else f"TYPE_{name}": bool if name == "BOOL" else kind
    for name, kind in _TABLE
    if kind is not None
}
"""Names in config.pbtxt to numpy types. TYPE_BOOL is Python's ``bool``, as in Triton."""


def wire_name(dtype: np.dtype[Any]) -> Optional[str]:
    """The wire name of a dtype in either byte order (``S`` is BYTES); None where there is none."""
    if dtype.kind == "S":
        return "BYTES"
    return WIRE_NAMES.get(dtype.newbyteorder("<"))


def triton_to_numpy_type(data_type: int) -> Any:
    """The numpy type of Triton's number; None for INVALID, BF16 and numbers that are not in use."""
    return _TABLE[data_type][1] if 0 <= data_type < len(_TABLE) else None


def numpy_to_triton_type(data_type: Any) -> Optional[int]:
    """Triton's number of a numpy type or dtype; None where it has none (``str_``, complex)."""
    try:
        name = wire_name(np.dtype(data_type))
    except TypeError:
        return None
    return None if name is None else CODES[name]


def triton_string_to_numpy(triton_type_string: str) -> Any:
    """The numpy type of a name in config.pbtxt, ``TYPE_FP32``.

    Raises:
        KeyError: no such name, or BF16, which numpy does not have.
    """
    return TRITON_STRING_TO_NUMPY[triton_type_string]
