"""What ``initialize`` was given; the instance's number, which is not for certain, is left out."""

import json
import os

import numpy as np

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.args = {**args, "types": sorted({type(value).__name__ for value in args.values()})}
        self.args["model_repository"] = os.path.basename(args["model_repository"])
        self.args["model_instance_name"] = args["model_instance_name"][:-1]
        self.args["model_config"] = json.loads(args["model_config"])

    def execute(self, requests):
        text = np.array([[json.dumps(self.args, sort_keys=True)]], np.object_)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", text)]) for _ in requests]

    def finalize(self):
        pb_utils.Logger.log_info("finalized")
