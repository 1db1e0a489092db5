"""What the functions and classes of pb_utils answer: the parameter ``probe`` names one of these functions."""

import json
import os

import numpy as np

import triton_python_backend_utils as pb_utils

NUMBERS = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
TYPES = [
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "STRING",
    "BF16",
]


def outcome(function, *arguments, **keywords):
    """What a call returns, or what it raises."""
    try:
        return plain(function(*arguments, **keywords))
    except Exception as error:
        return [type(error).__name__, str(error)]


def kind(function, *arguments, **keywords):
    """The type of what a call raises, for texts that the binding generator writes; else what it returns."""
    try:
        return plain(function(*arguments, **keywords))
    except Exception as error:
        return [type(error).__name__]


def plain(value):
    if isinstance(value, np.ndarray):
        return [str(value.dtype), list(value.shape), plain(value.tolist())]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return type(value).__name__


def described(tensor):
    return [tensor.name(), list(tensor.shape()), tensor.is_cpu(), plain(tensor.as_numpy())]


def tensor(array, name="X"):
    return pb_utils.Tensor(name, array)


def probe_names(request):
    return [name for name in dir(pb_utils) if not name.startswith("_")]


def probe_constants(request):
    return {name: plain(getattr(pb_utils, name)) for name in dir(pb_utils) if name.startswith("TRITONSERVER")}


def probe_number_tensors(request):
    return [described(tensor(np.array([[0, 1], [1, 0]], name))) for name in NUMBERS + FLOATS]


def probe_tensor_types(request):
    return [kind(tensor(np.zeros(1, name)).triton_dtype) for name in NUMBERS + FLOATS]


def probe_bytes_tensors(request):
    return described(tensor(np.array([b"a", b"", b"\xff\x00"], np.object_)))


def probe_unicode_objects(request):
    return described(tensor(np.array(["a", "\u732b"], np.object_)))


def probe_fixed_length_bytes(request):
    return outcome(lambda: described(tensor(np.array([b"a", b"bc"]))))


def probe_unsupported_dtypes(request):
    arrays = [np.array(["a"]), np.array([1j]), np.array(["2024-01-01"], "M8[D]")]
    return [outcome(tensor, array) for array in arrays]


def probe_empty_name(request):
    return outcome(pb_utils.Tensor, "", np.zeros(1, np.float32))


def probe_no_array(request):
    return [kind(pb_utils.Tensor, "X", value) for value in ([1.0], 1.0, None)]


def probe_layouts(request):
    whole = np.arange(12, dtype=np.float32).reshape(3, 4)
    return [
        described(tensor(array)) for array in (whole[:, ::2], whole.T, whole[1:], np.asfortranarray(whole))
    ]


def probe_empty_and_scalar_shapes(request):
    arrays = [np.zeros((0, 3), np.int32), np.zeros((), np.float32), np.zeros((1, 1, 1), np.float64)]
    return [described(tensor(array)) for array in arrays]


def probe_as_numpy_is_the_array(request):
    array = np.zeros(3, np.float32)
    wrapped = tensor(array)
    array[0] = 5
    return [plain(wrapped.as_numpy()), wrapped.as_numpy() is array]


def probe_input_is_writable(request):
    array = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
    array[0] = 9
    return [bool(array.flags.writeable), plain(request.inputs()[0].as_numpy())]


def probe_dlpack_round_trip(request):
    shapes = [np.arange(6, dtype=name).reshape(2, 3) for name in NUMBERS[1:] + FLOATS]
    return [described(pb_utils.Tensor.from_dlpack("Y", tensor(array).to_dlpack())) for array in shapes]


def probe_dlpack_shares_memory(request):
    array = np.zeros(3, np.float32)
    imported = pb_utils.Tensor.from_dlpack("Y", tensor(array).to_dlpack())
    array[1] = 7
    return plain(imported.as_numpy())


def probe_dlpack_of_an_input(request):
    given = request.inputs()[0]
    return described(pb_utils.Tensor.from_dlpack("Y", given.to_dlpack()))


def probe_dlpack_protocol(request):
    array = np.from_dlpack(tensor(np.arange(3, dtype=np.int32)))
    return [plain(array), list(tensor(np.zeros(1, np.int8)).__dlpack_device__())]


def probe_dlpack_from_a_tensor(request):
    return described(pb_utils.Tensor.from_dlpack("Y", tensor(np.arange(3, dtype=np.int64))))


def probe_dlpack_twice(request):
    capsule = tensor(np.zeros(2, np.float32)).to_dlpack()
    pb_utils.Tensor.from_dlpack("Y", capsule)
    return kind(pb_utils.Tensor.from_dlpack, "Z", capsule)


def probe_dlpack_of_strings(request):
    return outcome(tensor(np.array([b"a"], np.object_)).to_dlpack)


def probe_dlpack_without_a_name(request):
    return outcome(pb_utils.Tensor.from_dlpack, "", tensor(np.zeros(1, np.float32)).to_dlpack())


def probe_dlpack_of_something_else(request):
    return [kind(pb_utils.Tensor.from_dlpack, "X", value) for value in (1, "capsule")]


def probe_byte_strings(request):
    array = np.array([[b"a", b""], [b"\x00\xff", b"bc"]], np.object_)
    encoded = pb_utils.serialize_byte_tensor(array)
    return [plain(encoded), plain(pb_utils.deserialize_bytes_tensor(encoded))]


def probe_byte_strings_of_other_arrays(request):
    arrays = [np.array(["a", "\u732b"], np.object_), np.array([b"ab"]), np.array([1, 2.5], np.object_)]
    return [outcome(pb_utils.serialize_byte_tensor, each) for each in arrays]


def probe_byte_strings_of_nothing(request):
    return plain(pb_utils.serialize_byte_tensor(np.array([], np.object_)))


def probe_byte_strings_of_numbers(request):
    return kind(pb_utils.serialize_byte_tensor, np.array([1, 2]))


def probe_type_names(request):
    return [[name, plain(pb_utils.triton_string_to_numpy("TYPE_" + name))] for name in TYPES[:-1]]


def probe_type_name_that_is_none(request):
    return [kind(pb_utils.triton_string_to_numpy, name) for name in ("FP32", "TYPE_NOPE", "")]


def probe_type_numbers(request):
    return [[number, plain(pb_utils.triton_to_numpy_type(number))] for number in range(1, 14)]


def probe_numpy_types(request):
    types = [np.bool_, np.object_, np.bytes_, *map(np.dtype, NUMBERS + FLOATS)]
    types += [getattr(np, name) for name in NUMBERS[1:] + FLOATS]
    return [plain(pb_utils.numpy_to_triton_type(each)) for each in types]


def probe_numpy_type_of_pythons_bool(request):
    return pb_utils.numpy_to_triton_type(bool)


def probe_numpy_type_that_is_none(request):
    return [kind(pb_utils.numpy_to_triton_type, each) for each in (np.complex64, "float32")]


def probe_lookups(request):
    config = {"input": [{"name": "A", "dims": [1]}], "output": [{"name": "B"}]}
    response = pb_utils.InferenceResponse([tensor(np.zeros(1, np.float32), "B")])
    return [
        pb_utils.get_input_config_by_name(config, "A"),
        pb_utils.get_input_config_by_name(config, "B"),
        pb_utils.get_output_config_by_name(config, "B"),
        pb_utils.get_output_config_by_name({}, "B"),
        plain(pb_utils.get_output_tensor_by_name(response, "A")),
        described(pb_utils.get_output_tensor_by_name(response, "B")),
        plain(pb_utils.get_input_tensor_by_name(request, "NOPE")),
        described(pb_utils.get_input_tensor_by_name(request, "IN")),
    ]


def probe_decoupled_policy(request):
    configs = [{}, *({"model_transaction_policy": {"decoupled": decoupled}} for decoupled in (True, False))]
    return [outcome(pb_utils.using_decoupled_model_transaction_policy, config) for config in configs]


def probe_decoupled_policy_that_is_empty(request):
    return outcome(pb_utils.using_decoupled_model_transaction_policy, {"model_transaction_policy": {}})


def probe_errors(request):
    made = [pb_utils.TritonError("a"), pb_utils.TritonError(message="b", code=pb_utils.TritonError.CANCELLED)]
    return [[error.message(), plain(int(error.code()))] for error in made]


def probe_error_codes(request):
    names = [
        "UNKNOWN",
        "INTERNAL",
        "NOT_FOUND",
        "INVALID_ARG",
        "UNAVAILABLE",
        "UNSUPPORTED",
        "ALREADY_EXISTS",
        "CANCELLED",
    ]
    return [int(getattr(pb_utils.TritonError, name)) for name in names]


def probe_errors_that_are_none(request):
    return [kind(pb_utils.TritonError), kind(pb_utils.TritonError, 1), kind(pb_utils.TritonError, "a", "b")]


def probe_responses(request):
    response = pb_utils.InferenceResponse(output_tensors=[tensor(np.ones(2, np.int8), "A")])
    failed = pb_utils.InferenceResponse(error=pb_utils.TritonError("no"))
    return [
        [described(each) for each in response.output_tensors()],
        response.has_error(),
        plain(response.error()),
        failed.has_error(),
        failed.error().message(),
        plain(failed.output_tensors()),
    ]


def probe_responses_that_are_none(request):
    return [
        outcome(pb_utils.InferenceResponse, [None]),
        kind(pb_utils.InferenceResponse, [1]),
        kind(pb_utils.InferenceResponse, [], "text"),
        kind(pb_utils.InferenceResponse, 1),
    ]


def probe_made_requests(request):
    made = pb_utils.InferenceRequest(
        request_id="id",
        correlation_id=7,
        inputs=[tensor(np.zeros(1, np.float32))],
        flags=1,
        timeout=5,
        requested_output_names=["B", "A"],
        model_name="m",
        model_version=3,
        parameters={"a": 1, "b": "c", "d": True},
    )
    made_flags = made.flags()
    made.set_flags(3)
    return [
        made.request_id(),
        made.correlation_id(),
        made.timeout(),
        made_flags,
        made.flags(),
        plain(made.requested_output_names()),
        json.loads(made.parameters()),
        [each.name() for each in made.inputs()],
    ]


def probe_made_requests_by_default(request):
    made = pb_utils.InferenceRequest(inputs=[], requested_output_names=["A"], model_name="m")
    return [made.request_id(), made.correlation_id(), made.timeout(), made.flags(), made.parameters()]


def probe_string_correlation_ids(request):
    made = pb_utils.InferenceRequest(
        inputs=[], requested_output_names=["A"], model_name="m", correlation_id="seq"
    )
    return made.correlation_id()


def probe_requests_that_are_none(request):
    def make(**keywords):
        given = {"inputs": [], "requested_output_names": ["A"], "model_name": "m", **keywords}
        return pb_utils.InferenceRequest(**given)

    return [
        outcome(make, inputs=[None]),
        outcome(make, requested_output_names=[""]),
        kind(make, inputs=["X"]),
        outcome(make, correlation_id=1.5),
        outcome(make, parameters={"a": [1]}),
        outcome(make, parameters={1: "a"}),
        kind(make, parameters="a"),
        kind(make, preferred_memory=1),
        kind(pb_utils.InferenceRequest),
        kind(pb_utils.InferenceRequest, model_name="m", inputs=[]),
    ]


def probe_preferred_memory(request):
    made = pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0)
    return [plain(made), kind(pb_utils.PreferredMemory, 7), kind(pb_utils.PreferredMemory)]


def probe_bytes_for_strings(request):
    """A string tensor has bytes, and models pass them on as they are."""
    family = pb_utils.MetricFamily
    made = pb_utils.InferenceRequest(
        inputs=[tensor(np.zeros(1, np.float32), b"X")],
        requested_output_names=[b"A"],
        model_name=b"m",
        request_id=b"id",
    )
    error = pb_utils.TritonError(b"told")
    array = np.zeros(1, np.float32)
    return [
        [made.request_id(), plain(made.requested_output_names()), made.inputs()[0].name()],
        [error.message(), pb_utils.Logger.log_info(b"said"), pb_utils.Logger.log(b"said")],
        pb_utils.Tensor.from_dlpack(b"Y", tensor(array).to_dlpack()).name(),
        [outcome(pb_utils.is_model_ready, b"probes"), outcome(pb_utils.is_model_ready, b"probes", b"1")],
        kind(pb_utils.InferenceRequest, inputs=[], requested_output_names=["A"], model_name=1),
        kind(pb_utils.InferenceRequest, inputs=[], requested_output_names=[1], model_name="m"),
        kind(pb_utils.InferenceRequest, inputs=[], requested_output_names=[], model_name="m", request_id=1),
        kind(pb_utils.InferenceRequest, inputs=[], requested_output_names="AB", model_name="m"),
        kind(tensor, array, 1),
        kind(pb_utils.is_model_ready, 1),
        plain(family(b"named_by_bytes", b"said", family.COUNTER)),
    ]


def probe_integers_of_numpy(request):
    made = pb_utils.InferenceRequest(
        inputs=[],
        requested_output_names=["A"],
        model_name="m",
        model_version=np.int64(3),
        flags=np.int32(1),
        timeout=np.uint64(5),
    )
    return [made.flags(), made.timeout()]


def probe_fractions_for_integers(request):
    given = {"inputs": [], "requested_output_names": ["A"], "model_name": "m"}
    names = ("model_version", "flags", "timeout")
    return [kind(pb_utils.InferenceRequest, **given, **{name: 1.0}) for name in names]


def probe_bytes_as_correlation_id(request):
    return kind(
        pb_utils.InferenceRequest,
        inputs=[],
        requested_output_names=["A"],
        model_name="m",
        correlation_id=b"seq",
    )


def probe_bytes_as_parameter(request):
    def made(parameters):
        given = {"inputs": [], "requested_output_names": ["A"], "model_name": "m"}
        return json.loads(pb_utils.InferenceRequest(parameters=parameters, **given).parameters())

    return [kind(made, {"a": b"b"}), kind(made, {b"a": "b"})]


def probe_trace(request):
    def ask(**keywords):
        made = pb_utils.InferenceRequest(inputs=[], requested_output_names=["A"], model_name="m", **keywords)
        return [plain(made.trace()), made.trace().get_context()]

    trace = request.trace()
    refused = [kind(ask, trace=value) for value in (None, "x", 1)]
    return [plain(trace), trace.get_context(), ask(), ask(trace=trace), *refused]


def probe_received_request(request):
    return [
        request.is_cancelled(),
        plain(request.requested_output_names()),
        request.timeout(),
        request.flags(),
        plain(request.set_release_flags(1)),
        request.correlation_id(),
        request.request_id(),
        sorted(json.loads(request.parameters())),
    ]


def probe_release_flags_that_are_none(request):
    return kind(request.set_release_flags, 7)


def probe_logger(request):
    logger = pb_utils.Logger
    returned = [
        getattr(logger, name)("said") for name in ("log_info", "log_warn", "log_error", "log_verbose")
    ]
    returned += [logger.log("said"), logger.log("said", logger.ERROR)]
    return [
        returned,
        [plain(int(level)) for level in (logger.INFO, logger.WARNING, logger.ERROR, logger.VERBOSE)],
    ]


def probe_logger_misused(request):
    return [kind(pb_utils.Logger.log_info), kind(pb_utils.Logger.log, "x", 77)]


def probe_logged_numbers(request):
    return kind(pb_utils.Logger.log_info, 1)


def probe_model_dir(request):
    return os.path.basename(os.path.dirname(pb_utils.get_model_dir())), os.path.basename(
        pb_utils.get_model_dir()
    )


def probe_models_ready(request):
    asked = [("probes",), ("probes", "1"), ("probes", "2"), ("nope",), ("probes", "")]
    return [outcome(pb_utils.is_model_ready, *arguments) for arguments in asked]


def probe_async_exec_without_a_loop(request):
    made = pb_utils.InferenceRequest(inputs=[], requested_output_names=["A"], model_name="m")
    return outcome(made.async_exec)


def probe_where_it_is_imported(request):
    return [
        __name__,
        TritonPythonModel.__module__,
        os.path.basename(__file__),
        os.path.basename(os.getcwd()) != "",
    ]


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            found = globals()["probe_" + json.loads(request.parameters())["probe"]](request)
            text = np.array([json.dumps(plain(found) if not isinstance(found, dict) else found)], np.object_)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", text)]))
        return responses
