"""A python-based backend and models of it, for a server with ``--backend-directory``."""

from __future__ import annotations

from pathlib import Path

# OUT tells as JSON what the model was given and where its files are.
SHARED = '''
"""Serves any model directory: OUT tells what it was given."""

import json
import os

import numpy as np
import triton_python_backend_utils as pb_utils
from companion import GREETING


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "IN", "data_type": "TYPE_FP32", "dims": [-1]})
        config.add_output({"name": "OUT", "data_type": "TYPE_STRING", "dims": [1]})
        config.set_max_batch_size(0)
        return config

    def initialize(self, args):
        config = json.loads(args["model_config"])
        with open(os.path.join(pb_utils.get_model_dir(), "weights")) as weights:
            self.told = {**args, "weights": weights.read(), "module": __name__, "greeting": GREETING}
        shown = ("backend", "runtime", "default_model_filename")
        self.told["model_config"] = {key: config[key] for key in shown}
        self.told["model_repository"] = os.path.basename(args["model_repository"])

    def execute(self, requests):
        if any(request.inputs()[0].as_numpy().min() < 0 for request in requests):
            raise ValueError("raised in the backend")
        text = np.array([json.dumps(self.told, sort_keys=True)], np.object_)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", text)]) for _ in requests]
'''


def write_backend(directory: Path, name: str, source: str = SHARED) -> None:
    """A python-based backend with a module beside it."""
    (directory / name).mkdir(parents=True)
    (directory / name / "model.py").write_text(source)
    (directory / name / "companion.py").write_text("GREETING = 'from beside model.py'\n")


def write_backend_model(repository: Path, name: str, config: str, *, weights: str = "0 1 2") -> None:
    """A model of a backend: a configuration, and a file of its own."""
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(config)
    (repository / name / "1" / "weights").write_text(weights)
