"""Sizes, shapes and datatypes that lie: 400 with both numbers, and no allocation beyond what was sent
(T34, T35; CVE-2025-23321/23323/23324/23326/23327/23331, CVE-2026-24146/24173/24174/24175/24210)."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.harness.http import Reply, infer_binary, infer_json
from tests.harness.models import ALL_TYPES, PLAIN, write_onnx_model, write_python_model
from tests.harness.server import GOOD, ServerProcess

BINARY = {"parameters": {"binary_data_output": True}}
KINDS = [
    kind for kind in ALL_TYPES if kind != "BF16"
]  # numpy has no such type: model.py cannot read it, as on Triton
ITEM_BYTES = {
    "BOOL": 1,
    "UINT8": 1,
    "UINT16": 2,
    "UINT32": 4,
    "UINT64": 8,
    "INT8": 1,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "FP16": 2,
    "FP32": 4,
    "FP64": 8,
    "BF16": 2,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("tensors")
    models = root / "models"
    write_python_model(models, "echo", PLAIN)
    write_onnx_model(models, "double")
    cube = {"inputs": [("IN", "FP32", [-1, -1, -1])], "outputs": [("OUT", "FP32", [-1, -1, -1])]}
    write_python_model(models, "cube", PLAIN, max_batch_size=0, **cube)  # type: ignore[arg-type]
    write_python_model(
        models,
        "two",
        max_batch_size=8,
        inputs=[("A", "FP32", [-1]), ("B", "FP32", [-1])],
        outputs=[("C", "FP32", [-1]), ("D", "FP32", [-1])],
    )
    for kind in KINDS:
        one = {"inputs": [("IN", kind, [-1])], "outputs": [("OUT", kind, [-1])]}
        write_python_model(models, f"one_{kind.lower()}", max_batch_size=0, **one)  # type: ignore[arg-type]
    write_python_model(models, "folded")
    folded = (models / "folded" / "config.pbtxt").read_text().replace("dims: [-1] }", "dims: [4] }", 1)
    folded = folded.replace("dims: [4] }", "dims: [4] reshape { shape: [2, 2] } }").replace(
        "dims: [-1] }", "dims: [2, 2] }"
    )
    (models / "folded" / "config.pbtxt").write_text(folded)
    with ServerProcess(models, "--model-load-threads", "2", log=root / "log") as running:
        yield running


def binary(server: ServerProcess, model: str, datatype: str, shape: list[int], data: bytes) -> Reply:
    body, headers = infer_binary([("IN", datatype, shape, data)], **BINARY)
    return server.infer(model, body, headers)


def declared(server: ServerProcess, size: Any, data: bytes = b"\0" * 8) -> Reply:
    document = {
        "inputs": [
            {"name": "IN", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": size}}
        ]
    }
    header = json.dumps(document).encode()
    return server.infer("echo", header + data, {"Inference-Header-Content-Length": str(len(header))})


WRONG_SIZES = [
    -1,
    -8,
    0,
    4,
    7,
    9,
    12,
    2**31 - 1,
    2**31,
    2**32,
    2**32 + 8,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    2**64 + 8,
    1e30,
    8.0,
    1.5,
    "8",
    True,
    None,
    [8],
    {},
]


@pytest.mark.parametrize("size", WRONG_SIZES, ids=str)
def test_t34_binary_sizes_that_lie_are_refused(server: ServerProcess, size: Any) -> None:
    before = server.rss_bytes()
    reply = declared(server, size)
    assert reply.status == 400
    assert reply.error
    assert server.rss_bytes() - before < 1 << 20


def test_t34_the_right_size_is_taken(server: ServerProcess) -> None:
    assert declared(server, 8).status == 200


HEADER_LENGTHS = [
    "",
    " ",
    "abc",
    "-1",
    "1e3",
    "99999999999",
    "9" * 40,
    "0x10",
    "+10",
    "10,10",
    "1 0",
    "1.0",
    "\uff11\uff10",
    "\t",
]


@pytest.mark.parametrize("value", HEADER_LENGTHS)
def test_cve_2026_24175_header_lengths_that_are_no_numbers_are_refused(
    server: ServerProcess, value: str
) -> None:
    with server.connect() as connection:
        fields = f"Inference-Header-Content-Length: {value}\r\nContent-Length: {len(GOOD)}"
        head = f"POST /v2/models/echo/infer HTTP/1.1\r\n{fields}\r\n\r\n"
        connection.send(head.encode() + GOOD)
        reply = connection.reply()
    assert reply is not None and reply.status == 400
    server.noted(reply)


def test_t34_header_length_past_the_body(server: ServerProcess) -> None:
    reply = server.infer("echo", GOOD, {"Inference-Header-Content-Length": str(len(GOOD) + 1)})
    assert reply.status == 400
    assert reply.error == f"inference header size should be in range (0, {len(GOOD)}), got: {len(GOOD) + 1}"
    assert server.infer("echo", GOOD, {"Inference-Header-Content-Length": str(len(GOOD))}).status == 200


@pytest.mark.parametrize("length", [1, 20, len(GOOD) - 1])
def test_t34_header_length_inside_the_json(server: ServerProcess, length: int) -> None:
    assert server.infer("echo", GOOD, {"Inference-Header-Content-Length": str(length)}).status == 400


ELEMENTS = {
    "cut length": b"\x05\0",
    "length beyond the data": b"\x09\0\0\0ab",
    "length 2^32-1": b"\xff\xff\xff\xffab",
    "length 2^31": b"\0\0\0\x80ab",
    "stray tail": b"\x02\0\0\0ab\x01\0",
    "no element": b"",
    "two elements": b"\x01\0\0\0a\x01\0\0\0b",
    "a million elements": b"\0\0\0\0" * 1_000_000,
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_t34_byte_elements_that_lie_are_refused(server: ServerProcess, name: str) -> None:
    reply = binary(server, "one_string", "BYTES", [1], ELEMENTS[name])
    assert reply.status == 400
    assert "'IN'" in reply.error


def test_t34_misaligned_tensors_are_read(server: ServerProcess) -> None:
    for padding in range(9):
        values = np.array([[1.5, -2.5]], np.float32)
        body, headers = infer_binary(
            [("IN", "FP32", [1, 2], values.tobytes())], id="x" * (padding + 1), **BINARY
        )
        reply = server.infer("double", body, headers)
        assert reply.status == 200
        assert np.frombuffer(reply.body[-8:], np.float32).tolist() == [3.0, -5.0]


def test_t34_two_binary_inputs_follow_each_other(server: ServerProcess) -> None:
    a, b = np.arange(4, dtype=np.float32), np.arange(6, dtype=np.float32)
    body, headers = infer_binary([("B", "FP32", [2, 3], b.tobytes()), ("A", "FP32", [2, 2], a.tobytes())])
    outputs = {o["name"]: o["data"] for o in server.infer("two", body, headers).json["outputs"]}
    assert outputs == {"C": a.tolist(), "D": b.tolist()}


def test_t34_requests_of_one_form_are_reshaped_each_time(server: ServerProcess) -> None:
    for i in range(4):
        data = np.arange(i, i + 4, dtype=np.float32).tobytes()
        reply = binary(server, "folded", "FP32", [1, 4], data)
        assert reply.status == 200, reply
        length = int(reply.headers["inference-header-content-length"])
        assert json.loads(reply.body[:length])["outputs"][0]["shape"] == [1, 2, 2]
        assert reply.body[length:] == data


@pytest.mark.parametrize("kind", KINDS)
def test_t34_every_datatype_comes_back_bit_by_bit(server: ServerProcess, kind: str) -> None:
    datatype = "BYTES" if kind == "STRING" else kind
    if datatype == "BYTES":
        data = b"".join(struct.pack("<I", len(e)) + e for e in (b"", b"a\0b", b"\xff\xfe", "ü".encode()))
        count = 4
    else:
        data = bytes(range(1, 1 + 4 * ITEM_BYTES[kind])) if kind != "BOOL" else b"\1\0\1\0"
        count = 4
    reply = binary(server, f"one_{kind.lower()}", datatype, [count], data)
    assert reply.status == 200, reply
    head, body = reply.body[: len(reply.body) - len(data)], reply.body[len(reply.body) - len(data) :]
    assert body == data
    assert json.loads(head)["outputs"][0]["datatype"] == datatype


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["JSON", "binary"])
def test_cve_2025_23321_no_elements_at_all(server: ServerProcess, kind: str, form: str) -> None:
    datatype = "BYTES" if kind == "STRING" else kind
    model = f"one_{kind.lower()}"
    if form == "binary":
        reply = binary(server, model, datatype, [0], b"")
    else:
        reply = server.infer(model, infer_json([], shape=[0], datatype=datatype))
    assert reply.status == (400 if form == "JSON" and kind == "FP16" else 200), reply
    assert binary(server, model, datatype, [], b"").status == 400


ZERO_SHAPES = [
    [0, 0, 0],
    [0, 1, 2],
    [1, 0, 2**31],
    [0, 2**62, 2**62],
    [0, 2**63 - 1, 2],
    [2**63, 0, 1],
    [2**64 - 1, 0, 2**64 - 1],
]


@pytest.mark.parametrize("shape", ZERO_SHAPES, ids=str)
def test_cve_2025_23321_shapes_with_a_zero(server: ServerProcess, shape: list[int]) -> None:
    """However large the others are, there is nothing to hold: an answer, or the client's mistake."""
    for reply in (
        server.infer("cube", infer_json([], shape=shape)),
        binary(server, "cube", "FP32", shape, b""),
    ):
        assert reply.status == (200 if max(shape) < 2**60 else 400), reply


DIMS: list[Any] = [
    2**31 - 1,
    2**31,
    2**32,
    2**40,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    2**65,
    -1,
    -2,
    -(2**31),
    -(2**63),
    1e30,
    1.5,
    2.0,
    "3",
    True,
    None,
    [2],
    {},
]


@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("model", ["echo", "double", "cube"])
def test_cve_2025_23323_dimensions_that_lie_are_refused(server: ServerProcess, model: str, dim: Any) -> None:
    before = server.rss_bytes()
    rest = [1, 1] if model == "cube" else [1]
    for shape in ([*rest, dim], [dim, *rest], [dim] * (len(rest) + 1)):
        began = time.monotonic()
        reply = server.infer(model, infer_json([1, 2], shape=shape))
        assert reply.status == 400, (shape, reply)
        document = {
            "inputs": [
                {"name": "IN", "shape": shape, "datatype": "FP32", "parameters": {"binary_data_size": 8}}
            ]
        }
        header = json.dumps(document).encode()
        reply = server.infer(model, header + b"\0" * 8, {"Inference-Header-Content-Length": str(len(header))})
        assert reply.status == 400, (shape, reply)
        assert time.monotonic() - began < 5
    assert server.rss_bytes() - before < 2 << 20


PRODUCTS = [
    [2**32, 2**32, 1],
    [2**31, 2**33, 1],
    [2**62, 4, 1],
    [2**16, 2**24, 2**24],
    [3037000500, 3037000500, 2],
    [2**64 - 1, 1, 1],
]


@pytest.mark.parametrize("shape", PRODUCTS, ids=str)
def test_cve_2025_23324_products_that_overflow_are_refused(server: ServerProcess, shape: list[int]) -> None:
    """Modulo 2^64 some of these have no elements, or one."""
    for data in ([], [1.0], [1.0, 2.0]):
        assert server.infer("cube", infer_json(data, shape=shape)).status == 400
        assert binary(server, "cube", "FP32", shape, np.array(data, np.float32).tobytes()).status == 400


def test_cve_2025_23331_a_huge_shape_with_two_elements(server: ServerProcess) -> None:
    before = server.rss_bytes()
    reply = server.infer("echo", infer_json([1, 2], shape=[1, 1099511627776]))
    assert (reply.status, reply.error) == (
        400,
        "Unable to parse 'data': Shape does not match true shape of 'data' field",
    )
    assert server.rss_bytes() - before < 1 << 20
    server.assert_three_ok()


@pytest.mark.parametrize("rank", [3, 64, 65, 1000, 100_000])
def test_t35_ranks_that_do_not_fit_are_refused(server: ServerProcess, rank: int) -> None:
    for model in ("echo", "cube", "double"):
        if (model, rank) != ("cube", 3):
            assert server.infer(model, infer_json([1], shape=[1] * rank)).status == 400


@pytest.mark.parametrize(
    "datatype", ["FP64", "INT32", "BYTES", "STRING", "FP8", "fp32", "", "TYPE_FP32", "FP32 ", "x" * 10_000]
)
def test_t35_datatypes_that_do_not_fit_are_refused(server: ServerProcess, datatype: str) -> None:
    data = ["1"] if datatype == "BYTES" else [1]
    reply = server.infer("echo", infer_json(data, datatype=datatype))
    assert reply.status == 400
    assert server.infer("echo", infer_json([1], datatype=None)).status == 400  # type: ignore[arg-type]


def named(*names: str, outputs: Any = None) -> bytes:
    inputs = [{"name": name, "shape": [1, 1], "datatype": "FP32", "data": [1]} for name in names]
    return json.dumps({"inputs": inputs, **({} if outputs is None else {"outputs": outputs})}).encode()


@pytest.mark.parametrize(
    "names",
    [(), ("A",), ("B",), ("A", "A"), ("A", "B", "B"), ("A", "B", "C"), ("A", "X"), ("", "A"), ("a", "b")],
    ids=str,
)
def test_t35_inputs_that_do_not_fit_are_refused(server: ServerProcess, names: tuple[str, ...]) -> None:
    assert server.infer("two", named(*names)).status == 400
    assert server.infer("two", named("A", "B")).status == 200


def test_t35_a_hundred_thousand_inputs_or_outputs_are_refused(server: ServerProcess) -> None:
    before = server.rss_bytes()
    many = [{"name": f"X{i}"} for i in range(100_000)]
    began = time.monotonic()
    assert server.infer("two", named("A", "B", outputs=many)).status == 400
    assert server.infer("two", named("A", "B", outputs=[{"name": "C"}] * 1000)).status == 400
    assert server.infer("two", named("A", "B", outputs=[{"name": "C"}] * 100_000)).status == 400
    assert server.infer("two", named(*(f"X{i}" for i in range(20_000)))).status == 400
    assert server.infer("two", named(*["A"] * 20_000)).status == 400
    assert server.infer("two", named(*(f"X{i}" for i in range(30_000)), "X29999")).status == 400
    distinct = [{"name": f"X{i}"} for i in range(60_000)]
    assert server.infer("two", named("A", "B", outputs=[*distinct, distinct[-1]])).status == 400
    assert time.monotonic() - began < 40
    assert server.rss_bytes() - before < 100 << 20


@pytest.mark.parametrize("output", ["X", "", "c", "C ", "A"])
def test_t35_unknown_outputs_are_refused(server: ServerProcess, output: str) -> None:
    reply = server.infer("two", named("A", "B", outputs=[{"name": output}]))
    assert (reply.status, reply.error) == (400, f"unexpected inference output '{output}' for model 'two'")


@pytest.mark.parametrize("rows", [0, 9, 2**31, 2**32, 2**63])
def test_t35_batches_that_do_not_fit_are_refused(server: ServerProcess, rows: int) -> None:
    assert server.infer("echo", infer_json([1.0] * min(rows, 9), shape=[rows, 1])).status == 400
    assert binary(server, "echo", "FP32", [rows, 0], b"").status in {200, 400}


@pytest.mark.parametrize("count", [-1, 2**64, 1e30, 1.5, "1", True, None])
def test_t35_classification_counts_that_lie_are_refused(server: ServerProcess, count: Any) -> None:
    body = json.loads(GOOD) | {"outputs": [{"name": "OUT", "parameters": {"classification": count}}]}
    assert server.infer("echo", json.dumps(body).encode()).status == 400


@pytest.mark.parametrize("count", [1, 3, 4, 2**31, 2**63 - 1])
def test_t35_classification_gives_at_most_what_there_is(server: ServerProcess, count: int) -> None:
    body = json.loads(GOOD) | {"outputs": [{"name": "OUT", "parameters": {"classification": count}}]}
    reply = server.infer("echo", json.dumps(body).encode())
    assert reply.json["outputs"][0]["data"] == ["3.000000:2", "2.000000:1", "1.000000:0"][:count]


def test_t35_classification_of_nothing(server: ServerProcess) -> None:
    wanted = [{"name": "OUT", "parameters": {"classification": 3}}]
    for shape in ([0, 1, 2], [0, 0, 0], [3, 0, 1]):
        assert server.infer("cube", infer_json([], shape=shape, outputs=wanted)).status == 200


def test_all_is_well_afterwards(server: ServerProcess) -> None:
    server.assert_three_ok()
