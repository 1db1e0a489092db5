"""What the model in one worker asks of the server: inferences of other models (BLS), and model control."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import msgspec

from tritium.core.interfaces import ModelAccess, ModelInstance
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.errors import CancelledError, InternalError, TritiumError
from tritium.execution.call_role import CallRole
from tritium.execution.wire import WireCodec
from tritium.execution.worker import Worker
from tritium.worker_root.tritium_worker import frames

logger = logging.getLogger("tritium.execution")

_EMPTY_REPLY = InferenceResponse(empty=True)


class WorkerCalls:
    """The calls of one worker, on the loop; they end with it.

    Args:
        instance: whose model asks.
        owner: who defines the metrics of this worker's model.
        loading: the name of the model while it is being loaded, so that its questions come from there.
    """

    def __init__(
        self,
        instance: ModelInstance,
        owner: str,
        worker: Worker,
        codec: WireCodec,
        models: ModelAccess,
        role: CallRole,
        *,
        loading: Callable[[], str | None],
    ) -> None:
        self._loading = loading
        self._instance = instance
        self._owner = owner
        self._worker = worker
        self._codec = codec
        self._models = models
        self._role = role
        self._streams: dict[int, ResponseStream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "ready": self._ready,
            "family": self._define_family,
            "metric": self._series,
            "value": self._value,
        }
        self.handlers = {
            frames.CALL: self._start,
            frames.ABANDON: self._abandon,
            frames.ASK: self._ask,
            frames.METRIC: self._update_metric,
        }  # of the worker's frames

    def _start(self, body: memoryview) -> None:
        call_id, _, _ = frames.SENT.unpack_from(body)
        stream = ResponseStream(partial(self._reply, call_id))
        (part,) = frames.decode_parts(body, frames.SENT.size, 1)
        request, decoupled = self._codec.decode_call(part, self._worker, stream)
        self._streams[call_id] = stream
        self._role.asks()
        try:
            self._models.infer(request, caller=self._instance, decoupled=decoupled)
        except TritiumError as error:
            text = f"Model {request.model_name} - Error when running inference: {error}"
            stream.fail(InternalError(text))

    def _abandon(self, body: memoryview) -> None:
        """The call ends with an error, for the model may wait for its end."""
        call_id = msgspec.json.decode(body)["call"]
        stream = self._streams.get(call_id)
        if stream is not None:
            stream.cancel()
            self._reply(call_id, InferenceResponse(error=CancelledError("the request was cancelled")), True)

    def _ask(self, body: memoryview) -> None:
        question = msgspec.json.decode(body)
        what = question["what"]
        if what in self._answers:
            try:
                self._tell(question["id"], self._answers[what](question))
            except TritiumError as error:
                self._tell(question["id"], {"error": [error.code.value, str(error)]})
        elif what == "load":
            files = {name: base64.b64decode(data) for name, data in question["files"].items()}
            load = self._models.load(
                question["model"], question["config"], files, within_load_of=self._loading()
            )
            self._run(question, "load", load)
        elif what == "unload":
            unload = self._models.unload(
                question["model"], dependents=question["dependents"], within_load_of=self._loading()
            )
            self._run(question, "unload", unload)
        else:
            self._tell(question["id"], {"error": [InternalError.code.value, f"unknown question '{what}'"]})

    def _ready(self, question: dict[str, Any]) -> dict[str, Any]:
        version = question["version"]
        number = int(version) if version.isdecimal() and len(version) < 20 else None
        return {"ready": self._models.ready(question["model"], number)}

    def _define_family(self, question: dict[str, Any]) -> dict[str, Any]:
        name, description, kind = question["name"], question["description"], question["kind"]
        try:
            self._models.metrics.define(self._owner, name, description, kind)
        except TritiumError as error:
            raise self._failed("Error when creating MetricFamily", error) from error
        return {}

    def _series(self, question: dict[str, Any]) -> dict[str, Any]:
        family, labels, bounds = question["family"], question["labels"], question["buckets"]
        try:
            return {"metric": self._models.metrics.series_number(family, labels, bounds)}
        except TritiumError as error:
            raise self._failed("Error when creating Metric", error) from error

    def _value(self, question: dict[str, Any]) -> dict[str, Any]:
        return {"value": self._models.metrics.series(question["metric"]).value}

    def _update_metric(self, body: memoryview) -> None:
        update = msgspec.json.decode(body)
        try:
            self._models.metrics.series(update["metric"]).update(update["op"], update["value"])
        except TritiumError as error:
            logger.warning("%s: a metric was not updated: %s", self._instance.name, error)

    def _failed(self, what: str, error: TritiumError) -> InternalError:
        """The error in the words of Triton's python backend."""
        return InternalError(f"{what}: {self._processing(error)}")

    def _processing(self, error: TritiumError) -> str:
        return f"Failed to process the request for model '{self._instance.name}', message: {error}"

    def end(self) -> None:
        """The worker has ended: nobody waits any more."""
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.cancel()

    def _reply(self, call_id: int, response: InferenceResponse, final: bool) -> None:
        if call_id not in self._streams:
            return
        if final:
            del self._streams[call_id]
        flags = (frames.FINAL if final else 0) | (frames.EMPTY if response.empty else 0)
        part = None if response.empty else self._codec.encode_response(response, self._worker)
        self._worker.queue(frames.encode_sent(frames.REPLY, call_id, 0, flags, part))
        if self._streams:
            self._worker.flush_soon()  # with the replies to other calls that come in this turn
        else:
            self._worker.flush()

    def _run(self, question: dict[str, Any], what: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._settle(question["id"], what, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, question_id: int, what: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except TritiumError as error:
            text = f"Failed to {what} model: {self._processing(error)}"
            self._tell(question_id, {"error": [error.code.value, text]})
        except Exception:
            logger.exception("%s: a request of its model to %s a model failed", self._instance.name, what)
            self._tell(question_id, {"error": [InternalError.code.value, f"Failed to {what} model"]})
        else:
            self._tell(question_id, {})

    def _tell(self, question_id: int, answer: dict[str, Any]) -> None:
        encoded = msgspec.json.encode({"id": question_id, **answer})
        self._worker.queue([frames.HEAD.pack(len(encoded), frames.TOLD), encoded])
        self._worker.flush_soon()
