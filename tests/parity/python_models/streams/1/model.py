"""Any number of responses; the parameter ``how`` names the way."""

import json
import threading
import time

import numpy as np

import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def response(*values):
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array(values, np.float32))])


def failed(text, *code):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, *code))


class Ways:
    """Each method answers one request."""

    def three_and_an_empty_final(self, request, sender):
        for number in range(3):
            sender.send(response(number))
        sender.send(flags=FINAL)

    def three_with_the_last_final(self, request, sender):
        sender.send(response(0))
        sender.send(response(1))
        sender.send(response(2), flags=FINAL)

    def none(self, request, sender):
        sender.send(flags=FINAL)

    def one(self, request, sender):
        sender.send(response(5), FINAL)

    def an_error_among_them(self, request, sender):
        sender.send(response(0))
        sender.send(failed("in the middle"))
        sender.send(response(2))
        sender.send(flags=FINAL)

    def an_error_at_the_end(self, request, sender):
        sender.send(response(0))
        sender.send(failed("at the end", pb_utils.TritonError.INVALID_ARG), FINAL)

    def from_a_thread(self, request, sender):
        def answer():
            for number in range(3):
                sender.send(response(number))
            sender.send(flags=FINAL)

        threading.Thread(target=answer).start()

    def outputs_of_other_shapes(self, request, sender):
        for count in range(1, 4):
            sender.send(response(*range(count)))
        sender.send(flags=FINAL)

    def raises(self, request, sender):
        raise ValueError("raised before any response")

    def raises_after_the_final_response(self, request, sender):
        sender.send(response(1), FINAL)
        raise ValueError("raised after the final response")

    def returns_a_list(self, request, sender):
        sender.send(response(1), FINAL)
        return [None]

    def what_is_raised(self, request, sender):
        texts = []
        for arguments in ((), (None, 7), (1,), ([],)):
            try:
                sender.send(*arguments)
            except Exception as error:
                texts.append(
                    str(error) if isinstance(error, pb_utils.TritonModelException) else type(error).__name__
                )
        sender.send(flags=FINAL)
        try:
            sender.send(response(1))
        except Exception as error:
            texts.append(str(error))
        TritonPythonModel.said = texts

    def what_was_raised(self, request, sender):
        sender.send(failed(json.dumps(TritonPythonModel.said)), FINAL)

    def until_it_is_cancelled(self, request, sender):
        sender.send(response(request.is_cancelled(), sender.is_cancelled()))

        def watch():
            end = time.monotonic() + 20
            while not (request.is_cancelled() and sender.is_cancelled()) and time.monotonic() < end:
                time.sleep(0.01)
            TritonPythonModel.cancelled = [request.is_cancelled(), sender.is_cancelled()]
            sender.send(flags=FINAL)

        threading.Thread(target=watch).start()

    def whether_it_was_cancelled(self, request, sender):
        sender.send(response(*TritonPythonModel.cancelled), FINAL)


class TritonPythonModel:
    said = ()
    cancelled = ()

    def execute(self, requests):
        for request in requests:
            how = json.loads(request.parameters())["how"]
            returned = getattr(Ways(), how)(request, request.get_response_sender())
            if returned is not None:
                return returned
