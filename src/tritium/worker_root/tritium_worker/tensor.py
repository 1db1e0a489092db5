"""``pb_utils.Tensor``: arrays for model code, wire buffers for the channel, nothing converted unasked."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import numpy as np

from tritium_worker import dlpack
from tritium_worker.byte_strings import deserialize_bytes_tensor, serialize_byte_tensor
from tritium_worker.dtypes import CODES, NUMPY_DTYPES, WIRE_NAMES, wire_name
from tritium_worker.errors import TritonModelException
from tritium_worker.text import text

_ndarray = np.ndarray
_EMPTY = memoryview(b"")


class Tensor:
    """One named tensor in CPU memory.

    Args:
        name: not empty.
        array: numbers, bool, or strings as dtype object (``bytes`` elements); copied only where it is not
            row-major or not little-endian.

    Raises:
        TypeError: not an ndarray.
        TritonModelException: an empty name, or a dtype that Triton does not have.
    """

    # _array: what as_numpy returns, None until asked for. _buffer: the wire form that arrived, or None.
    __slots__ = ("_array", "_buffer", "_datatype", "_name", "_shape")

    def __init__(self, name: str, array: np.ndarray[Any, Any]) -> None:
        if not name:
            raise TritonModelException("Tensor name cannot be an empty string.")
        if not isinstance(array, _ndarray):
            raise TypeError(
                f"Tensor('{name}'): expected a numpy.ndarray, got {type(array).__name__}; "
                "wrap the values with numpy.array(values, dtype=...)"
            )
        datatype = WIRE_NAMES.get(array.dtype)
        if datatype is None:
            datatype, array = _convert(array)
        if not array.flags.c_contiguous:
            array = array.copy(order="C")
        self._name = name if type(name) is str else text(name, "Tensor(name)")
        self._datatype = datatype
        self._shape = array.shape
        self._array: Optional[np.ndarray[Any, Any]] = array
        self._buffer: Optional[memoryview] = None

    def name(self) -> str:
        """The tensor's name."""
        return self._name

    def triton_dtype(self) -> int:
        """Triton's number of the datatype, as ``pb_utils.triton_to_numpy_type`` takes it."""
        return CODES[self._datatype]

    def shape(self) -> List[int]:
        """The dimensions."""
        return list(self._shape)

    def is_cpu(self) -> bool:
        """True: this version keeps tensors in CPU memory."""
        return True

    def as_numpy(self) -> np.ndarray[Any, Any]:
        """The elements, the same array every time: a writable view of what arrived, or a model's own array.

        Raises:
            TritonModelException: BF16, which numpy does not have.
        """
        array = self._array
        if array is None:
            array = self._array = self._decode()
        return array

    def _decode(self) -> np.ndarray[Any, Any]:
        assert self._buffer is not None
        if self._datatype == "BYTES":
            return deserialize_bytes_tensor(self._buffer).reshape(self._shape)
        if self._datatype == "BF16":
            raise TritonModelException(
                "Tensor dtype is BF16 and cannot be converted to NumPy. "
                "Use to_dlpack() and from_dlpack() instead."
            )
        return _ndarray(self._shape, NUMPY_DTYPES[self._datatype], self._buffer)

    def to_dlpack(self) -> Any:
        """A DLPack capsule over the elements; no copy, unless the array is read-only.

        Raises:
            TritonModelException: strings, or a numpy too old to export the array's dtype.
        """
        if self._datatype == "BYTES":
            raise TritonModelException("DLPack does not have support for string tensors.")
        if self._datatype == "BF16":
            bits: np.ndarray[Any, Any] = _ndarray(self._shape, np.dtype("<u2"), self._buffer)
            return dlpack.export_array(bits, bfloat16=True)
        return dlpack.export_array(self.as_numpy())

    @staticmethod
    def from_dlpack(name: str, tensor: Any) -> Tensor:
        """A tensor over somebody else's memory; no copy.

        Args:
            tensor: a row-major DLPack capsule, or an object with ``__dlpack__``, in CPU memory.

        Raises:
            TritonModelException: it is none of these.
        """
        if isinstance(tensor, _ndarray):
            return Tensor(name, tensor)
        if not name:
            raise TritonModelException("Tensor name cannot be an empty string.")
        array, bfloat16 = dlpack.import_array(tensor)
        if not array.flags.c_contiguous:
            raise TritonModelException(
                "DLPack tensor is not contiguous. "
                "Only contiguous DLPack tensors that are stored in C-Order are supported."
            )
        if bfloat16:
            return input_tensor(text(name, "from_dlpack(name)"), "BF16", array.shape, _array_bytes(array))
        return Tensor(name, array)

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        """The protocol's export. ``max_version`` is met by the oldest form, which every consumer reads."""
        if stream is not None or (dl_device is not None and tuple(dl_device) != dlpack.CPU_DEVICE):
            raise BufferError(f"tensor '{self._name}' is in CPU memory: no stream, and no other device")
        if copy:
            raise BufferError(f"tensor '{self._name}' is exported without a copy; copy it after the import")
        return self.to_dlpack()

    def __dlpack_device__(self) -> Tuple[int, int]:
        """The CPU."""
        return dlpack.CPU_DEVICE


def _convert(array: np.ndarray[Any, Any]) -> Tuple[str, np.ndarray[Any, Any]]:
    """Datatype and array of a dtype that is not in the table: big-endian (converted) or ``S`` (as it is)."""
    datatype = wire_name(array.dtype)
    if datatype is None:
        raise TritonModelException("NumPy dtype is not supported.")
    return datatype, array if datatype == "BYTES" else array.astype(NUMPY_DTYPES[datatype])


def input_tensor(name: str, triton_dtype: str, shape: Tuple[int, ...], buffer: memoryview) -> Tensor:
    """A tensor in wire form, decoded when model code first looks at it.

    Args:
        triton_dtype: the wire name, ``FP32``.
        buffer: exactly the tensor's bytes. Writable, because models may write to what ``as_numpy`` returns;
            the tensor keeps it alive.
    """
    tensor: Tensor = Tensor.__new__(Tensor)
    tensor._name = name
    tensor._datatype = triton_dtype
    tensor._shape = shape
    tensor._array = None
    tensor._buffer = buffer
    return tensor


def wire_buffer(tensor: Tensor) -> Tuple[str, Tuple[int, ...], memoryview]:
    """A tensor for the wire: datatype, shape, and little-endian row-major bytes.

    Numbers are not copied: the buffer is a view of the model's array, or what arrived, for an input that the
    model passes on.
    """
    array = tensor._array
    datatype = tensor._datatype
    buffer = tensor._buffer
    if buffer is not None and (array is None or datatype != "BYTES"):
        return datatype, tensor._shape, buffer
    assert array is not None
    if datatype == "BYTES":
        return datatype, tensor._shape, memoryview(serialize_byte_tensor(array))
    return datatype, tensor._shape, _array_bytes(array)


def _array_bytes(array: np.ndarray[Any, Any]) -> memoryview:
    try:
        return array.data.cast("B")
    except TypeError:  # memoryview casts no view that has a zero in its shape
        return _EMPTY if array.size == 0 else memoryview(array.tobytes())
