"""``InferenceResponseSender``: answers a request when the model wants, from any of its threads."""

from __future__ import annotations

import threading
import time
from typing import Collection, Optional

from tritium_worker import frames
from tritium_worker.board import Board
from tritium_worker.errors import TritonError, TritonModelException
from tritium_worker.replies import Replies
from tritium_worker.response import InferenceResponse

FINAL = 1  # TRITONSERVER_RESPONSE_COMPLETE_FINAL
_LOOK_AGAIN_S = 0.002  # while the client does not read


class Origin:
    """Where the answers of one request go, and what may be answered."""

    __slots__ = ("batch", "board", "decoupled", "position", "replies", "slot")

    def __init__(
        self,
        replies: Replies,
        batch: int,
        position: int,
        slot: int,
        board: Optional[Board],
        decoupled: bool,
    ) -> None:
        self.replies = replies
        self.batch = batch
        self.position = position
        self.slot = slot
        self.board = board
        self.decoupled = decoupled

    def is_cancelled(self) -> bool:
        """Whether the client has gone or gave up, as of now."""
        return self.board is not None and self.board.cancelled(self.slot)


class ResponseSender:
    """The responses of one request. A model gets it by ``InferenceRequest.get_response_sender``."""

    def __init__(self, origin: Origin, requested: Collection[str]) -> None:
        self._origin = origin
        self._requested = requested
        self._lock = threading.Lock()
        self._sent = 0
        self._closed = False

    def send(self, response: Optional[InferenceResponse] = None, flags: int = 0) -> None:
        """Send a response, or say by ``flags`` that it was the last one, or both.

        Waits while the client reads slower than the model sends. In the default mode exactly one response is
        allowed.

        Args:
            flags: 0 or ``pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL``.

        Raises:
            TritonModelException: after the last response, without a response and without the flag, an
                unknown flag, or more than one response in the default mode.
            TypeError: ``response`` is something else.
        """
        if response is not None and not isinstance(response, InferenceResponse):
            raise TypeError(f"send(response): expected an InferenceResponse, got {type(response).__name__}")
        part = self._origin.replies.part(response, self._requested) if response is not None else None
        with self._lock:
            self._check(response, flags)
            last_was_sent = self._sent > 0 and not self._origin.decoupled
            final = flags == FINAL or (not self._origin.decoupled and response is not None)
            self._closed = flags == FINAL
            self._sent += response is not None
            if last_was_sent:
                return  # the one response of the default mode went as the last one
            marks = (frames.FINAL if final else 0) | (frames.EMPTY if part is None else 0)
            self._origin.replies.send(self._origin.batch, self._origin.position, marks, part)
        if not final:
            self._wait_for_reader()

    def is_cancelled(self) -> bool:
        """Whether the client has gone or gave up, as of now."""
        return self._origin.is_cancelled()

    @property
    def used(self) -> bool:
        """Whether anything was sent."""
        return self._sent > 0 or self._closed

    def close(self) -> bool:
        """Allow no more responses: whether the request was still to be answered."""
        with self._lock:
            was_open = not (self._closed or (self._sent and not self._origin.decoupled))
            self._closed = True
            return was_open

    def _check(self, response: Optional[InferenceResponse], flags: int) -> None:
        if flags not in (0, FINAL):
            raise TritonModelException("Unable to send response. Unsupported flag provided.")
        if self._closed:
            raise TritonModelException("Unable to send response. Response sender has been closed.")
        if response is None and flags == 0:
            raise TritonModelException(
                "Inference Response object must be provided when the response flags is set to zero."
            )
        if self._origin.decoupled:
            return
        if response is not None and self._sent:
            raise TritonModelException(
                "Unable to send response. Non-decoupled model cannot send more than one response."
            )
        if response is None and not self._sent:
            raise TritonModelException(
                "Unable to send response. Non-decoupled model cannot send complete final before sending a "
                "response."
            )

    def _wait_for_reader(self) -> None:
        board, slot = self._origin.board, self._origin.slot
        if board is None:
            return
        while board.paused(slot) and not board.cancelled(slot):
            time.sleep(_LOOK_AGAIN_S)

    def __del__(self) -> None:
        if self._closed or (self._sent and not self._origin.decoupled):
            return
        replies = self._origin.replies
        part = replies.error_part(
            TritonError.INTERNAL,
            "the model let go of the response sender without sending the final response: call "
            "sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL) when a request is answered",
        )
        replies.leave(self._origin.batch, self._origin.position, frames.FINAL, part)
