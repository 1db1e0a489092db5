"""What a model asks of its server: other models' inferences (BLS), and loading and unloading them."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections import deque
from typing import Any, Awaitable, Callable, Deque, Dict, Iterator, Optional, Tuple, Union

from tritium_worker import frames
from tritium_worker.channel import Channel
from tritium_worker.errors import TritonError, TritonModelException
from tritium_worker.inbox import Inbox
from tritium_worker.request import InferenceRequest
from tritium_worker.response import InferenceResponse
from tritium_worker.tensor import input_tensor, wire_buffer

Answer = Dict[str, Any]
_MAX_METAS = 1024


class Call:
    """One inference that was asked of another model. Responses are added by the thread that reads."""

    __slots__ = ("final", "id", "on_first", "responses")

    def __init__(self, call_id: int) -> None:
        self.id = call_id
        self.responses: Deque[InferenceResponse] = deque()
        self.final = False
        self.on_first: Optional[Callable[[], None]] = None


class ResponseIterator:
    """The responses of another model, each as soon as it is there."""

    def __init__(self, calls: Calls, call: Call) -> None:
        self._calls = calls
        self._call = call

    def __iter__(self) -> Iterator[InferenceResponse]:
        return self

    def __next__(self) -> InferenceResponse:
        call = self._call
        if not call.responses:
            self._calls.wait(lambda: bool(call.responses) or call.final)
        if call.responses:
            return call.responses.popleft()
        raise StopIteration("Iteration is done for the responses.")

    def cancel(self) -> None:
        """Ask the other model to stop; what it still answers ends with an error response."""
        if not self._call.final:
            self._calls.abandon(self._call)

    def __del__(self) -> None:
        if not self._call.final:
            self._calls.forget(self._call)


class Calls:
    """The calls of one worker. Safe from any thread."""

    def __init__(self, channel: Channel, inbox: Inbox) -> None:
        self._channel = channel
        self._inbox = inbox
        self._ids = itertools.count(1)
        self._calls: Dict[int, Call] = {}
        self._metas: Dict[Tuple[str, int, bool], bytes] = {}  # of requests with nothing but a model
        self._answers: Dict[int, Optional[Answer]] = {}
        self.loop: Optional[asyncio.AbstractEventLoop] = None  # the main thread's, which reads by itself

    def exec(self, request: InferenceRequest, decoupled: bool) -> Union[InferenceResponse, ResponseIterator]:
        """See ``InferenceRequest.exec``."""
        call = self._start(request, decoupled, None)
        responses = ResponseIterator(self, call)
        return responses if decoupled else next(responses)

    def async_exec(
        self, request: InferenceRequest, decoupled: bool
    ) -> Awaitable[Union[InferenceResponse, ResponseIterator]]:
        """See ``InferenceRequest.async_exec``."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Union[InferenceResponse, ResponseIterator]] = loop.create_future()
        helped = loop is not self.loop
        responses: ResponseIterator

        def settle() -> None:
            if not future.done():
                future.set_result(responses if decoupled else next(responses))

        def on_first() -> None:
            if helped:
                self._inbox.received()
            if threading.current_thread() is thread and not helped:
                settle()
            else:
                loop.call_soon_threadsafe(settle)

        thread = threading.current_thread()
        if helped:
            self._inbox.expect()
        responses = ResponseIterator(self, self._start(request, decoupled, on_first))
        return future

    def ask(self, what: str, **arguments: Any) -> Answer:
        """Ask the server for something else, and wait.

        Raises:
            TritonModelException: it refused.
        """
        number = next(self._ids)
        self._answers[number] = None
        self._channel.send_control(frames.ASK, {"id": number, "what": what, **arguments})
        self.wait(lambda: self._answers[number] is not None)
        answer = self._answers.pop(number)
        assert answer is not None
        if "error" in answer:
            raise TritonModelException(answer["error"][1])
        return answer

    def tell(self, kind: int, body: Dict[str, Any]) -> None:
        """Tell the server something that it does not answer."""
        self._channel.send_control(kind, body)

    def wait(self, ready: Callable[[], bool]) -> None:
        """Return when ``ready()``."""
        self._inbox.wait(ready)

    def abandon(self, call: Call) -> None:
        """The responses of ``call`` are no longer wanted; the server ends it with an error."""
        self._channel.send_control(frames.ABANDON, {"call": call.id})

    def forget(self, call: Call) -> None:
        """As ``abandon``, for a call whose iterator is gone: from a finalizer, and nothing is waited for."""
        self._calls.pop(call.id, None)
        body = json.dumps({"call": call.id}).encode()
        self._channel.leave([frames.HEAD.pack(len(body), frames.ABANDON), body])

    def on_reply(self, body: memoryview) -> None:
        """A REPLY frame came."""
        call_id, _, flags = frames.SENT.unpack_from(body)
        final = bool(flags & frames.FINAL)
        call = self._calls.pop(call_id, None) if final else self._calls.get(call_id)
        if call is None:
            return
        if flags & frames.EMPTY:
            call.responses.append(InferenceResponse([]))
        else:
            call.responses.append(self._response(body))
        call.final = final
        if call.on_first is not None:
            on_first, call.on_first = call.on_first, None
            on_first()

    def on_told(self, body: memoryview) -> None:
        """A TOLD frame came."""
        answer = json.loads(bytes(body))
        if answer["id"] in self._answers:
            self._answers[answer["id"]] = answer

    def _start(
        self, request: InferenceRequest, decoupled: bool, on_first: Optional[Callable[[], None]]
    ) -> Call:
        call = Call(next(self._ids))
        call.on_first = on_first
        self._calls[call.id] = call
        name, version = request._target
        if not name and request._origin is not None:
            raise TritonModelException("exec: a request that was received cannot be asked of a model itself.")
        given = {key: value for key, value in request._meta.items() if value}
        meta = self._metas.get((name, version, decoupled)) if not given else None
        if meta is None:
            described = {**given, "model": name, "version": version, "decoupled": decoupled}
            meta = json.dumps(described).encode()
            if not given and len(self._metas) < _MAX_METAS:
                self._metas[name, version, decoupled] = meta
        tensors = [(tensor.name(), *wire_buffer(tensor)) for tensor in request.inputs()]
        part = self._channel.encode_tensors(tensors, meta, sorted(request._requested))
        self._channel.send(frames.encode_sent(frames.CALL, call.id, 0, 0, part))
        return call

    def _response(self, body: memoryview) -> InferenceResponse:
        (part,) = frames.decode_parts(body, frames.SENT.size, 1)
        meta = json.loads(part[1]) if part[1] else {}
        if "error" in meta:
            code, text = meta["error"]
            return InferenceResponse([], TritonError(text, code))
        tensors, _ = self._channel.decode_tensors(part)
        return InferenceResponse(
            [input_tensor(*tensor) for tensor in tensors], parameters=meta.get("parameters")
        )
