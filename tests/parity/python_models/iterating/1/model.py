"""Requests that their model gives back, to be executed again: the parameter ``how`` names the way.

OUT tells as JSON what the request said of itself in each execution.
"""

import json

import numpy as np

import triton_python_backend_utils as pb_utils

AGAIN = pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE
ALL = pb_utils.TRITONSERVER_REQUEST_RELEASE_ALL


def response(found):
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([[json.dumps(found)]], np.object_))])


class Ways:
    """Each method ends one execution of a request: ``times`` counts them from 1."""

    def three_times(self, request, times, found):
        if times < 3:
            request.set_release_flags(AGAIN)
            return None
        return response(found)

    def once(self, request, times, found):
        request.set_release_flags(ALL)
        return response(found)

    def both_flags(self, request, times, found):
        request.set_release_flags(AGAIN)
        request.set_release_flags(ALL)
        return response(found)

    def an_answer_as_well(self, request, times, found):
        request.set_release_flags(AGAIN if times < 2 else ALL)
        return response(found)

    def then_an_error(self, request, times, found):
        if times < 2:
            request.set_release_flags(AGAIN)
            return None
        return pb_utils.InferenceResponse(
            error=pb_utils.TritonError("no more", pb_utils.TritonError.UNAVAILABLE)
        )

    def then_by_its_sender(self, request, times, found):
        if times < 2:
            request.set_release_flags(AGAIN)
            return None
        request.get_response_sender().send(response(found), pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        return None

    def then_raises(self, request, times, found):
        if times < 2:
            request.set_release_flags(AGAIN)
            return None
        raise ValueError("raised in the second execution")


class TritonPythonModel:
    def initialize(self, args):
        self.found = {}

    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        found = self.found.setdefault(request.request_id(), [])
        value = float(pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()[0, 0])
        found.append([value, request.flags(), request.correlation_id() != 0, request.is_cancelled()])
        how = json.loads(request.parameters())["how"]
        return getattr(Ways(), how)(request, len(found), found)
