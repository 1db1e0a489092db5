"""A model that does a step of an ensemble, and the requests that it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tritium.core.model import Model
from tritium.core.request import ExecutionObserver, InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import DataType, Tensor

_FORMS = 256  # that are remembered; then they are checked anew


class _StepForm:
    """What is known of a step's requests that are alike in all but the bytes of their tensors."""

    __slots__ = ("batch_size", "shapes")

    def __init__(self, checked: InferenceRequest) -> None:
        self.batch_size = checked.batch_size
        self.shapes = [tensor.shape for tensor in checked.inputs]  # as the model sees them


class EnsembleMember:
    """Who does a step.

    Args:
        inputs: the model's input, the ensemble tensor that it gets, and the rank that the model expects.
        outputs: the ensemble tensor, and the model's output that becomes it.
        waits: whether the model may be made to wait while more answers are made than can be worked off.
    """

    __slots__ = ("_forms", "_inputs", "_name", "_requested", "model", "outputs", "waits")

    def __init__(
        self,
        model: Model,
        inputs: Sequence[tuple[str, str, int]],
        outputs: Sequence[tuple[str, str]],
        waits: bool = True,
    ) -> None:
        self.model = model
        self.outputs = tuple(outputs)
        self.waits = waits
        self._name = model.config.name
        self._inputs = tuple(inputs)
        self._requested = tuple(output for _, output in outputs)
        self._forms: dict[tuple[object, ...], _StepForm] = {}

    def request(
        self,
        tensors: Mapping[str, Tensor | None],
        parent: InferenceRequest,
        stream: ResponseStream,
        observer: ExecutionObserver,
    ) -> InferenceRequest:
        """A step's request, checked by the model, with the options of the ensemble's.

        Args:
            tensors: by ensemble tensor; their buffers are passed on.

        Raises:
            InvalidArgumentError: the model does not take such tensors.
        """
        inputs = []
        for name, source, rank in self._inputs:
            tensor = tensors[source]
            if tensor is not None:
                inputs.append(Tensor(name, tensor.datatype, with_rank(tensor.shape, rank), tensor.buffer))
        request = InferenceRequest(
            self._name,
            inputs,
            stream,
            None,
            parent.id,
            self._requested,
            parent.parameters,
            parent.correlation_id,
            parent.flags,
            parent.priority,
            parent.timeout_us,
            observer=observer,
        )
        if parent.form is None:
            self.model.check(request)
        else:
            self._check_form(request, parent.form)
        return request

    def _check_form(self, request: InferenceRequest, parent: object) -> None:
        """Check a request whose parent is like others, and know it again: models know such requests too."""
        inputs = request.inputs
        key = (parent, *[(t.name, id(t.datatype), t.shape, len(t.buffer)) for t in inputs])
        form = self._forms.get(key)
        if form is None:
            self.model.check(request)
            if any(tensor.datatype is DataType.BYTES for tensor in inputs):
                return  # their elements need a look each time
            if len(self._forms) >= _FORMS:
                self._forms.clear()
            form = self._forms[key] = _StepForm(request)
        else:
            request.batch_size = form.batch_size
            for tensor, shape in zip(inputs, form.shapes, strict=True):
                tensor.shape = shape
        request.form = form


def with_rank(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """A batch of one where there was no batch dimension, or the row of such a batch; else as it is."""
    missing = rank - len(shape)
    if missing == 1:
        return (1, *shape)
    if missing == -1 and shape[0] == 1:
        return shape[1:]
    return shape
