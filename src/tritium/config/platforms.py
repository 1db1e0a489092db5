"""Which backend runs a model: from the words of its configuration, else from its files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from tritium.core.model_config import ModelConfig
from tritium.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Platform:
    """One way to say which backend runs a model.

    ``marker`` is what the version directory holds (``x/`` is a directory). ``filled`` is the platform that is
    filled in, which is the first name of ``names``, or nothing.
    """

    backend: str
    filename: str
    names: tuple[str, ...] = ()
    marker: str = ""

    @property
    def filled(self) -> str:
        return self.names[0] if self.names else ""

    def found_in(self, entries: Collection[str]) -> bool:
        """Whether the files of a version directory are of this platform."""
        markers = (self.marker,) if self.marker else (self.filename, f"{self.filename}/")
        return any(marker in entries for marker in markers)


# In the order in which Triton looks.
PLATFORMS = (
    Platform("tensorflow", "model.savedmodel", ("tensorflow_savedmodel",), "model.savedmodel/"),
    Platform("tensorflow", "model.graphdef", ("tensorflow_graphdef",)),
    Platform("tensorrt", "model.plan", ("tensorrt_plan",)),
    Platform("onnxruntime", "model.onnx", ("onnxruntime_onnx",)),
    Platform("openvino", "model.xml"),
    Platform("pytorch", "model.pt", ("pytorch_libtorch", "libtorch")),
    Platform("pytorch", "model.pt2", ("torch_aoti",)),
    Platform("python", "model.py"),
    Platform("oneflow", "model", (), "model/model.mlir"),
    Platform("oneflow_python", "model", (), "model/pickled_data"),
)
ENSEMBLE = "ensemble"
KNOWN_PLATFORMS = frozenset(name for platform in PLATFORMS for name in platform.names) | {ENSEMBLE}


def version_entries(version_dir: Path) -> frozenset[str]:
    """What a version directory holds: files, directories (with ``/``), and marker files one level down.

    Raises:
        OSError: the directory cannot be read.
    """
    entries = {f"{entry.name}/" if entry.is_dir() else entry.name for entry in version_dir.iterdir()}
    deep = (p.marker for p in PLATFORMS if "/" in p.marker.rstrip("/"))
    return frozenset(entries.union(marker for marker in deep if (version_dir / marker).is_file()))


def fill_platform(config: ModelConfig) -> ModelConfig:
    """``config`` with the backend, platform and file name that follow from one another; reads no files."""
    if config.is_ensemble:
        return replace(config, platform=config.platform or ENSEMBLE)
    platform = _spoken(config)
    return _filled(config, platform) if platform is not None else config


def complete_backend(config: ModelConfig, entries: Collection[str]) -> ModelConfig:
    """``config``, whose name is set, with its backend: said, else found in files, else the name's suffix.

    Args:
        entries: of the first version directory in string order, as ``version_entries`` gives them.

    Raises:
        ConfigError: nothing says which backend it is.
    """
    config = fill_platform(config)
    if config.is_ensemble or config.backend or config.platform:
        return config
    if config.default_model_filename:
        spoken = next((p for p in PLATFORMS if p.filename == config.default_model_filename), None)
        return config if spoken is None else _filled(config, spoken)
    found = next((p for p in PLATFORMS if p.found_in(entries)), None)
    if found is not None:
        return _filled(config, found)
    _, dot, backend = config.name.partition(".")
    if not dot or not backend:
        # Triton's words; it stops here.
        raise ConfigError(
            f"Invalid model name: Could not determine backend for model '{config.name}' with no backend in "
            "model configuration. Expected model name of the form 'model.<backend_name>'. Write a 'backend' "
            "in config.pbtxt, or put a model file with one of the usual names into the version directory: "
            + ", ".join(p.marker or p.filename for p in PLATFORMS)
        )
    return replace(config, backend=backend, default_model_filename=f"model.{backend}")


def _spoken(config: ModelConfig) -> Platform | None:
    """The platform that the configuration's own words name."""
    if config.backend:
        own = [p for p in PLATFORMS if p.backend == config.backend]
        by_word = [
            p for p in own if config.platform in p.names or config.default_model_filename == p.filename
        ]
        return next(iter(by_word or own), None)
    if config.platform:
        return next((p for p in PLATFORMS if config.platform in p.names), None)
    return None


def _filled(config: ModelConfig, platform: Platform) -> ModelConfig:
    return replace(
        config,
        backend=config.backend or platform.backend,
        platform=config.platform or platform.filled,
        default_model_filename=config.default_model_filename or platform.filename,
    )
