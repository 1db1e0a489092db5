"""Forms of ModelInfer messages: what clients repeat is read, checked and written once.

A client that sends one inference after another sends the same message but for its id and the bytes of its
tensors. Messages of a known form are cut apart by comparing bytes; what was decoded and checked for the first
of them holds for all. Likewise a reply is a known head, the id, and the bytes of the outputs.
"""

from __future__ import annotations

from dataclasses import replace

from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import Buffer, DataType, Tensor
from tritium.protocol.grpc_infer import RAW_OUTPUT_TAG, InferCall, encode_varint, final_parameter, output_head

MAX_FORM_BYTES = 4096  # of what is compared; a longer head is read each time
_MAX_REPLIES = 64
_ID_TAG = 0x1A  # field 3 of both messages, length-delimited
_NAME_TAG = 0x0A  # field 1 of a request
_MAX_FORMS = 256  # models; then the cache starts anew
_SHORT = 0x80  # lengths below this are one byte

_FINAL = {final: final_parameter(final) for final in (False, True)}

OutputSpec = tuple[str, DataType, tuple[int, ...], int]


class GrpcForm:
    """One form of request, of a model that has checked it, and the heads of its replies."""

    __slots__ = (
        "_batch_size",
        "_head",
        "_pattern",
        "_pieces",
        "_replies",
        "_rest",
        "_size",
        "_tensors",
        "model",
        "wants_empty_final",
    )

    def __init__(
        self,
        model: Model,
        pattern: InferenceRequest,
        head: bytes,
        rest: bytes,
        pieces: list[bytes],
        size: int,
    ) -> None:
        self.model = model
        self.wants_empty_final = False
        self._pattern = pattern
        self._head = head  # up to the id
        self._rest = rest  # from behind the id to the first tensor
        self._pieces = pieces  # between the tensors
        self._size = size  # behind the id
        self._tensors = [(t.name, t.datatype, t.shape, len(t.buffer)) for t in pattern.inputs]
        self._replies: dict[tuple[OutputSpec, ...], tuple[bytes, list[bytes]]] = {}
        pattern.inputs = []

    def request(self, message: bytes, stream: ResponseStream) -> InferenceRequest | None:
        """The request of ``message``, if that has this form; its tensors are views of it."""
        position = len(self._head)
        if not message.startswith(self._head) or len(message) <= position + 2:
            return None
        identity = ""
        if message[position] == _ID_TAG:
            length = message[position + 1]
            if length >= _SHORT:
                return None
            end = position + 2 + length
            try:
                identity = message[position + 2 : end].decode()
            except UnicodeDecodeError:
                return None  # reading it anew says what is wrong with it
            position = end
        if len(message) - position != self._size or not message.startswith(self._rest, position):
            return None
        position += len(self._rest)
        view = memoryview(message)
        inputs = []
        for index, (name, datatype, shape, nbytes) in enumerate(self._tensors):
            if index:
                piece = self._pieces[index - 1]
                if not message.startswith(piece, position):
                    return None
                position += len(piece)
            inputs.append(Tensor(name, datatype, shape, view[position : position + nbytes]))
            position += nbytes
        p = self._pattern
        return InferenceRequest(
            p.model_name,
            inputs,
            stream,
            p.model_version,
            identity,
            p.requested_outputs,
            p.parameters,
            p.correlation_id,
            p.flags,
            p.priority,
            p.timeout_us,
            p.batch_size,
            0,
            self,
        )

    def reply(
        self, response: InferenceResponse, identity: str, final: bool | None = None
    ) -> list[Buffer] | None:
        """The pieces of a ModelInferResponse; None for one that is not simple.

        Args:
            final: the value of ``triton_final_response``, which stream responses carry.
        """
        if response.error is not None or response.parameters or response.empty:
            return None
        key = tuple([(t.name, t.datatype, t.shape, len(t.buffer)) for t in response.outputs])
        known = self._replies.get(key)
        if known is None:
            known = self._remember(key)
        head, outputs = known
        if identity:
            encoded = identity.encode()
            head = b"%b\x1a%b%b" % (head, encode_varint(len(encoded)), encoded)
        pieces: list[Buffer] = [head if final is None else head + _FINAL[final]]
        for tag, tensor in zip(outputs, response.outputs, strict=True):
            pieces.append(tag)
            pieces.append(tensor.buffer)
        return pieces

    def _remember(self, key: tuple[OutputSpec, ...]) -> tuple[bytes, list[bytes]]:
        if len(self._replies) >= _MAX_REPLIES:
            self._replies.clear()
        model = self.model
        head, fields = output_head(model.config.name, model.version, [spec[:3] for spec in key])
        tags = [RAW_OUTPUT_TAG + encode_varint(nbytes) for *_, nbytes in key]
        if tags:
            tags[0] = fields + tags[0]
        else:
            head += fields
        known = self._replies[key] = head, tags
        return known


def form_of(infer: InferCall, request: InferenceRequest, model: Model, message: bytes) -> GrpcForm | None:
    """The form of ``message``, which was read as ``infer`` and whose request the model has checked.

    None where a form would not be sound or would not pay: tensors that are not raw and last in the message,
    strings (each element needs a look), sequences, classification.
    """
    tensors = request.inputs
    if not tensors or len(infer.raw) != len(tensors) or infer.classes or request.correlation_id:
        return None
    if any(tensor.datatype is DataType.BYTES for tensor in tensors):
        return None
    pieces = [b"\x3a" + encode_varint(len(tensor.buffer)) for tensor in tensors]
    tail = sum(map(len, pieces)) + sum(len(tensor.buffer) for tensor in tensors)
    fixed = len(message) - tail
    head = _field(1, infer.message.model_name) + _field(2, infer.message.model_version)
    identity = _field(3, infer.message.id)
    if not 0 < fixed <= MAX_FORM_BYTES or not message.startswith(head + identity):
        return None
    begin = len(head) + len(identity)
    rest = message[begin:fixed] + pieces[0]
    position = fixed
    for piece, tensor in zip(pieces, tensors, strict=True):
        if not message.startswith(piece, position):
            return None
        position += len(piece) + len(tensor.buffer)
    pattern = replace(request, inputs=[*tensors], stream=_NOBODY, id="")
    form = GrpcForm(model, pattern, head, rest, pieces[1:], len(message) - begin)
    form.wants_empty_final = infer.wants_empty_final
    return form


class GrpcForms:
    """The form of the last message for each model."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, GrpcForm] = {}

    def of(self, message: Buffer) -> GrpcForm | None:
        """The form that ``message`` may have, found by the name of its model."""
        if type(message) is not bytes or len(message) < 3 or message[0] != _NAME_TAG:
            return None
        return self._by_name.get(message[2 : 2 + message[1]])

    def remember(self, infer: InferCall, request: InferenceRequest, model: Model, message: Buffer) -> None:
        """Keep the form of a message that was read and checked, if it has one."""
        if type(message) is not bytes:
            return
        form = form_of(infer, request, model, message)
        if form is not None:
            if len(self._by_name) >= _MAX_FORMS:
                self._by_name.clear()
            self._by_name[infer.message.model_name.encode()] = form


_NOBODY = ResponseStream(lambda response, final: None)


def _field(number: int, text: str) -> bytes:
    """A string field; nothing for an empty one, as protobuf writes it."""
    if not text:
        return b""
    encoded = text.encode()
    return bytes([number << 3 | 2]) + encode_varint(len(encoded)) + encoded
