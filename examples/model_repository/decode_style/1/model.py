import io

import numpy as np
import triton_python_backend_utils as pb_utils
from PIL import Image, ImageOps

SIDE = 256
MAX_PIXELS = 50_000_000


class TritonPythonModel:
    """Reads a picture and cuts a square out of its middle."""

    def execute(self, requests):
        return [self.decode(pb_utils.get_input_tensor_by_name(request, "JPEG")) for request in requests]

    def decode(self, tensor):
        try:
            picture = Image.open(io.BytesIO(tensor.as_numpy()[0]))
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"it has {picture.width} x {picture.height} pixels, more than 50 million")
            picture = ImageOps.exif_transpose(picture).convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            text = f"STYLE is no picture that can be read: {error}"
            return pb_utils.InferenceResponse(
                error=pb_utils.TritonError(text, pb_utils.TritonError.INVALID_ARG)
            )
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.LANCZOS)
        image = np.asarray(square, np.float32)[None] / 255
        return pb_utils.InferenceResponse([pb_utils.Tensor("IMAGE", image)])
