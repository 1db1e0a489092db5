"""From the response of a model to the reply of an inference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tritium.core.model import Model
from tritium.core.response import InferenceResponse
from tritium.core.tensor import Buffer
from tritium.frontends.coding import deflate
from tritium.frontends.http.exchange import BINARY, JSON, TEXT, Exchange
from tritium.frontends.http.replies import respond_error
from tritium.protocol.json_codec import ResponseFormat, encode_infer_response
from tritium.protocol.json_forms import JsonForm

Own = Callable[[Coroutine[Any, Any, None]], None]  # runs a slow path to its end
Described = tuple[tuple[object, ...], ...]
ReplyForm = tuple[int, Described, Described | None]  # bytes of the id, outputs, parameters

# From here on a body is read, and a reply written, in a thread: a megabyte of JSON takes about 10 ms.
OFF_LOOP_BYTES = 1 << 20
_MAX_REPLY_FORMS = 64
_ID_BEFORE = b'{"id":"'
_ALL_DEFAULT = ResponseFormat()


class InferReply:
    """Takes the response of one inference.

    Args:
        coding: the content coding that the client prefers, None for identity.
        known: set for a request of a known form, whose reply's head may be known too.
    """

    __slots__ = ("_coding", "_exchange", "_model", "_own", "format", "known", "request_id")

    def __init__(self, exchange: Exchange, model: Model, coding: str | None, own: Own) -> None:
        self._exchange = exchange
        self._model = model
        self._coding = coding
        self._own = own
        self.format = _ALL_DEFAULT
        self.request_id = ""
        self.known: JsonForm | None = None

    def on_response(self, response: InferenceResponse, final: bool) -> None:
        """The model answered."""
        try:
            form = self._form(response)
            if form is not None and self.known is not None:
                around = self.known.replies.get(form)
                if around is not None:
                    rendered = around[0] + self.request_id.encode() + around[1]
                    self._exchange.respond_again(rendered, [tensor.buffer for tensor in response.outputs])
                    return
            if response.error is None and (self._coding is not None or self._large(response)):
                self._own(self._send_off_loop(response))
                return
            document, binary = self._encode(response)
            head = self._send(document, binary)
            if form is not None and self._all_binary(response):
                self._remember(form, head, document)
        except Exception as error:
            respond_error(self._exchange, error, TEXT)

    def _form(self, response: InferenceResponse) -> ReplyForm | None:
        """What decides the head of the reply, if it can be known."""
        if self.known is None or response.error is not None or not self._exchange.keep_alive:
            return None
        if self._coding is not None or self._exchange.head.http_1_0:
            return None
        outputs = tuple([(t.name, t.datatype, t.shape, len(t.buffer)) for t in response.outputs])
        if response.parameters is None:
            return len(self.request_id.encode()), outputs, None
        # With their types: 1 and true are the same to a dict, 0.0 and -0.0 even then.
        given = tuple([(name, value, value.__class__) for name, value in response.parameters.items()])
        if float in [kind for _, _, kind in given]:
            return None
        return len(self.request_id.encode()), outputs, given

    def _remember(self, form: ReplyForm, head: bytes, document: bytes) -> None:
        """Keep what stands around the id, which is the first thing in a document, if it stands as it is."""
        identity = self.request_id.encode()
        before = _ID_BEFORE if identity else b""
        if self.known is None or not document.startswith(before + identity):
            return
        replies = self.known.replies
        if len(replies) >= _MAX_REPLY_FORMS:
            replies.clear()
        replies[form] = head + before, document[len(before) + len(identity) :]

    def _encode(self, response: InferenceResponse) -> tuple[bytes, list[Buffer]]:
        return encode_infer_response(
            response,
            self.format,
            request_id=self.request_id,
            config=self._model.config,
            version=self._model.version,
            labels=self._model.labels,
        )

    def _send(self, document: bytes, binary: list[Buffer]) -> bytes:
        extra, kind = _described(document, binary)
        return self._exchange.respond(200, [document, *binary], content_type=kind, extra=extra)

    async def _send_off_loop(self, response: InferenceResponse) -> None:
        """Encode, and compress if that is wanted, in a thread."""
        try:
            document, binary = await asyncio.to_thread(self._encode, response)
            if self._coding is None:
                self._send(document, binary)
                return
            extra, kind = _described(document, binary)
            encoded = await asyncio.to_thread(deflate, [document, *binary], self._coding)
            extra += b"Content-Encoding: %b\r\n" % self._coding.encode()
            self._exchange.respond(200, encoded, content_type=kind, extra=extra)
        except Exception as error:
            respond_error(self._exchange, error, TEXT)

    def _large(self, response: InferenceResponse) -> bool:
        """There is much to write as JSON, or to sort into classes."""
        size = 0
        for tensor in response.outputs:
            if tensor.name in self.format.classes or not self._binary(tensor.name):
                size += len(tensor.buffer)
        return size > OFF_LOOP_BYTES

    def _all_binary(self, response: InferenceResponse) -> bool:
        """The reply's bytes are its head and the outputs' buffers, nothing else."""
        return not self.format.classes and all(
            len(t.buffer) and self._binary(t.name) for t in response.outputs
        )

    def _binary(self, name: str) -> bool:
        return self.format.binary.get(name, self.format.binary_default)


def _described(document: bytes, binary: list[Buffer]) -> tuple[bytes, bytes]:
    """Header lines and content type of a reply."""
    if binary:
        return b"Inference-Header-Content-Length: %d\r\n" % len(document), BINARY
    return b"", JSON
