"""Tensors in CPU memory across libraries, by DLPack capsules. numpy does the work, except for BF16.

numpy has no bfloat16, so a BF16 tensor passes through it as uint16, and the type code in the capsule's own
structure is rewritten on the way: to bfloat on export, to uint on import.
"""

from __future__ import annotations

import ctypes
from typing import Any, Tuple

import numpy as np

from tritium_worker.errors import TritonModelException, not_available

CPU_DEVICE = (1, 0)  # kDLCPU, device 0
_UINT = 1
_BFLOAT = 4
_CAPSULE_NAME = b"dltensor"


class _TensorHead(ctypes.Structure):
    """The beginning of DLManagedTensor, up to the element type."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
    )


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)


class _Exporter:
    """A capsule as ``numpy.from_dlpack`` wants it: behind the two methods."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_request: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> Tuple[int, int]:
        return CPU_DEVICE


def _head(capsule: Any) -> _TensorHead:
    """The structure that an unconsumed capsule owns; changes to it are seen by the consumer."""
    try:
        return _TensorHead.from_address(_capsule_pointer(capsule, _CAPSULE_NAME))
    except ValueError as error:
        raise TritonModelException(
            f"expected an unused DLPack capsule named 'dltensor', got {capsule}; a capsule can be read once"
        ) from error


def export_array(array: np.ndarray[Any, Any], *, bfloat16: bool = False) -> Any:
    """A capsule over ``array``; no copy unless it is read-only, because a consumer may write.

    Args:
        bfloat16: pass a uint16 array off as BF16.
    """
    try:
        capsule = (array if array.flags.writeable else array.copy()).__dlpack__()
    except (AttributeError, BufferError, RuntimeError, TypeError) as error:
        raise TritonModelException(
            f"numpy {np.__version__} cannot export this tensor by DLPack: {error}"
        ) from error
    if bfloat16:
        _head(capsule).code = _BFLOAT
    return capsule


def import_array(source: Any) -> Tuple[np.ndarray[Any, Any], bool]:
    """An array over a DLPack source without a copy, and whether its uint16 elements are BF16.

    Args:
        source: a capsule, or an object with ``__dlpack__`` and ``__dlpack_device__``, in CPU memory.

    Raises:
        TritonModelException: it is something else, or elements that numpy cannot hold.
    """
    if not hasattr(np, "from_dlpack"):
        raise not_available(f"Tensor.from_dlpack with numpy {np.__version__} (it needs numpy 1.23 or later)")
    capsule = _capsule_of(source)
    head = _head(capsule)
    if head.device_type != CPU_DEVICE[0]:
        raise not_available("DLPack on a device other than the CPU")
    bfloat16 = head.code == _BFLOAT and head.bits == 16
    if bfloat16:
        head.code = _UINT
    try:
        return np.from_dlpack(_Exporter(capsule)), bfloat16
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise TritonModelException(
            f"numpy {np.__version__} cannot read this DLPack tensor: {error}"
        ) from error


def _capsule_of(source: Any) -> Any:
    if type(source).__name__ == "PyCapsule":
        return source
    if not (hasattr(source, "__dlpack__") and hasattr(source, "__dlpack_device__")):
        raise TritonModelException(
            "Provided tensor is not supported. Tensor must be a DLPack capsule         "
            "or have `__dlpack__` and `__dlpack_device__` attributes"
        )
    device_type, _ = source.__dlpack_device__()
    if device_type != CPU_DEVICE[0]:
        raise not_available("DLPack on a device other than the CPU")
    return source.__dlpack__()
