"""From the responses of a model to the reply of a generation: one JSON document, or a stream of events."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from tritium.core.model import Model
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.errors import TritiumError
from tritium.frontends.http.exchange import EVENT_STREAM, JSON, Exchange
from tritium.frontends.http.infer_reply import OFF_LOOP_BYTES, Own
from tritium.frontends.http.replies import as_tritium_error, extra_headers, respond_error
from tritium.protocol.generate_codec import (
    NOT_ONE_RESPONSE,
    encode_error_event,
    encode_event,
    encode_generate_response,
)
from tritium.protocol.json_codec import encode_error
from tritium.protocol.status import status_of


@dataclass(slots=True)
class GenerateContext:
    """What a reply has to know of its request. ``stream`` is set before the request runs."""

    exchange: Exchange
    model: Model
    own: Own
    request_id: str = ""
    stream: ResponseStream | None = None

    def encode(self, response: InferenceResponse) -> bytes | TritiumError:
        """The JSON of ``response``, nothing for an empty one, or its error, or why it cannot be written."""
        if response.empty:
            return b""
        try:
            return encode_generate_response(
                response,
                request_id=self.request_id,
                model_name=self.model.config.name,
                version=self.model.version,
            )
        except Exception as error:
            return as_tritium_error(error)


def _large(response: InferenceResponse) -> bool:
    return sum(len(tensor.buffer) for tensor in response.outputs) > OFF_LOOP_BYTES


class SingleReply:
    """The reply of ``generate``: the one response that the model is to give."""

    __slots__ = ("_context", "_first")

    def __init__(self, context: GenerateContext) -> None:
        self._context = context
        self._first: InferenceResponse | None = None

    def on_response(self, response: InferenceResponse, final: bool) -> None:
        """The model answered; with the final answer it is known whether there was one."""
        if not response.empty and self._first is not None:
            self._refuse()
            if self._context.stream is not None:
                self._context.stream.cancel()  # nobody will hear the others
            return
        if not response.empty:
            self._first = response
        if not final:
            return
        if self._first is None:
            self._refuse()
        elif _large(self._first):
            self._context.own(self._send_off_loop(self._first))
        else:
            self._send(self._context.encode(self._first))

    def _refuse(self) -> None:
        # 200 as Triton: the status is that of the model's first response.
        self._context.exchange.respond(200, [encode_error(NOT_ONE_RESPONSE)], content_type=JSON)

    async def _send_off_loop(self, response: InferenceResponse) -> None:
        self._send(await asyncio.to_thread(self._context.encode, response))

    def _send(self, encoded: bytes | TritiumError) -> None:
        if isinstance(encoded, TritiumError):
            respond_error(self._context.exchange, encoded, JSON)
        else:
            self._context.exchange.respond(200, [encoded], content_type=JSON)


class EventStreamReply:
    """The reply of ``generate_stream``: an event for each response. The first decides the status.

    Responses that are so large that a thread encodes them keep their place among the others.
    """

    __slots__ = ("_begun", "_context", "_waiting")

    def __init__(self, context: GenerateContext) -> None:
        self._context = context
        self._begun = False
        self._waiting: deque[tuple[InferenceResponse, bool]] = deque()

    def on_response(self, response: InferenceResponse, final: bool) -> None:
        """The model answered."""
        if self._waiting or _large(response):
            self._waiting.append((response, final))
            if len(self._waiting) == 1:
                self._context.own(self._encode_waiting())
            return
        self._deliver(self._context.encode(response), final)

    async def _encode_waiting(self) -> None:
        while self._waiting:
            response, final = self._waiting[0]
            encoded = await asyncio.to_thread(self._context.encode, response)
            self._waiting.popleft()
            self._deliver(encoded, final)

    def _deliver(self, encoded: bytes | TritiumError, final: bool) -> None:
        """Send an event, if there is anything to say, and the end after the last."""
        exchange = self._context.exchange
        status, extra, event = 200, b"", b""
        if isinstance(encoded, TritiumError):
            status, extra, event = (
                status_of(encoded).http,
                extra_headers(encoded),
                encode_error_event(encoded),
            )
        elif encoded:
            event = encode_event(encoded)
        if not self._begun:
            self._begun = True
            exchange.begin(status, content_type=EVENT_STREAM, extra=extra)
        exchange.send(event)
        if final:
            exchange.end()
