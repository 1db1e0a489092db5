"""Every way in which ``execute`` can end; the parameter ``how`` names it."""

import json
import threading

import numpy as np

import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def out(array=None, name="OUT"):
    return pb_utils.Tensor(name, np.ones((1, 2), np.float32) if array is None else array)


def response(*tensors):
    return pb_utils.InferenceResponse(list(tensors) or [out()])


def attempt(function, *arguments, **keywords):
    """What a call raises, as text."""
    try:
        function(*arguments, **keywords)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def told(*texts):
    return pb_utils.Tensor("TEXT", np.array([list(texts)], np.object_))


class Ways:
    """Each method is one way, for a batch of one request."""

    def raises(self, request):
        raise ValueError("raised in execute")

    def raises_triton_model_exception(self, request):
        raise pb_utils.TritonModelException("the model says no")

    def raises_without_text(self, request):
        raise KeyError

    def raises_from_deeper(self, request):
        def deeper():
            return {}["key"]

        return deeper()

    def returns_no_list(self, request):
        return response()

    def returns_a_tuple(self, request):
        return (response(),)

    def returns_too_few(self, request):
        return []

    def returns_too_many(self, request):
        return [response(), response()]

    def returns_a_number(self, request):
        return [1]

    def returns_an_error_object(self, request):
        return [pb_utils.TritonError("not a response")]

    def error(self, request):
        code = json.loads(request.parameters())["code"]
        return [
            pb_utils.InferenceResponse(
                error=pb_utils.TritonError("told so", getattr(pb_utils.TritonError, code))
            )
        ]

    def error_without_a_code(self, request):
        return [pb_utils.InferenceResponse(error=pb_utils.TritonError("told so"))]

    def error_with_outputs(self, request):
        return [pb_utils.InferenceResponse([out()], pb_utils.TritonError("told so"))]

    def error_without_text(self, request):
        return [pb_utils.InferenceResponse(error=pb_utils.TritonError(""))]

    def both_outputs(self, request):
        return [response(told("a", "b"), out())]

    def one_output(self, request):
        return [response()]

    def no_outputs(self, request):
        return [pb_utils.InferenceResponse([])]

    def an_unknown_output(self, request):
        return [response(out(), out(name="MORE"))]

    def another_type(self, request):
        return [response(out(np.ones((1, 2), np.int32)))]

    def another_rank(self, request):
        return [response(out(np.ones((1, 2, 3), np.float32)))]

    def another_batch(self, request):
        return [response(out(np.ones((3, 2), np.float32)))]

    def one_output_twice(self, request):
        return [response(out(), out())]

    def an_empty_output(self, request):
        return [response(out(np.ones((1, 0), np.float32)))]

    def by_its_sender(self, request):
        sender = request.get_response_sender()
        sender.send(response(), FINAL)

    def by_its_sender_in_two_steps(self, request):
        sender = request.get_response_sender()
        sender.send(response())
        sender.send(flags=FINAL)

    def by_its_sender_later(self, request):
        sender = request.get_response_sender()
        threading.Timer(0.05, lambda: sender.send(response(), FINAL)).start()

    def by_its_sender_and_none_in_a_list(self, request):
        request.get_response_sender().send(response(), FINAL)
        return [None]

    def by_its_sender_with_an_error(self, request):
        error = pb_utils.InferenceResponse(
            error=pb_utils.TritonError("told by the sender", pb_utils.TritonError.NOT_FOUND)
        )
        request.get_response_sender().send(error, FINAL)

    def misusing_its_sender(self, request):
        sender = request.get_response_sender()
        texts = [attempt(sender.send), attempt(sender.send, flags=7), attempt(sender.send, flags=FINAL)]
        texts += [str(sender.is_cancelled()), attempt(sender.send, response(), 7)]
        sender.send(response(out(), told(*texts)), FINAL)

    def after_its_sender_is_closed(self, request):
        sender = request.get_response_sender()
        sender.send(response(), FINAL)
        assert attempt(sender.send, response(), FINAL) and attempt(sender.send, flags=FINAL)

    def with_two_senders(self, request):
        first = request.get_response_sender()
        first.send(response(out(), told(str(request.get_response_sender() is not None))), FINAL)

    def with_a_second_response(self, request):
        sender = request.get_response_sender()
        sender.send(response())
        text = attempt(sender.send, response())
        assert text.endswith("Non-decoupled model cannot send more than one response."), text
        sender.send(flags=FINAL)


class TritonPythonModel:
    def execute(self, requests):
        (request,) = requests
        return getattr(Ways(), json.loads(request.parameters())["how"])(request)
