"""Loads and unloads other models; OUT tells as JSON what became of it."""

import json
import time

import numpy as np

import triton_python_backend_utils as pb_utils

CONFIG = """{"name": "late", "backend": "python", "max_batch_size": 0,
"input": [{"name": "IN", "data_type": "TYPE_FP32", "dims": [-1]}],
"output": [{"name": "OUT", "data_type": "TYPE_FP32", "dims": [-1]}],
"parameters": {"sent": {"string_value": "along"}}}"""
SENT = b"""
import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        out = pb_utils.Tensor("OUT", np.full(1, 77, np.float32))
        return [pb_utils.InferenceResponse([out]) for _ in requests]
"""


def outcome(function, *arguments, **keywords):
    try:
        return function(*arguments, **keywords)
    except Exception as error:
        return [type(error).__name__, str(error)]


def first_of(model):
    made = pb_utils.InferenceRequest(
        model_name=model,
        inputs=[pb_utils.Tensor("IN", np.full(1, 3, np.float32))],
        requested_output_names=["OUT"],
    )
    response = made.exec()
    return (
        response.error().message()
        if response.has_error()
        else response.output_tensors()[0].as_numpy().tolist()
    )


def gone(model):
    """Whether it is not ready any more, after a while."""
    end = time.monotonic() + 10
    while pb_utils.is_model_ready(model) and time.monotonic() < end:
        time.sleep(0.01)
    return not pb_utils.is_model_ready(model)


class Ways:
    def load_and_unload(self):
        return [
            pb_utils.is_model_ready("late"),
            outcome(pb_utils.load_model, "late"),
            pb_utils.is_model_ready("late"),
            pb_utils.is_model_ready("late", "1"),
            pb_utils.is_model_ready("late", "2"),
            first_of("late"),
            outcome(pb_utils.unload_model, "late"),
            gone("late"),
            first_of("late"),
        ]

    def load_with_a_config(self):
        return [
            outcome(pb_utils.load_model, model_name="late", config=CONFIG),
            first_of("late"),
            outcome(pb_utils.unload_model, model_name="late", unload_dependents=True),
            gone("late"),
        ]

    def load_with_files(self):
        files = {"file:1/model.py": SENT}
        return [
            outcome(pb_utils.load_model, "late", CONFIG, files),
            first_of("late"),
            outcome(pb_utils.unload_model, "late"),
            gone("late"),
        ]

    def load_files_without_a_config(self):
        return outcome(pb_utils.load_model, "late", files={"file:1/model.py": SENT})

    def load_what_is_not_there(self):
        return outcome(pb_utils.load_model, "nope")

    def load_what_is_broken(self):
        return outcome(pb_utils.load_model, "raises_in_initialize")

    def load_with_a_config_that_is_none(self):
        return outcome(pb_utils.load_model, "late", "{")

    def unload_what_is_not_there(self):
        return outcome(pb_utils.unload_model, "nope")


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            found = getattr(Ways(), json.loads(request.parameters())["how"])()
            text = np.array([json.dumps(found)], np.object_)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", text)]))
        return responses
