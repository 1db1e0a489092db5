"""The decoder of inference bodies against twenty thousand made-up ones: it decodes or says what is wrong."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput
from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import DATATYPES, DataType, decode_bytes
from tritium.core.validation import RequestRules
from tritium.errors import ErrorCode, TritiumError
from tritium.protocol.json_codec import decode_infer_request

BODIES_PER_SEED = 100
CONFIG = ModelConfig(
    name="m",
    max_batch_size=8,
    input=(ModelInput(name="IN", data_type="TYPE_FP32", dims=(-1,)),),
    output=(ModelOutput(name="OUT", data_type="TYPE_FP32", dims=(-1,)),),
)
RULES = RequestRules(CONFIG)
MISTAKES = {ErrorCode.INVALID_ARG, ErrorCode.UNSUPPORTED}
KINDS = [kind for kind in DataType if kind not in {DataType.FP16, DataType.BF16}]
TOKENS = [
    b"[",
    b"]",
    b"{",
    b"}",
    b'"',
    b",",
    b":",
    b"-",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"\0",
    b"\xff",
    b"\\u",
    b"9" * 20,
    b"inputs",
]


def decode(body: bytes, header_length: int | None) -> InferenceRequest | None:
    """The request, or None if the body was refused, which must be the client's mistake."""
    try:
        request, _ = decode_infer_request(body, header_length, CONFIG, None, ResponseStream(lambda *_: None))
        RULES.check(request)
    except TritiumError as error:
        assert error.code in MISTAKES
        assert str(error)
        return None
    return request


def mutated(dice: random.Random, data: bytes) -> bytes:
    """``data`` with a few of its bytes changed, gone, repeated, or joined by tokens of JSON."""
    found = bytearray(data)
    for _ in range(dice.randint(1, 5)):
        at = dice.randrange(len(found) + 1)
        kind = dice.randrange(4)
        if kind == 0:
            found[at : at + 1] = bytes([dice.randrange(256)])
        elif kind == 1:
            del found[at : at + dice.randint(1, 10)]
        elif kind == 2:
            found[at:at] = found[at : at + dice.randint(1, 30)]
        else:
            found[at:at] = dice.choice(TOKENS)
    return bytes(found)


def plain(dice: random.Random) -> tuple[bytes, int | None]:
    """A body that is right: JSON, or JSON and binary."""
    rows, size = dice.randint(1, 8), dice.randint(1, 4)
    values = [dice.choice([0, 1.5, -2, 1e30, 7e-40]) for _ in range(rows * size)]
    tensor: dict[str, Any] = {"name": "IN", "shape": [rows, size], "datatype": "FP32"}
    extra = {"id": "x", "parameters": {"a": 1, "b": "c", "d": True}, "outputs": [{"name": "OUT"}]}
    document = {"inputs": [tensor], **dict(dice.sample(sorted(extra.items()), dice.randint(0, 3)))}
    if dice.random() < 0.5:
        tensor["data"] = values
        return json.dumps(document).encode(), None
    binary = np.array(values, np.float32).tobytes()
    tensor["parameters"] = {"binary_data_size": len(binary)}
    header = json.dumps(document).encode()
    return header + binary, len(header)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_mutated_bodies_are_decoded_or_refused(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(BODIES_PER_SEED):
        body, header_length = plain(dice)
        assert decode(body, header_length) is not None
        body = mutated(dice, body)
        if header_length is not None and dice.random() < 0.5:
            header_length = dice.choice(
                [0, 1, header_length - 1, header_length, header_length + 1, len(body), 2**62]
            )
        request = decode(body, header_length)
        if request is not None:
            (tensor,) = request.inputs
            assert tensor.array().nbytes == 4 * math.prod(tensor.shape)
            assert 1 <= request.batch_size <= 8


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.one_of(st.none(), st.integers(0, 400)))
def test_noise_is_decoded_or_refused(body: bytes, header_length: int | None) -> None:
    decode(body, header_length)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    ["inputs", "outputs", "id", "parameters", "name", "shape", "datatype", "data", "binary_data_size"]
)
DOCUMENTS = st.dictionaries(
    MEMBERS, JSON_VALUES | st.lists(st.dictionaries(MEMBERS, JSON_VALUES, max_size=5), max_size=3), max_size=5
)


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS)
def test_documents_of_any_types_are_decoded_or_refused(document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    decode(body, None)
    decode(body + b"\0" * 8, len(body))


def reference(kind: DataType, shape: list[int], data: Any) -> list[Any] | None:
    """What JSON data mean, read by other means: the elements, or None if they do not fit."""
    flat: list[Any] = []
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value))
        else:
            flat.append(value)
    of_kind = {
        "b": lambda v: isinstance(v, bool),
        "O": lambda v: isinstance(v, str),
        "f": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
        "i": lambda v: type(v) is int and -(2**63) <= v < 2**63,
        "u": lambda v: type(v) is int and 0 <= v < 2**64,
    }[kind.numpy.kind]
    if not isinstance(data, list) or len(flat) != math.prod(shape) or not all(map(of_kind, flat)):
        return None
    if kind is DataType.BYTES:
        return [value.encode() for value in flat]
    if kind.numpy.kind in "iu":
        bits = 8 * kind.itemsize
        wrapped = [value % 2**bits for value in flat]
        return [v - 2**bits if kind.numpy.kind == "i" and v >= 2 ** (bits - 1) else v for v in wrapped]
    with np.errstate(over="ignore"):
        found: list[Any] = np.array(flat, kind.numpy).tolist()
    return found


SCALARS = (
    st.integers(-(2**65), 2**65)
    | st.integers(-300, 300)
    | st.floats(allow_nan=False, width=32)
    | st.booleans()
    | st.text(max_size=3)
)
UNIFORM = st.one_of(
    st.lists(st.integers(-300, 300), max_size=6),
    st.lists(st.floats(allow_nan=False, width=32), max_size=6),
    st.lists(st.booleans(), max_size=6),
    st.lists(st.text(max_size=3), max_size=6),
    st.lists(SCALARS, max_size=4),
)
NESTED = UNIFORM | st.lists(UNIFORM, max_size=3)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(KINDS), st.lists(st.integers(0, 6), max_size=2), NESTED, st.booleans())
def test_json_data_mean_what_another_reader_says(
    kind: DataType, shape: list[int], data: Any, fitting: bool
) -> None:
    if fitting:
        shape = [len(json.dumps(data).replace("[", "").replace("]", "").split(",")) if data else 0]
    document = {"inputs": [{"name": "IN", "shape": shape, "datatype": kind.value, "data": data}]}
    expected = reference(kind, shape, data)
    try:
        request, _ = decode_infer_request(
            json.dumps(document).encode(), None, CONFIG, None, ResponseStream(lambda *_: None)
        )
    except TritiumError as error:
        assert error.code in MISTAKES
        assert expected is None, error
        return
    (tensor,) = request.inputs
    assert expected is not None
    assert (tensor.shape, tensor.datatype) == (tuple(shape), DATATYPES[kind.value])
    found = (
        decode_bytes(tensor.buffer, "IN").tolist()
        if kind is DataType.BYTES
        else np.frombuffer(tensor.buffer, kind.numpy).tolist()
    )
    if kind.numpy.kind == "f":  # rapidjson, Triton's reader, may be off by one unit in the last place
        np.testing.assert_allclose(found, expected, rtol=1e-15 if kind is DataType.FP64 else 1e-6)
    else:
        assert found == expected
