"""What was sent comes back, through numpy."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor("O_" + each.name()[2:], each.as_numpy())
                    for each in sorted(request.inputs(), key=pb_utils.Tensor.name)
                ]
            )
            for request in requests
        ]
