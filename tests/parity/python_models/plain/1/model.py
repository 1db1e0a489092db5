"""OUT is IN, and SEEN what the request said of itself; IN < 0 is an error, -100 an exception."""

import json

import numpy as np

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        given = pb_utils.get_input_tensor_by_name(request, "IN")
        code = -float(given.as_numpy().min(initial=0))
        if code == 100:
            raise ValueError("raised in the model that was asked")
        if code > 0:
            kind = (pb_utils.TritonError.NOT_FOUND, pb_utils.TritonError.CANCELLED)[int(code) - 1]
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("told so", kind))
        seen = {
            "id": request.request_id(),
            "correlation_id": request.correlation_id(),
            "flags": request.flags(),
            "timeout": request.timeout(),
            "parameters": json.loads(request.parameters()),
            "requested": sorted(request.requested_output_names()),
        }
        text = np.array([json.dumps(seen, sort_keys=True)], np.object_)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("OUT", given.as_numpy()), pb_utils.Tensor("SEEN", text)]
        )
