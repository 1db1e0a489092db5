"""A backend of another package: ``OUT`` is twice ``IN``. Installed by ``install_backend`` for one test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tritium.backends.api import Arrays, InstanceContext
from tritium.core.model_config import ModelConfig
from tritium.core.model_description import ModelDescription, TensorSpec
from tritium.errors import InvalidArgumentError

CONFIG = """
backend: "doubling"
max_batch_size: 4
input { name: "IN" data_type: TYPE_FP32 dims: 1 }
output { name: "OUT" data_type: TYPE_FP32 dims: 1 }
"""


class DoublingModel:
    """One instance."""

    def run(self, inputs: Arrays, output_names: Sequence[str]) -> Arrays:
        """Twice IN."""
        return {"OUT": np.asarray(inputs["IN"] * 2, np.float32)}

    def close(self) -> None:
        """Nothing to give back."""


class DoublingBackend:
    """Refuses to open a model whose file says ``broken``."""

    name = "doubling"

    def describe(self, config: ModelConfig, model_path: Path) -> ModelDescription:
        """IN and OUT, both FP32[-1,1]."""
        return ModelDescription(
            (TensorSpec("IN", "TYPE_FP32", (-1, 1)),), (TensorSpec("OUT", "TYPE_FP32", (-1, 1)),)
        )

    def open(self, context: InstanceContext) -> DoublingModel:
        """An instance, unless the model is broken."""
        directory = context.model_dir / str(context.version)
        if (directory / "broken").exists():
            raise InvalidArgumentError("the model is broken")
        return DoublingModel()


def install_backend(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it known as installed packages are: by an entry point."""
    info = site / "doubling-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: doubling\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[tritium.backends]\ndoubling = {__name__}:DoublingBackend\n")
    monkeypatch.syspath_prepend(str(site))


def write_model(
    root: Path, name: str, config: str = CONFIG, *, broken: bool = False, version: int = 1
) -> Path:
    """A model directory of this backend."""
    directory = root / name / str(version)
    directory.mkdir(parents=True)
    (root / name / "config.pbtxt").write_text(config)
    if broken:
        (directory / "broken").touch()
    return root / name
