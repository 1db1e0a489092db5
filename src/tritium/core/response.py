"""What comes back: responses, and the stream that carries the responses of one request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tritium.core.tensor import Tensor
from tritium.errors import TritiumError

ParameterValue = str | int | float | bool


@dataclass(slots=True)
class InferenceResponse:
    """Outputs or an error, for one request; or, if ``empty``, only word that no more responses come."""

    outputs: list[Tensor] = field(default_factory=list)  # in the order the model gave them
    error: TritiumError | None = None
    parameters: dict[str, ParameterValue] | None = None
    empty: bool = False


ResponseCallback = Callable[[InferenceResponse, bool], None]


class ResponseStream:
    """The responses of one request: any number, the last one marked final.

    Lives on the loop's thread. ``on_response(response, final)`` is called there and must not raise. After the
    final response, or once cancelled, nothing is delivered any more: answering a request whose client has
    gone is not an error.
    """

    __slots__ = ("_on_cancel", "_on_pause", "_on_response", "_slot", "cancelled", "closed", "paused")

    def __init__(self, on_response: ResponseCallback) -> None:
        self._on_response = on_response
        self._on_cancel: Callable[[int], None] | None = None
        self._on_pause: Callable[[int, bool], None] | None = None
        self._slot = 0
        self.cancelled = False
        self.closed = False
        self.paused = False

    def send(self, response: InferenceResponse, *, final: bool) -> None:
        """Deliver a response to the owner."""
        if self.closed:
            return
        on_response = self._on_response
        if final:
            self.closed = True
            self._on_response = _ignore  # the owner and the stream know each other: a circle ends here
        if not self.cancelled:
            on_response(response, final)

    def fail(self, error: TritiumError) -> None:
        """End the stream with an error."""
        self.send(InferenceResponse(error=error), final=True)

    def cancel(self) -> None:
        """The owner no longer wants the answer: queued work is dropped, running work is told."""
        if self.closed or self.cancelled:
            return
        self.cancelled = True
        if self._on_cancel is not None:
            self._on_cancel(self._slot)

    def pause(self, paused: bool) -> None:
        """The owner cannot take more responses for now, or can again: whoever makes them is told."""
        self.paused = paused
        if self._on_pause is not None and not self.closed:
            self._on_pause(self._slot, paused)

    @property
    def attached(self) -> bool:
        """Whether somebody runs the request."""
        return self._on_pause is not None

    def wait(self, number: int, on_cancel: Callable[[int], None]) -> None:
        """The request waits in a queue that wants to know when its owner gives up.

        Args:
            number: by which the queue knows the request.
        """
        self._slot = number
        self._on_cancel = on_cancel
        self._on_pause = None

    def attach(
        self, slot: int, on_cancel: Callable[[int], None], on_pause: Callable[[int, bool], None]
    ) -> None:
        """Tell who runs the request what its owner says; one at a time, the last one attached counts.

        Args:
            slot: the argument by which they know the request.
        """
        self._slot = slot
        self._on_cancel = on_cancel
        self._on_pause = on_pause


def _ignore(response: InferenceResponse, final: bool) -> None:
    """What a stream calls that is over."""
