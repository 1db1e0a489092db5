"""Forms of the JSON before binary tensors: what clients repeat is read and checked once.

A client that sends one inference after another sends the same JSON but for its id and its parameters. A
document of a known form is the known one with another text between the quotes of the id, and another object
as the parameters. That it then means the same, but for these two, was tried when the form was made.
"""

from __future__ import annotations

import re

import msgspec

from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.core.tensor import Buffer
from tritium.errors import InvalidArgumentError
from tritium.protocol.json_codec import ResponseFormat, read_options
from tritium.protocol.json_document import InferDocument, Scalar
from tritium.protocol.request_form import MAX_FORM_BYTES, RequestForm, can_have_form
from tritium.protocol.request_options import KnownOptions, RequestOptions

_MAX_FORMS = 256  # then the cache starts anew
# Texts that need no unescaping, and objects of scalars with only such strings.
_PLAIN = rb'[^"\\\x00-\x1f]*+'
_FLAT = rb'\{[^{}"\\]*+(?:"[^"\\]*+"[^{}"\\]*+)*+\}'
_OPTIONS = re.compile(_FLAT)
_ID_MEMBER = re.compile(rb'"id"\s*:\s*"(%b)"' % _PLAIN)
_OPTIONS_MEMBER = re.compile(rb'"parameters"\s*:\s*(%b)' % _FLAT)

_decode = msgspec.json.Decoder(InferDocument).decode
_decode_parameters = msgspec.json.Decoder(dict[str, Scalar]).decode

Span = tuple[int, int]


class JsonForm:
    """One form of document, of a model that has checked what came with it.

    Attributes:
        document: the first one of this form; ``identity`` and ``options`` are what it says itself.
        form: of the requests.
        format: of the replies.
        size: bytes of the tensors behind the document.
        request: makes one, see ``RequestForm.request``.
        replies: for whoever writes them: what stands before and behind the id, by what decides it.
    """

    __slots__ = (
        "_fixed",
        "_holes",
        "document",
        "form",
        "format",
        "identity",
        "model",
        "options",
        "replies",
        "request",
        "size",
    )

    def __init__(
        self,
        document: bytes,
        model: Model,
        checked: InferenceRequest,
        options: RequestOptions,
        response_format: ResponseFormat,
    ) -> None:
        self.form = form = RequestForm(checked)
        self.document = document
        self.model = model
        self.identity = checked.id
        self.options = options
        self.format = response_format
        self.size = form.size
        self.request = form.request
        self.replies: dict[object, tuple[bytes, bytes]] = {}
        identity, parameters = variable_parts(document)
        spans = sorted(span for span in (identity, parameters) if span is not None)
        self._holes = [span == identity for span in spans]  # true for the id's, false for the parameters'
        edges = [0, *(edge for span in spans for edge in span), len(document)]
        self._fixed = [document[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2)]

    def read(self, document: bytes, known: KnownOptions) -> tuple[str, RequestOptions] | None:
        """Id and options of ``document``; None if it has another form, or cannot be read."""
        identity, options = self.identity, self.options
        position = 0
        fixed = self._fixed
        for index, is_identity in enumerate(self._holes):
            if not document.startswith(fixed[index], position):
                return None
            begin = position + len(fixed[index])
            if is_identity:
                position = document.find(b'"', begin)
                text = _plain(document[begin:position]) if position >= 0 else None
                if text is None:
                    return None
                identity = text
            else:
                found = _OPTIONS.match(document, begin)
                if found is None:
                    return None
                position = found.end()
                read = known.read(document[begin:position])
                if read is None or read.binary_data_output is not self.format.binary_default:
                    return None
                options = read
        return (identity, options) if document[position:] == fixed[-1] else None


class JsonForms:
    """The forms that were seen, for all clients.

    Attributes:
        options: of documents of any form.
    """

    def __init__(self) -> None:
        self._forms: dict[tuple[str, int | None, int], JsonForm] = {}
        self.options = KnownOptions(_read_options)

    def find(self, name: str, version: int | None, size: int) -> JsonForm | None:
        """The last form with ``size`` bytes of tensors, for a model that is asked for so."""
        return self._forms.get((name, version, size))

    def remember(
        self,
        document: Buffer,
        size: int,
        model: Model,
        checked: InferenceRequest,
        response_format: ResponseFormat,
    ) -> JsonForm | None:
        """Keep the form of a document; None if it has none, for strings, or tensors that came as JSON.

        Args:
            size: bytes behind it.
            checked: what was read of it; the model accepts it.
        """
        if len(document) > MAX_FORM_BYTES or not can_have_form(checked):
            return None
        if sum(len(tensor.buffer) for tensor in checked.inputs) != size:
            return None
        form = JsonForm(
            bytes(document), model, checked, _options_of(checked, response_format), response_format
        )
        if len(self._forms) >= _MAX_FORMS:
            self._forms.clear()
        self._forms[checked.model_name, checked.model_version, size] = form
        return form


def variable_parts(document: bytes) -> tuple[Span | None, Span | None]:
    """Where the text of the id and the object of the parameters stand, if they can be replaced.

    What is found is tried: with others in their places the document has to mean the same but for them. So
    the text is a string's whole content, the object a whole value, and nothing behind overrules them.
    """
    try:
        meant = _decode(document)
        found = _ID_MEMBER.search(document)
        identity = found.span(1) if found is not None else None
        parameters = _parameters_span(document, meant.parameters)
        other_id, other_parameters = meant.id, meant.parameters
        changed = document
        for span in sorted(filter(None, (identity, parameters)), reverse=True):
            if span == identity:
                other_id = "?" if meant.id != "?" else "!"
                text = other_id.encode()
            else:
                other_parameters = {"?": 0} if meant.parameters != {"?": 0} else {"!": 0}
                text = msgspec.json.encode(other_parameters)
            changed = changed[: span[0]] + text + changed[span[1] :]
        expected = msgspec.structs.replace(meant, id=other_id, parameters=other_parameters)
        return (identity, parameters) if _decode(changed) == expected else (None, None)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None, None


def _parameters_span(document: bytes, meant: dict[str, Scalar]) -> Span | None:
    """Where an object stands that may be the document's own parameters: clients write them first or last."""
    found = [match.span(1) for match in _OPTIONS_MEMBER.finditer(document)]
    for begin, end in (*found[:1], *found[1:][-1:]):
        if _decode_parameters(document[begin:end]) == meant:
            return begin, end
    return None


def _plain(text: bytes) -> str | None:
    """What a string with this content means; None if it has to be looked at more closely."""
    if b"\\" in text:
        return None
    try:
        decoded = text.decode()
    except UnicodeDecodeError:  # reading it anew says what is wrong with it
        return None
    return decoded if not decoded or decoded.isprintable() else None


def _read_options(text: bytes) -> RequestOptions:
    try:
        return read_options(_decode_parameters(text))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidArgumentError("the parameters are not an object of scalars") from error


def _options_of(request: InferenceRequest, response_format: ResponseFormat) -> RequestOptions:
    return RequestOptions(
        request.parameters,
        request.correlation_id,
        request.flags,
        request.priority,
        request.timeout_us,
        response_format.binary_default,
    )
