"""Requests and responses of the core as parts of worker frames, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tritium.core.interfaces import Outcome
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import DATATYPES, DataType, Tensor
from tritium.errors import ErrorCode, InternalError, error_of
from tritium.execution.worker import Worker
from tritium.worker_root.tritium_worker import frames
from tritium.worker_root.tritium_worker.arena import THRESHOLD_BYTES
from tritium.worker_root.tritium_worker.frames import INLINE, Buffer, Part, PartView

_CACHE_ENTRIES = 1024  # forms of requests and responses that are remembered; then the cache starts anew
_NO_TENSORS = b"[[],[]]"
_encode = msgspec.json.Encoder().encode

TensorSpec = tuple[str, DataType, tuple[int, ...], int]


@dataclass(slots=True, eq=False)
class CallForm:
    """What the calls of one model have in common that differ only in the bytes of their tensors."""

    specs: list[TensorSpec]
    requested: tuple[str, ...]
    meta: dict[str, Any]


class _Meta(msgspec.Struct, omit_defaults=True):
    id: str = ""
    parameters: dict[str, Any] | None = None
    correlation_id: int | str = 0
    flags: int = 0
    timeout_us: int = 0
    priority: int = 0


class WireCodec:
    """Remembers what the forms of requests and responses look like in bytes."""

    def __init__(self) -> None:
        self._declared_outputs: tuple[str, ...] = ()
        self._forms: dict[object, tuple[bytes, bool]] = {}
        self._parsed: dict[bytes, list[TensorSpec]] = {}
        self._calls: dict[tuple[bytes, bytes], CallForm] = {}
        self._replies: dict[tuple[TensorSpec, ...], bytes] = {}

    def declare_outputs(self, names: tuple[str, ...]) -> None:
        """The outputs that a request gets which names none."""
        self._declared_outputs = names

    def encode(self, request: InferenceRequest, worker: Worker, slot: int) -> Part:
        """The part of an EXECUTE frame for ``request``; large tensors go to the worker's input arena."""
        known = self._forms.get(request.form) if request.form is not None else None
        if known is None:
            known = self._remember(request)
        spec, large = known
        meta = _meta(request)
        if not large:
            return spec, meta, (), [tensor.buffer for tensor in request.inputs], slot
        places, inline = _place(request.inputs, worker)
        return spec, meta, places, inline, slot

    def _remember(self, request: InferenceRequest) -> tuple[bytes, bool]:
        """Spec, and whether there are large tensors; kept if the request has a form."""
        tensors = [(t.name, t.datatype.value, t.shape, len(t.buffer)) for t in request.inputs]
        spec = _encode((tensors, request.requested_outputs or self._declared_outputs))
        large = any(len(t.buffer) >= THRESHOLD_BYTES for t in request.inputs)
        known = spec, large
        if request.form is not None:
            if len(self._forms) >= _CACHE_ENTRIES:
                self._forms.clear()
            self._forms[request.form] = known
        return known

    def decode_result(self, body: memoryview, worker: Worker) -> Outcome:
        """A RESULT frame behind its BATCH; ``delivered`` are the requests that senders answer."""
        _, count = frames.BATCH.unpack_from(body)
        times = frames.TIMES.unpack_from(body, frames.BATCH.size)
        parts = frames.decode_parts(body, frames.BATCH.size + frames.TIMES.size, count)
        responses, states = [], 0
        for part in parts:
            responses.append(self.decode(part, worker))
            states |= part[4]
        outcome = Outcome(responses, *times)
        if states:
            outcome.delivered = frozenset(i for i, part in enumerate(parts) if part[4] == frames.OPEN)
            outcome.again = frozenset(i for i, part in enumerate(parts) if part[4] == frames.AGAIN)
        return outcome

    def decode_response(self, body: memoryview, worker: Worker) -> tuple[InferenceResponse, bool]:
        """What a RESPONSE frame carries, and whether it is the last one for its request."""
        _, _, flags = frames.SENT.unpack_from(body)
        final = bool(flags & frames.FINAL)
        if flags & frames.EMPTY:
            return InferenceResponse(empty=True), final
        (part,) = frames.decode_parts(body, frames.SENT.size, 1)
        return self.decode(part, worker), final

    def encode_response(self, response: InferenceResponse, worker: Worker) -> Part:
        """The part of a REPLY frame: what another model answered to the model in ``worker``."""
        if response.error is not None:
            code = min(response.error.code, ErrorCode.CANCELLED)  # what is beyond has no name in Triton's API
            return _NO_TENSORS, _encode({"error": [int(code), str(response.error)]}), (), (), 0
        key = tuple([(t.name, t.datatype, t.shape, len(t.buffer)) for t in response.outputs])
        spec = self._replies.get(key)
        if spec is None:
            if len(self._replies) >= _CACHE_ENTRIES:
                self._replies.clear()
            spec = self._replies[key] = _encode(
                ([(n, d.value, shape, size) for n, d, shape, size in key], ())
            )
        meta = _encode({"parameters": response.parameters}) if response.parameters else b""
        places, inline = _place(response.outputs, worker)
        return spec, meta, places, inline, 0

    def decode_call(
        self, part: PartView, worker: Worker, stream: ResponseStream
    ) -> tuple[InferenceRequest, bool]:
        """A request to another model from the part of a CALL frame, and whether it takes many responses."""
        spec, meta_bytes, places, inline, _ = part
        known = self._calls.get((spec, meta_bytes))
        if known is None:
            known = self._remember_call(spec, meta_bytes)
        meta = known.meta
        request = InferenceRequest(
            meta["model"],
            _tensors(known.specs, places, inline, worker),
            stream,
            meta["version"] if meta["version"] > 0 else None,
            meta.get("id", ""),
            known.requested,
            dict(meta.get("parameters", ())),
            meta.get("correlation_id", 0),
            meta.get("flags", 0),
            priority=meta.get("priority", 0),
            timeout_us=meta.get("timeout_us", 0),
            form=known,
        )
        return request, meta["decoupled"]

    def _remember_call(self, spec: bytes, meta_bytes: bytes) -> CallForm:
        tensors, requested = msgspec.json.decode(spec)
        specs = [(n, DATATYPES[d], tuple(shape), nbytes) for n, d, shape, nbytes in tensors]
        if len(self._calls) >= _CACHE_ENTRIES:
            self._calls.clear()
        known = CallForm(specs, tuple(requested), msgspec.json.decode(meta_bytes))
        self._calls[spec, meta_bytes] = known
        return known

    def decode(self, part: PartView, worker: Worker) -> InferenceResponse:
        """A response from a part of a RESULT frame; its tensors are views of the frame or of the arena."""
        spec, meta_bytes, places, inline, _ = part
        parameters = None
        if meta_bytes:
            meta = msgspec.json.decode(meta_bytes)
            if "error" in meta:
                return InferenceResponse(error=error_of(*meta["error"]))
            parameters = meta.get("parameters")
        specs = self._parsed.get(spec)
        if specs is None:
            specs = self._parse(spec)
        return InferenceResponse(_tensors(specs, places, inline, worker), None, parameters)

    def _parse(self, spec: bytes) -> list[TensorSpec]:
        if len(self._parsed) >= _CACHE_ENTRIES:
            self._parsed.clear()
        tensors, _ = msgspec.json.decode(spec)
        parsed = self._parsed[spec] = [
            (n, DATATYPES[d], tuple(shape), nbytes) for n, d, shape, nbytes in tensors
        ]
        return parsed


def _place(tensors: Sequence[Tensor], worker: Worker) -> tuple[tuple[int, ...], list[Buffer]]:
    """Where each tensor is in the worker's input arena, INLINE for the rest; and the rest."""
    inline: list[Buffer] = []
    places: list[int] = []
    for tensor in tensors:
        place = None
        if len(tensor.buffer) >= THRESHOLD_BYTES and worker.inputs is not None:
            place = worker.inputs.place(memoryview(tensor.buffer))
        if place is None:
            inline.append(tensor.buffer)
            place = INLINE
        places.append(place)
    return () if len(inline) == len(places) else tuple(places), inline


def _tensors(
    specs: Sequence[TensorSpec], places: Sequence[int], inline: memoryview, worker: Worker
) -> list[Tensor]:
    """Views of a frame and of the worker's output arena.

    Raises:
        InternalError: the worker has no arena.
    """
    tensors = []
    position = 0
    for index, (name, datatype, shape, nbytes) in enumerate(specs):
        if places and places[index] != INLINE:
            if worker.outputs is None:
                raise InternalError(
                    f"worker '{worker.name}' placed a tensor in shared memory that it has not"
                )
            buffer = worker.outputs.view(places[index], nbytes)
        else:
            buffer = inline[position : position + nbytes]
            position += nbytes
        tensors.append(Tensor(name, datatype, shape, buffer))
    return tensors


def _meta(request: InferenceRequest) -> bytes:
    """What a model can see of a request beside its tensors; empty when it is all default."""
    identity, parameters = request.id, request.parameters
    correlation_id, flags = request.correlation_id, request.flags
    timeout_us, priority = request.timeout_us, request.priority
    if not (identity or correlation_id or flags or parameters or timeout_us or priority):
        return b""
    return _encode(_Meta(identity, parameters or None, correlation_id, flags, timeout_us, priority))
