import io

import numpy as np
import triton_python_backend_utils as pb_utils
from PIL import Image, ImageOps

SIDE = 384
MAX_PIXELS = 50_000_000


class TritonPythonModel:
    """Reads a picture and fits it into a square, without stretching it."""

    def execute(self, requests):
        return [self.decode(pb_utils.get_input_tensor_by_name(request, "JPEG")) for request in requests]

    def decode(self, tensor):
        try:
            picture = Image.open(io.BytesIO(tensor.as_numpy()[0]))
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"it has {picture.width} x {picture.height} pixels, more than 50 million")
            picture = ImageOps.exif_transpose(picture).convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            text = f"CONTENT is no picture that can be read: {error}"
            return pb_utils.InferenceResponse(
                error=pb_utils.TritonError(text, pb_utils.TritonError.INVALID_ARG)
            )
        scale = SIDE / max(picture.size)
        width, height = (max(1, round(side * scale)) for side in picture.size)
        small = np.asarray(picture.resize((width, height), Image.LANCZOS), np.float32) / 255
        image = np.pad(small, ((0, SIDE - height), (0, SIDE - width), (0, 0)), mode="reflect")
        size = np.array([height, width, picture.height, picture.width], np.int32)
        outputs = [pb_utils.Tensor("IMAGE", image[None]), pb_utils.Tensor("SIZE", size)]
        return pb_utils.InferenceResponse(outputs)
