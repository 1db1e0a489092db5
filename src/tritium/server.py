"""The in-process inference server: models behind names. It knows no sockets; front ends are its clients."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from tritium.caching.interface import ResponseCache
from tritium.core.custom_metrics import CustomMetrics
from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.errors import InvalidArgumentError, TritiumError
from tritium.repository.index import IndexEntry
from tritium.repository.lifecycle import VersionState
from tritium.repository.manager import ModelRepositoryManager
from tritium.repository.tracked import UNLOADED

EXTENSIONS = (
    "classification",
    "sequence",
    "model_repository",
    "model_repository(unload_dependents)",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
)  # of Triton's, those that this version serves


class InferenceServer:
    """Everything that can be asked of a server, whatever protocol asks."""

    def __init__(
        self,
        manager: ModelRepositoryManager,
        *,
        server_id: str,
        strict_readiness: bool,
        custom_metrics: CustomMetrics | None = None,
        cache: ResponseCache | None = None,
    ) -> None:
        self.models = manager
        self.custom_metrics = CustomMetrics() if custom_metrics is None else custom_metrics
        self.cache = cache
        self.id = server_id
        self.version = product_version()
        self.extensions = EXTENSIONS
        self._strict_readiness = strict_readiness
        self._accepting = False

    def open(self) -> None:
        """Start-up loading is over: requests are welcome."""
        self._accepting = True

    def close(self) -> None:
        """No longer ready; what comes in while listeners are open is still served."""
        self._accepting = False

    @property
    def ready(self) -> bool:
        """Whether the server takes requests; if readiness is strict, also that no model failed to load.

        A worker that is being restarted shows in its model's readiness and not here: a fault in one model
        must not take the others out of rotation. Nor does a version show that is being loaded or unloaded, as
        somebody wanted.
        """
        if not self._accepting:
            return False
        if not self._strict_readiness:
            return True
        return not any(
            v.state is VersionState.UNAVAILABLE and not v.reason.startswith(UNLOADED)
            for v in self.models.versions()
        )

    def model(self, name: str, number: int | None = None) -> Model:
        """A model that is loaded.

        Raises:
            ModelNotFoundError: there is none of this name or version.
        """
        return self.models.get(name, number)

    def model_ready(self, name: str, number: int | None = None) -> bool:
        """Whether this model can run a request now."""
        try:
            return self.models.get(name, number).is_ready()
        except TritiumError:
            return False

    async def load_model(
        self,
        name: str,
        parameters: Mapping[str, object] | None = None,
        *,
        within_load_of: str | None = None,
    ) -> None:
        """Load a model of the repositories, or load it anew; back when all its selected versions serve.

        Args:
            parameters: ``config``, a configuration as JSON text that goes before config.pbtxt, and
                ``file:<path>``, bytes: the files that then are the model's whole directory.
            within_load_of: the model whose loading asks, if it is the code of one that does.

        Raises:
            TritiumError: see ``ModelRepositoryManager.load``.
        """
        await self.models.load(name, parameters or {}, within_load_of=within_load_of)

    async def unload_model(
        self, name: str, *, unload_dependents: bool = False, within_load_of: str | None = None
    ) -> None:
        """Take a model out of service; the requests that it has are answered first, in the background.

        Args:
            unload_dependents: as well as the models that were loaded only because this ensemble needs them.

        Raises:
            TritiumError: see ``ModelRepositoryManager.unload``.
        """
        await self.models.unload(name, dependents=unload_dependents, within_load_of=within_load_of)

    async def repository_index(self, *, ready_only: bool = False) -> list[IndexEntry]:
        """The models of the repositories, loaded or not, by name and version.

        Raises:
            UnavailableError: a repository cannot be read.
        """
        return await self.models.index(ready_only=ready_only)

    def models_with_statistics(self, name: str = "", number: int | None = None) -> list[Model]:
        """The ready models that a question for statistics is about: all, those of a name, or one version.

        Raises:
            InvalidArgumentError: there is none of this name or version.
        """
        models = self.models.ready_models(name or None)
        if name and not models:
            raise InvalidArgumentError(f"requested model '{name}' is not available")
        if number is None:
            return models
        chosen = [model for model in models if model.version == number]
        if not chosen:
            raise InvalidArgumentError(f"requested model version is not available for model '{name}'")
        return chosen

    def infer(self, model: Model, request: InferenceRequest) -> None:
        """Run ``request``, which ``model.check`` has accepted; the answer comes through ``request.stream``.

        Raises:
            UnavailableError: it cannot be queued.
        """
        model.enqueue(request, time.monotonic_ns())


def product_version() -> str:
    """The version of the installed package."""
    try:
        return version("tritium-server")
    except PackageNotFoundError:
        return "0+unknown"
