import io

import numpy as np
import triton_python_backend_utils as pb_utils
from PIL import Image

QUALITY = 90


class TritonPythonModel:
    """Cuts the mirror image off, scales back, and writes a JPEG."""

    def execute(self, requests):
        return [pb_utils.InferenceResponse([self.encode(request)]) for request in requests]

    def encode(self, request):
        image = pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy()[0]
        height, width, full_height, full_width = pb_utils.get_input_tensor_by_name(request, "SIZE").as_numpy()
        pixels = (np.clip(image[:height, :width], 0, 1) * 255 + 0.5).astype(np.uint8)
        picture = Image.fromarray(pixels).resize((int(full_width), int(full_height)), Image.LANCZOS)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=QUALITY)
        return pb_utils.Tensor("JPEG", np.array([file.getvalue()], object))
