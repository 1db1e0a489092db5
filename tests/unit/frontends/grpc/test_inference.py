from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest

from tests.unit.builders import Answers, FakeScheduler, echo, echo_config, model
from tritium.core.request import InferenceRequest
from tritium.frontends.grpc.buffers import MessageBuffers
from tritium.frontends.grpc.inference import Inference
from tritium.protobuf_messages import service_messages
from tritium.protocol.grpc_forms import GrpcForms
from tritium.server import InferenceServer

MESSAGES = service_messages()


class OneModel:
    """As much of a server as an inference asks for."""

    def __init__(self) -> None:
        self.scheduler = FakeScheduler(echo)
        self.loaded = model(echo_config(max_batch_size=1 << 20), scheduler=self.scheduler)

    def model(self, name: str, version: int | None) -> Any:
        return self.loaded

    def infer(self, loaded: Any, request: InferenceRequest) -> None:
        loaded.enqueue(request, 1)
        self.scheduler.requests.clear()


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """What is let go of by counting references alone."""
    gc.disable()
    yield
    gc.enable()


def asking(rows: int) -> bytes:
    asked = MESSAGES.ModelInferRequest(model_name="echo", id="7")
    asked.inputs.add(name="IN", datatype="FP32", shape=[rows, 2])
    asked.raw_input_contents.append(np.arange(rows * 2, dtype=np.float32).tobytes())
    return bytes(asked.SerializeToString())


def test_the_memory_of_a_long_message_is_free_as_soon_as_it_is_answered() -> None:
    server = cast(InferenceServer, OneModel())
    buffers, forms, message = MessageBuffers(), GrpcForms(), asking(1 << 18)
    answers = Answers()
    inference = Inference(answers)
    lent = memoryview(buffers.lend(len(message)))
    lent[:] = message
    loaded, request = inference.read(server, forms, lent)
    del lent
    server.infer(loaded, request)
    assert answers.finals == [True]
    assert bytes(answers.responses[0].outputs[0].buffer) == message[-(1 << 21) :]
    del request
    answers.responses.clear()
    assert buffers.spare_bytes >= len(message)


class Owner(Inference):
    """Answers itself, as those of calls do, so that it and its stream know each other."""

    __slots__ = ("__weakref__", "finals")

    def __init__(self) -> None:
        super().__init__(self.on_response)
        self.finals = 0

    def on_response(self, response: Any, final: bool) -> None:
        self.finals += final


def test_an_inference_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    server, forms = cast(InferenceServer, OneModel()), GrpcForms()
    for _ in range(2):  # read anew, and by its form
        owner = Owner()
        gone = weakref.ref(owner)
        loaded, request = owner.read(server, forms, asking(2))
        server.infer(loaded, request)
        assert owner.finals == 1
        del owner, request
        assert gone() is None
