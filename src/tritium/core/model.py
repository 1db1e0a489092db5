"""One loaded version of a model: what it is, what it may be asked, and who runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tritium.core.interfaces import Scheduler
from tritium.core.model_config import ModelConfig
from tritium.core.request import InferenceRequest
from tritium.core.reshape import Reshape, input_reshape
from tritium.core.statistics import ModelStatistics
from tritium.core.validation import RequestRules


@dataclass(slots=True)
class Model:
    """A loaded version. ``document`` is its configuration as ``/config`` shows it."""

    config: ModelConfig
    version: int
    scheduler: Scheduler
    statistics: ModelStatistics
    document: Mapping[str, Any]
    labels: Mapping[str, tuple[str, ...]]  # by output, for classification
    is_ready: Callable[[], bool]  # whether its instances can run
    restarts: Callable[[], int]  # of its workers
    _rules: RequestRules = field(init=False)
    _reshape: Reshape = field(init=False)

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
