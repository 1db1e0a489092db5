"""Forms of ModelInfer messages: what clients repeat is read, checked and written once.

A client that sends one inference after another sends the same message but for its id, its parameters and the
bytes of its tensors. A message that may have a form is cut apart: its name and version, its id, the fields of
its parameters, and the rest, which has to be that of the form byte by byte between the tensors. What was
decoded and checked for the first message of a form holds for all. Likewise a reply is a known head, the id,
and the bytes of the outputs.

Only lengths of one byte are cut, and only fields in the order of their numbers, as clients write them: all
else has no form. So a cut is never elsewhere than where protobuf's own parser would make it.
"""

from __future__ import annotations

from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import Buffer, DataType
from tritium.protocol.grpc_infer import (
    RAW_OUTPUT_TAG,
    InferCall,
    decode_varint,
    encode_varint,
    final_parameter,
    output_head,
)
from tritium.protocol.grpc_options import read_parameter_fields
from tritium.protocol.request_form import MAX_FORM_BYTES, RequestForm, can_have_form
from tritium.protocol.request_options import KnownOptions, RequestOptions

_MAX_REPLIES = 64
# Fields of a request, all length-delimited.
_NAME_TAG = 0x0A
_VERSION_TAG = 0x12
_ID_TAG = 0x1A
_PARAMETER_TAG = 0x22
_INPUT_TAG = 0x2A
_OUTPUT_TAG = 0x32
_RAW_TAG = b"\x3a"
_MAX_FORMS = 256  # then the cache starts anew
_SHORT = 0x80  # lengths below this are one byte
_NO_OPTIONS = RequestOptions()

_FINAL = {final: final_parameter(final) for final in (False, True)}

OutputSpec = tuple[str, DataType, tuple[int, ...], int]
# Form, id, options, and where the rest of a message begins.
Known = tuple["GrpcForm", str, RequestOptions, int]


class GrpcForm:
    """One form of request, of a model that has checked it, and the heads of its replies.

    Args:
        described: the message from behind its parameters to the tag of the first tensor.
        tags: of each tensor, with its length.
    """

    __slots__ = ("_begin", "_described", "_form", "_replies", "_tags", "model")

    def __init__(self, model: Model, checked: InferenceRequest, described: bytes, tags: list[bytes]) -> None:
        self.model = model
        self._form = RequestForm(checked, [len(tag) for tag in tags])
        self._described = described + tags[0]
        self._begin = len(described)
        self._tags: list[tuple[int, bytes]] = []
        position = len(described)
        for tag, tensor in zip(tags, checked.inputs, strict=True):
            self._tags.append((position, tag))
            position += len(tag) + len(tensor.buffer)
        del self._tags[0]  # the first one is looked at with what describes them all
        self._replies: dict[tuple[OutputSpec, ...], tuple[bytes, list[bytes]]] = {}

    def describes(self, message: bytes, begin: int) -> bool:
        """Whether ``message``, which is as long as it should be, has this form from ``begin`` on."""
        if not message.startswith(self._described, begin):
            return False
        tags = self._tags
        return not tags or all(message.startswith(tag, begin + position) for position, tag in tags)

    def request(self, known: Known, message: Buffer, stream: ResponseStream) -> InferenceRequest:
        """The request of ``message``, which was found to be ``known``; its tensors are views of it."""
        _, identity, options, begin = known
        return self._form.request(
            memoryview(message), begin + self._begin, stream, identity=identity, options=options
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


class GrpcForms:
    """The forms that were seen, by name and version of the model and the length of the rest."""

    def __init__(self) -> None:
        self._forms: dict[tuple[bytes, int], GrpcForm] = {}
        self._options = KnownOptions(read_parameter_fields)

    def find(self, message: Buffer) -> Known | None:
        """The form of ``message``, if that was seen before, and what is its own."""
        if type(message) is not bytes:
            return None
        try:
            return self._find(message)
        except (IndexError, UnicodeDecodeError):  # cut short, or reading it anew says what is wrong with it
            return None

    def _find(self, message: bytes) -> Known | None:
        position = 2 + message[1]
        if message[position] == _VERSION_TAG:
            position += 2 + message[position + 1]
        head = message[:position]  # nothing is known of heads that were not cut where they end
        identity = ""
        if message[position] == _ID_TAG:
            size = message[position + 1]
            if size >= _SHORT:
                return None
            begin = position + 2
            position = begin + size
            identity = message[begin:position].decode()
        begin = position
        while message[position] == _PARAMETER_TAG:
            size = message[position + 1]
            if size >= _SHORT:
                return None
            position += 2 + size
        form = self._forms.get((head, len(message) - position))
        if form is None or not form.describes(message, position):
            return None
        if position == begin:
            return form, identity, _NO_OPTIONS, position
        options = self._options.read(message[begin:position])
        return None if options is None else (form, identity, options, position)

    def remember(self, infer: InferCall, request: InferenceRequest, model: Model, message: Buffer) -> None:
        """Keep the form of ``message``, which was read as ``infer`` and whose request the model has checked.

        There is none where it would not be sound or would not pay: tensors that are not raw and last in the
        message, strings, classification.
        """
        if type(message) is not bytes or infer.classes or not can_have_form(request):
            return
        tensors = request.inputs
        if len(infer.raw) != len(tensors):
            return
        tags = [_RAW_TAG + encode_varint(len(tensor.buffer)) for tensor in tensors]
        end = len(message) - sum(map(len, tags)) - sum(len(tensor.buffer) for tensor in tensors)
        head = _field(_NAME_TAG, infer.message.model_name) + _field(_VERSION_TAG, infer.message.model_version)
        identity = _field(_ID_TAG, infer.message.id)
        if not message.startswith(head + identity):
            return
        begin = _behind_parameters(message, len(head + identity))
        if not begin < end <= begin + MAX_FORM_BYTES or not _describes_tensors(message[begin:end]):
            return
        form = GrpcForm(model, request, message[begin:end], tags)
        if form.describes(message, begin):
            if len(self._forms) >= _MAX_FORMS:
                self._forms.clear()
            self._forms[head, len(message) - begin] = form


def _behind_parameters(message: bytes, position: int) -> int:
    """Where the parameters that begin at ``position``, if there are any, end; 0 where that is not simple."""
    while message[position : position + 1] == bytes([_PARAMETER_TAG]):
        size = message[position + 1]
        if size >= _SHORT:
            return 0
        position += 2 + size
    return position


def _describes_tensors(fields: bytes) -> bool:
    """Whether these are inputs and outputs, so that nothing in them overrules what stands before them."""
    view, position = memoryview(fields), 0
    while position < len(fields):
        if fields[position] not in (_INPUT_TAG, _OUTPUT_TAG):
            return False
        size, position = decode_varint(view, position + 1)
        position += size
    return position == len(fields)


def _field(tag: int, text: str) -> bytes:
    """A string field; nothing for an empty one, as protobuf writes it."""
    encoded = text.encode()
    return bytes([tag]) + encode_varint(len(encoded)) + encoded if encoded else b""
