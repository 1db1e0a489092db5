"""ModelStreamInfer: many requests on one stream, which run side by side.

Replies of models with one response for each request leave in the order of the requests, as in Triton; those
of decoupled models leave as they come. Errors are messages of the stream and do not end it, unless the client
asked for that by the metadata ``triton_grpc_error: true``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from tritium.core.response import InferenceResponse
from tritium.core.tensor import Buffer
from tritium.errors import TritiumError, UnavailableError
from tritium.frontends.grpc.call import GrpcCall
from tritium.frontends.grpc.inference import Inference
from tritium.frontends.grpc.status import GrpcStatus
from tritium.protocol.grpc_forms import GrpcForms
from tritium.protocol.grpc_infer import encode_stream_error, encode_stream_reply
from tritium.protocol.restrictions import forward
from tritium.protocol.status import status_of
from tritium.server import InferenceServer

_AHEAD = 256  # requests under way before the client has to wait
_STOPPING = "the server is stopping"
_STRICT = (b"triton_grpc_error", b"true")


class StreamInfer:
    """One ModelStreamInfer call."""

    def __init__(self, server: InferenceServer, forms: GrpcForms, call: GrpcCall) -> None:
        self._server = server
        self._forms = forms
        self._call = call
        self._strict = _STRICT in call.metadata
        self._forwarded = call.forwarded
        self._running: dict[_StreamRequest, None] = {}
        self._in_order: deque[_StreamRequest] = deque()  # those whose replies keep the order of the requests
        self._owed = 0  # messages whose space the client has not got back
        self._half_closed = False
        self._stopping = False
        call.on_cancel = self._cancel
        call.on_stop = self._on_stop
        call.on_writable = self._on_writable

    def on_message(self, message: Buffer) -> None:
        """A request from the client."""
        request = _StreamRequest(self)
        self._running[request] = None
        self._in_order.append(request)
        self._owed += 1
        try:
            if self._stopping:
                raise UnavailableError(_STOPPING)
            request.start(self._server, self._forms, message, self._forwarded)
        except TritiumError as error:
            request.refuse(error)
        if self._call.over:
            return
        if not request.ordered and request in self._in_order:
            self._in_order.remove(request)
            self._send_in_order()
        if not self._call.writable:
            request.pause(True)
        self._let_client_send()

    def on_half_close(self) -> None:
        """The client sends no more requests; what runs is answered."""
        self._half_closed = True
        self._finish_if_done()

    def reply(self, request: _StreamRequest, pieces: Sequence[Buffer]) -> None:
        """Send a reply, now or when it is its turn."""
        if request.ordered and not (self._in_order and self._in_order[0] is request):
            request.waiting.append(pieces)
        else:
            self._send(pieces)

    def done(self, request: _StreamRequest) -> None:
        """Everything about ``request`` was replied."""
        self._running.pop(request, None)
        if request.ordered and self._in_order and self._in_order[0] is request:
            self._send_in_order()
        if self._owed:
            self._let_client_send()
        if not self._running:
            self._finish_if_done()

    def fail(self, error: TritiumError) -> bool:
        """End the stream with an execution error if the client wants that: whether it does."""
        if self._strict:
            self._call.finish(GrpcStatus[status_of(error).grpc], str(error))
            self._cancel()
        return self._strict

    def _send_in_order(self) -> None:
        order = self._in_order
        while order:
            first = order[0]
            if first.waiting:
                for pieces in first.waiting:
                    self._send(pieces)
                first.waiting = []
            if first in self._running:
                return
            order.popleft()

    def _send(self, pieces: Sequence[Buffer]) -> None:
        self._call.send(*pieces)
        if not self._call.over and not self._call.writable:
            for request in self._running:
                request.pause(True)

    def _on_writable(self) -> None:
        for request in [*self._running]:
            request.pause(False)

    def _let_client_send(self) -> None:
        while self._owed and len(self._running) - self._owed < _AHEAD and not self._call.over:
            self._owed -= 1
            self._call.consumed()

    def _on_stop(self) -> None:
        self._stopping = True
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._running:
            return
        if self._half_closed:
            self._call.finish()
        elif self._stopping:
            self._call.finish(GrpcStatus.UNAVAILABLE, _STOPPING)

    def _cancel(self) -> None:
        running, self._running = self._running, {}
        self._in_order.clear()
        for request in running:
            request.stream.cancel()


class _StreamRequest(Inference):
    """One request of a stream."""

    __slots__ = ("_owner", "ordered", "waiting")

    def __init__(self, owner: StreamInfer) -> None:
        super().__init__(self._on_response)
        self._owner = owner
        self.ordered = True
        self.waiting: list[Sequence[Buffer]] = []

    def start(
        self, server: InferenceServer, forms: GrpcForms, message: Buffer, forwarded: Mapping[str, str]
    ) -> None:
        """Run what ``message`` asks for.

        Raises:
            TritiumError: the message breaks the protocol, or the model does not take it.
        """
        model, request = self.read(server, forms, message)
        self.ordered = not model.config.decoupled
        if forwarded:
            forward(request, forwarded)
        server.infer(model, request)

    def refuse(self, error: TritiumError) -> None:
        """Reply that the request was not run."""
        self.ordered = True
        self._owner.reply(self, encode_stream_error(error, request_id=self.id))
        self._owner.done(self)

    def pause(self, paused: bool) -> None:
        """The client reads slower than the model answers, or can take more."""
        if self.stream.paused != paused:
            self.stream.pause(paused)

    def _on_response(self, response: InferenceResponse, final: bool) -> None:
        pieces: Sequence[Buffer] = ()
        try:
            if not response.empty or self.wants_empty_final:
                pieces = encode_stream_reply(self.encode(response, final))
        except TritiumError as error:
            if self._owner.fail(error):
                return
            assert self.model is not None
            name = self.model.config.name
            pieces = encode_stream_error(error, request_id=self.id, model_name=name, final=final)
        if pieces:
            self._owner.reply(self, pieces)
        if final:
            self._owner.done(self)
