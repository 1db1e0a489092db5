"""OUT tells what a request says of itself, as JSON, and MORE is IN."""

import json

import numpy as np

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        text = json.dumps(self.seen(request), sort_keys=True)
        outputs = [
            pb_utils.Tensor("OUT", np.array([[text]], np.object_)),
            pb_utils.Tensor("MORE", pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()),
        ]
        return pb_utils.InferenceResponse(outputs)

    def seen(self, request):
        flags = request.flags()
        request.set_flags(2)
        return {
            "id": request.request_id(),
            "correlation_id": request.correlation_id(),
            "flags": [flags, request.flags()],
            "timeout": request.timeout(),
            "parameters": json.loads(request.parameters()),
            "parameters_type": type(request.parameters()).__name__,
            "requested": sorted(request.requested_output_names()),
            "requested_type": type(request.requested_output_names()).__name__,
            "inputs": [
                [each.name(), list(each.shape()), str(each.as_numpy().dtype)] for each in request.inputs()
            ],
            "strings": [
                str(text)
                for each in request.inputs()
                if each.name() == "TEXT"
                for text in each.as_numpy().flat
            ],
            "cancelled": request.is_cancelled(),
        }
