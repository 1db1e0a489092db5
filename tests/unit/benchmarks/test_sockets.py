"""benchmarks.sockets: requests and answers as bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.load import LoadFailedError
from benchmarks.sockets import body_length, infer_request


def test_reads_the_length_of_the_body_and_not_that_of_the_inference_header() -> None:
    head = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 141\r\ncontent-length: 205\r\n\r\n"
    assert body_length(head) == 205


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 141\r\n\r\n",
    ],
    ids=["not 200", "chunked", "no length"],
)
def test_refuses_an_answer_that_is_not_200_or_has_no_length(head: bytes) -> None:
    with pytest.raises(LoadFailedError, match="expected 200 with a Content-Length"):
        body_length(head)


def test_describes_its_tensors_and_appends_their_bytes() -> None:
    data = np.arange(4, dtype=np.float32).reshape(1, 4)
    request = infer_request("m", {"INPUT0": data}, data)
    head = request.head.decode()
    header_bytes = int(head.split("Inference-Header-Content-Length: ")[1].split("\r\n")[0])
    header = json.loads(request.body[:header_bytes])
    assert header["inputs"][0]["shape"] == [1, 4]
    assert header["inputs"][0]["parameters"] == {"binary_data_size": 16}
    assert request.body[header_bytes:] == data.tobytes()
    assert f"\r\nContent-Length: {len(request.body)}\r\n\r\n" in head
    assert (request.answer_bytes, request.answer_data) == (16, data.tobytes())


def test_knows_only_the_size_of_an_answer_whose_data_is_not_known() -> None:
    request = infer_request("m", {"x": np.zeros((1, 4), dtype=np.float32)}, 64)
    assert (request.answer_bytes, request.answer_data) == (64, None)
