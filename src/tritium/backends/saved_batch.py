"""A model that takes exactly one number of rows, served for any number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tritium.backends.api import Arrays, TensorModel
from tritium.core.tensor import Array


class SavedBatchModel:
    """Runs a batch in parts of ``rows``; the last is filled up with zeros, whose results are thrown away."""

    def __init__(self, model: TensorModel, rows: int) -> None:
        self._model = model
        self._rows = rows

    def run(self, inputs: Arrays, output_names: Sequence[str]) -> Arrays:
        """One run for each part. Outputs are new arrays that the caller owns."""
        total = max((array.shape[0] for array in inputs.values()), default=0)
        parts = [
            self._model.run(self._part(inputs, start), output_names) for start in range(0, total, self._rows)
        ]
        if len(parts) == 1 and total == self._rows:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts])[:total] for name in output_names}

    def close(self) -> None:
        """Close the model."""
        self._model.close()

    def _part(self, inputs: Arrays, start: int) -> Mapping[str, Array]:
        return {name: self._filled(array[start : start + self._rows]) for name, array in inputs.items()}

    def _filled(self, rows: Array) -> Array:
        if rows.shape[0] == self._rows:
            return rows
        full = np.zeros((self._rows, *rows.shape[1:]), rows.dtype)
        full[: rows.shape[0]] = rows
        return full
