"""Strings in reverse order, as the elements that arrived."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            elements = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
            assert elements.dtype == object and all(isinstance(each, bytes) for each in elements.flat)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", elements[:, ::-1])]))
        return responses
