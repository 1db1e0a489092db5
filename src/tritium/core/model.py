"""One loaded version of a model: what it is, what it may be asked, and who runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tritium.core.interfaces import Scheduler, WorkerUsage
from tritium.core.model_config import ModelConfig
from tritium.core.request import InferenceRequest
from tritium.core.reshape import Reshape, input_reshape
from tritium.core.response import InferenceResponse
from tritium.core.statistics import ModelStatistics
from tritium.core.tensor import Buffer
from tritium.core.validation import RequestRules

# Asked with a request's form and the buffers of its tensors; a response is counted.
Recall = Callable[[object, Sequence[Buffer]], InferenceResponse | None]


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Model:
    """A loaded version. ``document`` is its configuration as ``/config`` shows it.

    Other models do the work of an ensemble: ``asks`` says which, with what requests, a request waits for now.
    """

    config: ModelConfig
    version: int
    scheduler: Scheduler
    statistics: ModelStatistics
    document: Mapping[str, Any]
    labels: Mapping[str, tuple[str, ...]]  # by output, for classification
    is_ready: Callable[[], bool]  # whether its instances can run
    restarts: Callable[[], Mapping[str, int]] = dict  # of its workers, by reason
    usage: Callable[[], Sequence[WorkerUsage]] = tuple  # of its workers, now
    asks: Callable[[InferenceRequest], Sequence[tuple[Model, InferenceRequest]]] | None = None
    asked: Callable[[], None] = _nothing  # told before another model's request is queued
    recall: Recall | None = None  # asks a cache at hand
    fingerprint: bytes = b""  # tells it from every other; empty where there is no response cache
    _rules: RequestRules = field(init=False)
    _reshape: Reshape = field(init=False)
    _holds: int = field(init=False, default=0)
    _on_unused: Callable[[], None] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._rules = RequestRules(self.config)
        self._reshape = input_reshape(self.config)

    def check(self, request: InferenceRequest) -> None:
        """Accept ``request``: its batch size is set, its inputs get the shapes that the model sees.

        Raises:
            InvalidArgumentError: it does not fit the model.
        """
        self._rules.check(request)
        self._reshape.apply(request.inputs)

    def enqueue(self, request: InferenceRequest, now_ns: int) -> None:
        """Hand a checked request to the scheduler.

        Raises:
            UnavailableError: it cannot be queued.
        """
        request.arrival_ns = now_ns
        self.scheduler.enqueue(request)

    def hold(self) -> None:
        """Keep the model loaded while a request for it is read; each needs its ``release``."""
        self._holds += 1

    def release(self) -> None:
        """The request is with the scheduler, or will never be."""
        self._holds -= 1
        if not self._holds and self._on_unused is not None:
            self._on_unused()

    def when_unused(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` as soon as nothing holds the model: now, or at a ``release``."""
        if not self._holds:
            callback()
        else:
            self._on_unused = callback
