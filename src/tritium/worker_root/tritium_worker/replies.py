"""Responses on their way to the server: those that ``execute`` returns, and those of response senders."""

from __future__ import annotations

import errno
import json
import traceback
from typing import Collection, Optional

from tritium_worker import frames
from tritium_worker.channel import Channel
from tritium_worker.errors import TritonError
from tritium_worker.frames import Part
from tritium_worker.response import InferenceResponse
from tritium_worker.tensor import wire_buffer

_NO_TENSORS = b"[[],[]]"


class Replies:
    """Encodes responses and sends those that go by themselves. Safe from any thread."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def part(self, response: InferenceResponse, requested: Collection[str]) -> Part:
        """The part of a frame that carries ``response``; an error where it cannot be encoded.

        Args:
            requested: the outputs to send; all if it is empty.
        """
        try:
            error = response.error()
            if error is not None:
                return self.error_part(error.code(), error.message())
            outputs = [
                (tensor.name(), *wire_buffer(tensor))
                for tensor in response.output_tensors()
                if not requested or tensor.name() in requested
            ]
            parameters = response.parameters_or_none()
            meta = json.dumps({"parameters": parameters}).encode() if parameters else b""
            return self._channel.encode_tensors(outputs, meta)
        except Exception as failed:
            self.report(traceback.format_exc())
            self.note(failed)
            return self.error_part(TritonError.INTERNAL, f"{type(failed).__name__}: {failed}")

    def error_part(self, code: int, text: str) -> Part:
        """The part of an error response."""
        meta = json.dumps({"error": [int(code), text]}, ensure_ascii=False).encode("utf-8", "replace")
        return _NO_TENSORS, meta, (), (), frames.ANSWERED

    def state_part(self, state: int) -> Part:
        """The part of a request that is not answered here: OPEN or AGAIN."""
        return _NO_TENSORS, b"", (), (), state

    def send(self, batch: int, position: int, flags: int, part: Optional[Part]) -> None:
        """Send a response of one request now."""
        self._channel.send(frames.encode_sent(frames.RESPONSE, batch, position, flags, part))

    def leave(self, batch: int, position: int, flags: int, part: Part) -> None:
        """As ``send``, from a finalizer."""
        self._channel.leave(frames.encode_sent(frames.RESPONSE, batch, position, flags, part))

    def report(self, text: str, about: str = "") -> None:
        """A traceback for the server's log; ``about`` says of what, if the server cannot know."""
        self._channel.send_control(frames.FAILURE, {"about": about, "traceback": text})

    def note(self, error: BaseException) -> None:
        """Ask to be replaced if ``error``, or its source, says that this process leaked too much."""
        source = error.__cause__ or error
        if isinstance(source, OSError) and source.errno == errno.EMFILE:
            self._channel.send_control(frames.EXHAUSTED, {"why": "has no file descriptors left"})
