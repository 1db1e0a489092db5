"""BF16, which numpy does not have: through DLPack, as what arrived, and what ``as_numpy`` says."""

import numpy as np

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        given = pb_utils.get_input_tensor_by_name(request, "IN")
        try:
            text = str(given.as_numpy())
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
        copy = pb_utils.Tensor.from_dlpack("OUT", given.to_dlpack())
        text = f"{list(copy.shape())} {text}"
        return pb_utils.InferenceResponse([copy, pb_utils.Tensor("TEXT", np.array([text], np.object_))])
