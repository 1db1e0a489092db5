"""``execute`` as a coroutine, which awaits other models side by side."""

import asyncio

import numpy as np

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    async def execute(self, requests):
        answers = [await self.answer(request) for request in requests]
        if any(request.request_id() == "raise" for request in requests):
            raise ValueError("raised in a coroutine")
        return answers

    async def answer(self, request):
        given = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
        if given.max() < 100:
            await asyncio.sleep(0.01)
            return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", given)])
        asked = [
            pb_utils.InferenceRequest(
                model_name="plain",
                requested_output_names=["OUT"],
                inputs=[pb_utils.Tensor("IN", given * factor)],
            ).async_exec()
            for factor in (1, 10)
        ]
        responses = await asyncio.gather(*asked)
        total = sum(response.output_tensors()[0].as_numpy() for response in responses)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.asarray(total, np.float32))])
