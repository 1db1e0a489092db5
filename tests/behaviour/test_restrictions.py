"""Calls that want a secret, and headers that become parameters, over both protocols."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

from tests.harness.models import write_python_model
from tests.harness.server import ServerProcess

PARAMETERS = """
class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([r.parameters().encode()], object))])
            for r in requests
        ]
"""
SECRET = {"admin": "secret"}
GRPC_SECRET = {"triton-grpc-protocol-admin": "secret"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("restricted")
    inputs, outputs = [("IN", "FP32", [1])], [("OUT", "STRING", [1])]
    write_python_model(
        root / "models", "parameters", PARAMETERS, inputs=inputs, outputs=outputs, max_batch_size=0
    )
    flags = [
        "--http-restricted-api", "model-repository,statistics:admin=secret",
        "--grpc-restricted-protocol", "model-repository,statistics:admin=secret",
        "--http-header-forward-pattern", "x-|own", "--grpc-header-forward-pattern", "x-|own",
    ]  # fmt: skip
    with ServerProcess(root / "models", *flags, log=root / "log", known_good="parameters") as running:
        yield running


@pytest.fixture(params=["http", "grpc"])
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Any]:
    library = httpclient if request.param == "http" else grpcclient
    port = server.http_port if request.param == "http" else server.grpc_port
    with library.InferenceServerClient(f"127.0.0.1:{port}") as made:
        made.library = library
        made.secret = SECRET if request.param == "http" else GRPC_SECRET
        yield made


def seen(client: Any, headers: dict[str, str] | None = None, **parameters: Any) -> dict[str, Any]:
    """The parameters that the model saw."""
    given = client.library.InferInput("IN", [1], "FP32")
    given.set_data_from_numpy(np.zeros(1, np.float32))
    answer = client.infer("parameters", [given], headers=headers, parameters=parameters or None)
    return dict(json.loads(answer.as_numpy("OUT")[0]))


def test_headers_that_match_are_parameters_of_the_requests_they_came_with(client: Any) -> None:
    for value in ("1", "2"):  # the second one is read by what is remembered of the first
        assert seen(client, {"x-foo": value, "y": "3"})["x-foo"] == value
    assert "x-foo" not in seen(client)
    assert "y" not in seen(client, {"x-foo": "1", "y": "3"})


def test_a_header_outranks_a_parameter_of_the_same_name(client: Any) -> None:
    assert seen(client, {"x-own": "header"}, **{"x-own": "body", "n": 1}) == {"x-own": "header", "n": 1}


def test_restricted_calls_want_the_secret(client: Any) -> None:
    for headers in (None, dict.fromkeys(client.secret, "wrong")):
        with pytest.raises(InferenceServerException, match="is restricted, expecting header"):
            client.get_model_repository_index(headers=headers)
        with pytest.raises(InferenceServerException, match="is restricted, expecting header"):
            client.get_inference_statistics(headers=headers)
    assert client.get_model_repository_index(headers=client.secret)
    assert client.get_inference_statistics(headers=client.secret)


def test_other_calls_do_not(client: Any) -> None:
    assert client.is_server_live()
    assert client.get_server_metadata()
