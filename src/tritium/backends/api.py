"""What an author of a backend writes.

A backend whose engine releases the GIL runs in threads of the server: it is a ``ThreadBackend``, and each of
its instances a ``TensorModel``. A backend that runs Python code or may abort the process is hosted by workers
(``worker_root/``): it is a ``WorkerBackend``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tritium.core.model_config import ModelConfig
from tritium.core.model_description import ModelDescription
from tritium.core.tensor import Array
from tritium.environments.interpreter import Interpreter

Arrays = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class InstanceContext:
    """Where and how one instance is opened."""

    config: ModelConfig
    model_dir: Path
    version: int
    instance_name: str
    intra_op_threads: int  # this instance's share of the cores, >= 1

    @property
    def model_path(self) -> Path:
        """The model file (or directory): ``<model_dir>/<version>/<default_model_filename>``."""
        return self.model_dir / str(self.version) / self.config.default_model_filename


class TensorModel(Protocol):
    """One opened instance: arrays in, arrays out. Called from one thread at a time."""

    def run(self, inputs: Arrays, output_names: Sequence[str]) -> Arrays:
        """Run one batch.

        Args:
            inputs: by name, each of shape [rows, ...] for a model that batches, else the full shape.
                Read-only; valid until this returns. BYTES are object arrays of ``bytes``.
            output_names: what any request of the batch wants; never empty.

        Returns:
            At least those outputs, each of shape [rows, ...]. BYTES as object or unicode arrays.

        Raises:
            Exception: any; its text becomes each request's error.
        """
        ...

    def close(self) -> None:
        """Release what ``open`` took. Called once, from the instance's thread."""
        ...


class ThreadBackend(Protocol):
    """A backend whose instances run in threads of the server."""

    name: str

    def describe(self, config: ModelConfig, model_path: Path) -> ModelDescription:
        """The model file's inputs and outputs, read cheaply; called off the loop.

        Args:
            config: as the user wrote it, so not yet complete.

        Raises:
            ConfigError: the file has tensors that cannot be served as ``config`` stands.
            TritiumError: the file cannot be read; the text names it without its absolute path.
        """
        ...

    def open(self, context: InstanceContext) -> TensorModel:
        """Load one instance; called in the thread that will run it.

        Raises:
            TritiumError: the model cannot be loaded.
        """
        ...


class ModelReader(Protocol):
    """Reads in the server what a worker will load, where the model's files say what it is."""

    def describe(self, config: ModelConfig, model_path: Path) -> ModelDescription:
        """As ``ThreadBackend.describe``."""
        ...

    def worker_arguments(self, config: ModelConfig, model_path: Path) -> Mapping[str, str]:
        """What the worker is told beside Triton's own arguments.

        Args:
            config: complete.

        Raises:
            TritiumError: ``config`` does not fit the model, or something that the worker needs is missing.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkerBackend:
    """A backend whose instances run in worker processes; what hosts the model is in ``worker_root``.

    Without a reader, the model is asked in its worker what it is. ``native`` engines take all cores that they
    see and say on standard error why they end, so workers get their share of the cores and are listened to.
    """

    name: str
    interpreter: Callable[[ModelConfig, Path], Interpreter]  # of a model and its directory; may take minutes
    host: str = "python"
    default_filename: str = "model.py"
    reader: ModelReader | None = None
    native: bool = False
    load_timeout_s: float | None = None
    execution_timeout_s: float | None = None  # where the configuration gives none
    script: Path | None = None  # the file that all its models run, in place of one in their directories


Engine = ThreadBackend | WorkerBackend


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """A backend with several engines.

    ``choose`` gives the one for a model, from its configuration and the model file's path; it raises
    TritiumError where none can run it.
    """

    name: str
    choose: Callable[[ModelConfig, Path], Engine]


Backend = Engine | BackendChoice
