"""The in-process inference server: models behind names. It knows no sockets; front ends are its clients."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version

from tritium.core.custom_metrics import CustomMetrics
from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.errors import TritiumError
from tritium.repository.lifecycle import VersionState
from tritium.repository.manager import ModelRepositoryManager

EXTENSIONS = (
    "classification",
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
    ) -> None:
        self.models = manager
        self.custom_metrics = CustomMetrics() if custom_metrics is None else custom_metrics
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
        """Whether the server takes requests: every tracked model is loaded, if readiness is strict.

        A worker that is being restarted shows in its model's readiness and not here: a fault in one model
        must not take the others out of rotation.
        """
        if not self._accepting:
            return False
        if not self._strict_readiness:
            return True
        return all(
            v.state is VersionState.READY or (v.state is VersionState.UNAVAILABLE and v.reason == "unloaded")
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
