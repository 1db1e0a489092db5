"""The models of a server, as another model of it sees them."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tritium.core.custom_metrics import CustomMetrics
from tritium.core.interfaces import ModelInstance
from tritium.core.request import InferenceRequest
from tritium.errors import InvalidArgumentError, ModelNotFoundError, TritiumError, UnavailableError
from tritium.repository.call_watch import CallWatch
from tritium.repository.manager import ModelRepositoryManager


class Peers:
    """What models that run ask of their server. Bound to the manager once that exists."""

    def __init__(self) -> None:
        self.metrics = CustomMetrics()
        self._watch = CallWatch()
        self._manager: ModelRepositoryManager | None = None

    def bind(self, manager: ModelRepositoryManager) -> None:
        """Answer for the models of ``manager``."""
        self._manager = manager

    def infer(self, request: InferenceRequest, *, caller: ModelInstance, decoupled: bool) -> None:
        """Run ``request`` on the model that it names.

        Raises:
            TritiumError: there is no such model, or the request does not fit it.
        """
        try:
            model = self._models().get(request.model_name, request.model_version)
        except ModelNotFoundError as error:
            raise UnavailableError(
                f"Failed for execute the inference request. Model '{request.model_name}' is not ready."
            ) from error
        if model.config.decoupled and not decoupled:
            raise InvalidArgumentError(
                f"Model {request.model_name} is using the decoupled. The current BLS request call doesn't "
                "support models using the decoupled transaction policy. Please use 'decoupled=True' argument "
                "to the 'exec' or 'async_exec' calls for decoupled models.'"
            )
        model.check(request)
        model.asked()
        model.enqueue(request, time.monotonic_ns())
        self._watch.note(caller, model, request)

    async def load(
        self, name: str, config: str, files: Mapping[str, bytes], *, within_load_of: str | None = None
    ) -> None:
        """Load a model, or load it anew; back when it serves.

        Args:
            config: JSON; empty for the model's own.
            files: by ``file:<path>``.
            within_load_of: the model that asks, if it is still being loaded itself.

        Raises:
            TritiumError: see ``ModelRepositoryManager.load``.
        """
        given: Mapping[str, object] = {"config": config} if config else {}
        await self._models().load(name, {**given, **files}, within_load_of=within_load_of)

    async def unload(self, name: str, *, dependents: bool, within_load_of: str | None = None) -> None:
        """Begin to unload a model.

        Args:
            dependents: as well as the models that were loaded only because this ensemble needs them.
            within_load_of: as for ``load``.

        Raises:
            TritiumError: see ``ModelRepositoryManager.unload``.
        """
        await self._models().unload(name, dependents=dependents, within_load_of=within_load_of)

    def ready(self, name: str, version: int | None) -> bool:
        """Whether a model can run a request now."""
        try:
            return self._models().get(name, version).is_ready()
        except TritiumError:
            return False

    def _models(self) -> ModelRepositoryManager:
        if self._manager is None:
            raise UnavailableError("the server is starting")
        return self._manager
