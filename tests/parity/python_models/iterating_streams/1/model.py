"""A response for each execution of a request, which goes back to its scheduler IN - 1 times."""

import numpy as np

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.done = {}

    def execute(self, requests):
        for request in requests:
            times = self.done[request.request_id()] = self.done.get(request.request_id(), 0) + 1
            last = times == int(pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()[0, 0])
            if not last:
                request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
            out = pb_utils.Tensor("OUT", np.full((1, 1), times, np.float32))
            flags = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if last else 0
            request.get_response_sender().send(pb_utils.InferenceResponse([out]), flags=flags)
