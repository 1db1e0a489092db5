"""The control tensors of a sequence model: START, READY, END and CORRID, made by the server for each row."""

from __future__ import annotations

import numpy as np

from tritium.core.model_config import SequenceBatching, SequenceControl
from tritium.core.request import SEQUENCE_END, SEQUENCE_START, InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import CONFIG_DATATYPES, DataType, Tensor
from tritium.errors import InvalidArgumentError

_NOBODY = ResponseStream(lambda response, final: None)

Pair = tuple[Tensor, Tensor]  # for no and for yes


class SequenceControls:
    """Makes the control tensors that ``batching`` names, with the shape [1,1] if the model batches, else [1].

    Args:
        model: its name, for the texts.
    """

    def __init__(self, batching: SequenceBatching, model: str, *, batches: bool) -> None:
        self._model = model
        self._shape = (1, 1) if batches else (1,)
        self._flags: list[tuple[int, Pair]] = []
        self._always: list[Tensor] = []
        self._never: list[Tensor] = []
        self._correlation: tuple[str, DataType] | None = None
        for control_input in batching.control_input:
            for control in control_input.control:
                self._read(control_input.name, control)

    def _read(self, name: str, control: SequenceControl) -> None:
        if control.kind == "CONTROL_SEQUENCE_CORRID":
            self._correlation = name, CONFIG_DATATYPES[control.data_type]
            return
        no, yes = self._pair(name, control)
        if control.kind == "CONTROL_SEQUENCE_READY":
            self._always.append(yes)
            self._never.append(no)
        else:
            flag = SEQUENCE_START if control.kind == "CONTROL_SEQUENCE_START" else SEQUENCE_END
            self._flags.append((flag, (no, yes)))
            self._never.append(no)

    def _pair(self, name: str, control: SequenceControl) -> Pair:
        if control.int32_false_true:
            values = np.array(control.int32_false_true, "<i4")
        elif control.fp32_false_true:
            values = np.array(control.fp32_false_true, "<f4")
        else:
            values = np.array(control.bool_false_true, "bool")
        no, yes = (Tensor.from_array(name, value.reshape(self._shape)) for value in values)
        return no, yes

    @property
    def sizes_vary(self) -> bool:
        """Whether a control tensor may have another size with each request: ids as strings."""
        return self._correlation is not None and self._correlation[1] is DataType.BYTES

    def check(self, correlation_id: int | str) -> None:
        """Refuse an id that the model could not be told.

        Raises:
            InvalidArgumentError: a string for a control that is a number.
        """
        if self._correlation is None or isinstance(correlation_id, int):
            return
        name, datatype = self._correlation
        if datatype is not DataType.BYTES:
            # Triton 2.51 gives the model a number that means nothing.
            raise InvalidArgumentError(
                f"inference request for sequence {correlation_id} to model '{self._model}': its control "
                f"'{name}' takes ids of type {datatype.value}, not strings; send a number as the sequence "
                "id, or give the control data_type: TYPE_STRING"
            )

    def tensors(self, correlation_id: int | str, flags: int) -> list[Tensor]:
        """The controls of a request; an id too wide for its control loses its upper bits, as in Triton."""
        made = [pair[bool(flags & flag)] for flag, pair in self._flags]
        made += self._always
        if self._correlation is not None:
            made.append(self._correlation_tensor(*self._correlation, correlation_id))
        return made

    def empty_row(self, like: InferenceRequest) -> InferenceRequest:
        """What stands in a slot whose sequence has nothing to run: zeros, and no flag set.

        Args:
            like: a request of the same batch, with its controls, whose shapes it takes.
        """
        controls = {tensor.name: tensor for tensor in self._never}
        if self._correlation is not None:
            name, datatype = self._correlation
            nothing: int | str = "" if datatype is DataType.BYTES else 0
            controls[name] = self._correlation_tensor(name, datatype, nothing)
        inputs = [controls.get(tensor.name) or _zeros(tensor) for tensor in like.inputs]
        outputs = like.requested_outputs
        return InferenceRequest(like.model_name, inputs, _NOBODY, requested_outputs=outputs, form=like.form)

    def _correlation_tensor(self, name: str, datatype: DataType, value: int | str) -> Tensor:
        if datatype is DataType.BYTES:
            raw = str(value).encode()
            return Tensor(name, datatype, self._shape, len(raw).to_bytes(4, "little") + raw)
        mask = (1 << 8 * datatype.itemsize) - 1
        return Tensor(name, datatype, self._shape, (int(value) & mask).to_bytes(datatype.itemsize, "little"))


def is_empty_row(request: InferenceRequest) -> bool:
    """Whether this is what ``empty_row`` made."""
    return request.stream is _NOBODY


def _zeros(tensor: Tensor) -> Tensor:
    """As ``tensor``, but all zeros or all empty strings."""
    size = len(tensor.buffer)
    if tensor.datatype is DataType.BYTES:
        size = 4 * int(np.prod(tensor.shape))
    return Tensor(tensor.name, tensor.datatype, tensor.shape, bytes(size))
