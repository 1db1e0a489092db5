"""Asks other models; the parameter ``how`` names the way, and OUT tells as JSON what came back."""

import json

import numpy as np

import triton_python_backend_utils as pb_utils


def tensor(*values, name="IN"):
    return pb_utils.Tensor(name, np.array(values, np.float32))


def asked(model="plain", inputs=None, outputs=("OUT",), **keywords):
    return pb_utils.InferenceRequest(
        model_name=model,
        inputs=[tensor(1, 2)] if inputs is None else inputs,
        requested_output_names=list(outputs),
        **keywords,
    )


def told(response):
    """A response as JSON can say it."""
    if response.has_error():
        return ["error", int(response.error().code()), response.error().message()]
    return [
        [each.name(), list(each.shape()), each.is_cpu(), [shown(value) for value in each.as_numpy().tolist()]]
        for each in response.output_tensors()
    ]


def shown(value):
    return value.decode() if isinstance(value, bytes) else value


def raised(function, *arguments, **keywords):
    try:
        return ["no error", str(type(function(*arguments, **keywords)).__name__)]
    except Exception as error:
        return [type(error).__name__, str(error)]


class Ways:
    def one_output(self, request):
        return told(asked().exec())

    def all_that_was_said(self, request):
        made = asked(
            outputs=["SEEN"],
            request_id="inner",
            correlation_id=9,
            timeout=5_000_000,
            parameters={"a": 1, "b": "c", "d": True},
        )
        return told(made.exec())

    def a_string_correlation_id(self, request):
        return told(asked(outputs=["SEEN"], correlation_id="seq").exec())

    def flags(self, request):
        made = asked(
            outputs=["SEEN"], correlation_id=5, flags=pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START
        )
        first = told(made.exec())
        made.set_flags(pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END)
        return [first, told(made.exec())]

    def a_version(self, request):
        return [told(asked(model_version=version).exec()) for version in (1, -1, 7)]

    def no_outputs(self, request):
        return [[each[0] for each in told(asked(outputs=[]).exec())]]

    def no_such_model(self, request):
        return told(asked("nope").exec())

    def no_such_output(self, request):
        return told(asked(outputs=["X"]).exec())

    def no_such_input(self, request):
        return told(asked(inputs=[tensor(1, name="X")]).exec())

    def no_inputs(self, request):
        return told(asked(inputs=[]).exec())

    def another_type(self, request):
        return told(asked(inputs=[pb_utils.Tensor("IN", np.array([1], np.int32))]).exec())

    def another_rank(self, request):
        return told(asked(inputs=[pb_utils.Tensor("IN", np.ones((1, 2), np.float32))]).exec())

    def errors_of_the_model(self, request):
        return [told(asked(inputs=[tensor(-code)]).exec()) for code in (1, 2)]

    def an_exception_of_the_model(self, request):
        return told(asked(inputs=[tensor(-100)]).exec())

    def the_input_that_came(self, request):
        return told(asked(inputs=request.inputs()).exec())

    def preferred_memory(self, request):
        made = asked(preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU))
        return told(made.exec())

    def its_trace(self, request):
        return told(asked(trace=request.trace()).exec())

    def the_same_request_twice(self, request):
        made = asked()
        return [told(made.exec()), told(made.exec())]

    def large(self, request):
        answer = asked(inputs=[pb_utils.Tensor("IN", np.arange(300_000, dtype=np.float32))]).exec()
        return [answer.has_error(), float(answer.output_tensors()[0].as_numpy().sum())]

    def through_dlpack(self, request):
        answer = asked().exec()
        copy = pb_utils.Tensor.from_dlpack("IN", answer.output_tensors()[0].to_dlpack())
        return told(asked(inputs=[copy]).exec())

    def decoupled_without_saying_so(self, request):
        return told(asked("streams", parameters={"how": "one"}).exec())

    def ordinary_as_decoupled(self, request):
        return [told(each) for each in asked().exec(decoupled=True)]

    def no_such_model_as_decoupled(self, request):
        return [told(each) for each in asked("nope").exec(decoupled=True)]

    def three_and_an_empty_final(self, request):
        return self.stream("three_and_an_empty_final")

    def three_with_the_last_final(self, request):
        return self.stream("three_with_the_last_final")

    def none(self, request):
        return self.stream("none")

    def from_a_thread(self, request):
        return self.stream("from_a_thread")

    def next_by_next(self, request):
        responses = asked("streams", parameters={"how": "three_with_the_last_final"}).exec(decoupled=True)
        found = [told(next(responses)) for _ in range(3)]
        return [found, raised(next, responses), iter(responses) is responses]

    def two_iterators_side_by_side(self, request):
        how = {"how": "three_with_the_last_final"}
        streams = [asked("streams", parameters=how).exec(decoupled=True) for _ in range(2)]
        return [[told(next(stream)) for stream in streams] for _ in range(3)]

    def an_iterator_that_is_dropped(self, request):
        responses = asked("streams", parameters={"how": "from_a_thread"}).exec(decoupled=True)
        first = told(next(responses))
        del responses
        return [first, told(asked().exec())]

    def parameters_of_every_type(self, request):
        parameters = {"text": "a", "number": -(2**40), "yes": True, "no": False, "empty": ""}
        return told(asked(outputs=["SEEN"], parameters=parameters).exec())

    def names_as_bytes(self, request):
        return told(asked(b"plain", inputs=[tensor(1, 2, name=b"IN")], outputs=[b"OUT"]).exec())

    def strings(self, request):
        texts = pb_utils.Tensor("IN", np.array([[b"a", b"", b"\xff"]], np.object_))
        answer = asked("strings", inputs=[texts]).exec()
        (found,) = answer.output_tensors()
        return [[text.decode("latin-1") for text in row] for row in found.as_numpy().tolist()]

    def stream(self, how):
        return [told(each) for each in asked("streams", parameters={"how": how}).exec(decoupled=True)]


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            found = getattr(Ways(), json.loads(request.parameters())["how"])(request)
            text = np.array([json.dumps(found)], np.object_)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", text)]))
        return responses
