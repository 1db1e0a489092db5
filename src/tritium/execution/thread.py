"""An instance that runs in a thread of the server: for engines that release the GIL while they compute."""

from __future__ import annotations

import asyncio
import logging
import queue
import sys
import threading
import time

from tritium.backends.api import InstanceContext, TensorModel, ThreadBackend
from tritium.core.interfaces import Batch, Outcome
from tritium.core.response import InferenceResponse
from tritium.errors import ModelExecutionError, TritiumError
from tritium.execution.batch_layout import BatchLayout
from tritium.execution.completions import Completions
from tritium.execution.window import InFlightWindow

logger = logging.getLogger("tritium.execution")

# A thread that finishes waits for the loop to hand over the GIL; the interpreter's own 5 ms costs half the
# throughput.
SWITCH_INTERVAL_S = 2e-4


class ThreadInstance:
    """One instance, one thread. The model is opened, run and closed in that thread."""

    def __init__(self, backend: ThreadBackend, context: InstanceContext, completions: Completions) -> None:
        self.name = context.instance_name
        self.in_flight = 0
        self.capacity = 0
        self.side_by_side = False
        self.eager = False
        self._backend = backend
        self._context = context
        self._completions = completions
        self._layout = BatchLayout(context.config)
        self._window = InFlightWindow()
        self._work: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._closed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"tritium-{self.name}", daemon=True)

    async def start(self) -> None:
        """Open the model.

        Raises:
            TritiumError: it cannot be loaded.
        """
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._thread.start()
        await self._opened
        self.capacity = self._window.size

    def execute(self, batch: Batch) -> None:
        """Give ``batch`` to the thread."""
        self.in_flight += 1
        self._work.put(batch)

    def flush(self) -> None:
        """Nothing is held back."""

    async def stop(self) -> None:
        """Run what was given, close the model, end the thread."""
        self.capacity = 0
        self._work.put(None)
        await self._closed.wait()

    def _run(self) -> None:
        try:
            model = self._backend.open(self._context)
        except Exception as error:
            self._tell(self._opened.set_exception, as_model_error(error, self._context.config.name))
            self._tell(self._closed.set)
            return
        self._tell(self._opened.set_result, None)
        while (batch := self._work.get()) is not None:
            self._completions.post(self._finish, batch, self._execute(model, batch))
        try:
            model.close()
        except Exception:
            logger.exception("closing model instance '%s' failed", self.name)
        self._tell(self._closed.set)

    def _tell(self, callback: object, *args: object) -> None:
        # The loop may be gone when the process ends with a model that never returned.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *args)  # type: ignore[arg-type]

    def _execute(self, model: TensorModel, batch: Batch) -> Outcome:
        started = time.perf_counter_ns()
        gathered = computed = started
        try:
            inputs = self._layout.gather(batch.requests)
            gathered = time.perf_counter_ns()
            outputs = model.run(inputs, self._wanted(batch))
            computed = time.perf_counter_ns()
            responses = self._layout.scatter(batch.requests, outputs)
        except Exception as error:
            if not isinstance(error, TritiumError):
                logger.exception("model instance '%s' failed", self.name)
            failure = as_model_error(error, self._context.config.name)
            responses = [InferenceResponse(error=failure) for _ in batch.requests]
        computed = max(computed, gathered)
        ended = time.perf_counter_ns()
        return Outcome(responses, gathered - started, computed - gathered, ended - computed)

    def _finish(self, batch: Batch, outcome: Outcome) -> None:
        self.in_flight -= 1
        self._window.note(outcome.compute_input_ns + outcome.compute_infer_ns + outcome.compute_output_ns)
        if self.capacity:
            self.capacity = self._window.size
        batch.done(batch, outcome)

    def _wanted(self, batch: Batch) -> tuple[str, ...]:
        wanted: dict[str, None] = {}
        for request in batch.requests:
            if not request.requested_outputs:
                return self._layout.output_names
            wanted.update(dict.fromkeys(request.requested_outputs))
        return tuple(wanted)


def as_model_error(error: Exception, model_name: str) -> TritiumError:
    """Any exception of a framework as one of ours."""
    if isinstance(error, TritiumError):
        return error
    return ModelExecutionError(f"model '{model_name}': {type(error).__name__}: {error}")
