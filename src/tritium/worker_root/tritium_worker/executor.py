"""Runs the batches that arrive: decodes requests, calls the model, sends what it answers."""

from __future__ import annotations

import time
import traceback
from typing import List, Optional, Sequence

from tritium_worker import frames
from tritium_worker.board import Board
from tritium_worker.channel import Channel
from tritium_worker.errors import HostError, TritonError
from tritium_worker.frames import Part, PartView
from tritium_worker.model_host import ModelHost
from tritium_worker.replies import Replies
from tritium_worker.request import RELEASE_RESCHEDULE, InferenceRequest
from tritium_worker.response import InferenceResponse
from tritium_worker.sender import Origin
from tritium_worker.tensor import input_tensor

_SHOWN_IDS = 8


class Executor:
    """EXECUTE frames in, RESULT frames out, for one model."""

    def __init__(self, host: ModelHost, channel: Channel, board: Optional[Board], instance_name: str) -> None:
        self._host = host
        self._channel = channel
        self._board = board
        self._replies = Replies(channel)
        self._instance_name = instance_name

    def run(self, body: memoryview) -> None:
        """Run one batch from beginning to end."""
        batch = _Batch(body)
        if self._board is not None:
            self._board.start(batch.id)
        try:
            responses = self._host.execute(self._requests(batch, body))
            batch.computed_ns = time.perf_counter_ns()
            parts = list(map(self._part, batch.requests, responses))
        except Exception as error:
            parts = self._failed(batch, error)
        self._finish(batch, parts)

    async def run_async(self, body: memoryview) -> None:
        """The same for an ``async def execute``; other batches run beside it."""
        batch = _Batch(body)
        try:
            responses = await self._host.execute_async(self._requests(batch, body))
            batch.computed_ns = time.perf_counter_ns()
            parts = list(map(self._part, batch.requests, responses))
        except Exception as error:
            parts = self._failed(batch, error)
        self._finish(batch, parts)

    def _requests(self, batch: _Batch, body: memoryview) -> List[InferenceRequest]:
        for position, part in enumerate(frames.decode_parts(body, frames.BATCH.size, batch.count)):
            batch.requests.append(self._request(batch.id, position, part))
        batch.decoded_ns = time.perf_counter_ns()
        return batch.requests

    def _request(self, batch_id: int, position: int, part: PartView) -> InferenceRequest:
        wire_tensors, requested = self._channel.decode_tensors(part)
        return InferenceRequest._received(
            [input_tensor(*tensor) for tensor in wire_tensors],
            requested,
            part[1],
            Origin(self._replies, batch_id, position, part[4], self._board, self._host.decoupled),
        )

    def _part(self, request: InferenceRequest, response: Optional[InferenceResponse]) -> Part:
        if response is not None:
            return self._replies.part(response, request._requested)
        again = request._release == RELEASE_RESCHEDULE and (
            request._sender is None or request._sender.close()
        )
        return self._replies.state_part(frames.AGAIN if again else frames.OPEN)

    def _failed(self, batch: _Batch, error: Exception) -> List[Part]:
        """The same error for every request of the batch that is not answered yet."""
        if isinstance(error, HostError):
            self._replies.report(error.traceback, self._about(batch))
            who = f"model '{self._instance_name}'"
            text = f"Failed to process the request(s) for {who}, message: {error.text}"
            part = self._replies.error_part(error.code, text)
        else:
            self._replies.report(traceback.format_exc(), self._about(batch))
            part = self._replies.error_part(TritonError.INTERNAL, f"{type(error).__name__}: {error}")
        self._replies.note(error)
        return [part if self._unanswered(batch.requests, i) else self._replies.state_part(frames.OPEN)
                for i in range(batch.count)]  # fmt: skip

    def _about(self, batch: _Batch) -> str:
        """Which instance, and which requests: their ids, as far as clients gave any."""
        text = f"model '{self._host.name}' version {self._host.version}, instance {self._instance_name}"
        ids = [f"'{request.request_id()}'" for request in batch.requests[:_SHOWN_IDS] if request.request_id()]
        more = batch.count - len(batch.requests[:_SHOWN_IDS])
        if ids:
            text += f", request {', '.join(ids)}" + (f" and {more} more" if more > 0 else "")
        return text

    @staticmethod
    def _unanswered(requests: Sequence[InferenceRequest], position: int) -> bool:
        if position >= len(requests):
            return True
        sender = requests[position]._sender
        return sender is None or sender.close()

    def _finish(self, batch: _Batch, parts: List[Part]) -> None:
        ended_ns = time.perf_counter_ns()
        decoded_ns = batch.decoded_ns or batch.started_ns
        computed_ns = batch.computed_ns or ended_ns
        times = frames.TIMES.pack(
            decoded_ns - batch.started_ns, computed_ns - decoded_ns, ended_ns - computed_ns
        )
        self._channel.queue(frames.encode_batch(frames.RESULT, batch.id, parts, times))


class _Batch:
    """One EXECUTE frame while it is worked on."""

    __slots__ = ("computed_ns", "count", "decoded_ns", "id", "requests", "started_ns")

    def __init__(self, body: memoryview) -> None:
        self.started_ns = time.perf_counter_ns()
        self.id, self.count = frames.BATCH.unpack_from(body)
        self.requests: List[InferenceRequest] = []
        self.decoded_ns = 0
        self.computed_ns = 0
