"""Models that ask other models (BLS), and what they are answered."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.http import Reply, infer_json
from tests.harness.models import PLAIN, write_python_model
from tests.harness.pipeline_models import ASYNC_CALLER, CALLER, CHAIN, LATER, REPEAT
from tests.harness.server import ServerProcess

DECOUPLED = "model_transaction_policy { decoupled: true }"
NOT_DECOUPLED = (
    "Model repeat is using the decoupled. The current BLS request call doesn't support models using the "
    "decoupled transaction policy. Please use 'decoupled=True' argument to the 'exec' or 'async_exec' calls "
    "for decoupled models.'"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("asking")
    models = root / "models"
    for name in ("echo", "plain"):
        write_python_model(models, name, PLAIN)
    write_python_model(models, "caller", CALLER)
    write_python_model(models, "async_caller", ASYNC_CALLER)
    for name in ("a", "b", "c", "quick"):
        write_python_model(models, name, CHAIN)
    write_python_model(models, "pair", CHAIN, extra="instance_group { count: 2 }")
    write_python_model(models, "repeat", REPEAT, extra=DECOUPLED)
    write_python_model(models, "later", LATER, extra=DECOUPLED)
    with ServerProcess(models, log=root / "log") as running:
        yield running
        running.assert_three_ok()


def call(server: ServerProcess, data: list[float], **parameters: str | int) -> Reply:
    return server.infer("caller", infer_json(data, parameters=parameters))


def outputs(reply: Reply) -> list[float]:
    assert reply.status == 200, reply.body
    found: list[float] = reply.json["outputs"][0]["data"]
    return found


def test_a_model_answers_with_what_another_one_answered(server: ServerProcess) -> None:
    assert outputs(call(server, [1, 2])) == [1, 2]
    assert outputs(call(server, [3], version=1)) == [3]


def test_large_tensors_go_to_another_model_and_back(server: ServerProcess) -> None:
    data = [float(i % 251) for i in range(200_000)]
    assert outputs(call(server, data)) == data


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"model": "nope"}, "Failed for execute the inference request. Model 'nope' is not ready."),
        ({"version": 7}, "Failed for execute the inference request. Model 'plain' is not ready."),
        ({"output": "X"}, "unexpected inference output 'X' for model 'plain'"),
        ({"model": "repeat"}, NOT_DECOUPLED),
    ],
)
def test_failures_come_back_as_error_responses(
    server: ServerProcess, asked: dict[str, str | int], text: str
) -> None:
    reply = call(server, [1], **asked)
    model = asked.get("model", "plain")
    assert (reply.status, reply.error) == (500, f"Model {model} - Error when running inference: {text}")


@pytest.mark.parametrize("model", ["repeat", "later"])
def test_the_responses_of_a_decoupled_model_are_iterated_with_the_empty_last_one(
    server: ServerProcess, model: str
) -> None:
    assert outputs(call(server, [3], model=model, how="stream")) == [4, 0, 1, 2]


def test_an_ordinary_model_gives_an_iterator_one_response(server: ServerProcess) -> None:
    assert outputs(call(server, [5], how="stream")) == [1, 5]


def test_coroutines_await_several_models_at_once(server: ServerProcess) -> None:
    for _ in range(3):
        assert outputs(server.infer("async_caller", infer_json([1, 2]))) == [111, 222]


def test_many_clients_get_the_answers_of_their_own_requests(server: ServerProcess) -> None:
    def one(number: int) -> bool:
        model = ("caller", "async_caller")[number % 2]
        factor = (1, 111)[number % 2]
        reply = server.infer(model, infer_json([number]))
        return outputs(reply) == [number * factor]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(200)))


def chain(server: ServerProcess, *names: str) -> Reply:
    return server.infer(names[0], infer_json([4], parameters={"next": ",".join(names[1:])}))


def test_models_may_ask_in_chains_and_one_with_two_instances_may_ask_itself(server: ServerProcess) -> None:
    assert outputs(chain(server, "a", "b", "c")) == [4]
    assert outputs(chain(server, "pair", "a", "pair", "b")) == [4]


@pytest.mark.parametrize(
    "names", [("a", "a"), ("a", "b", "a"), ("a", "b", "c", "a"), ("pair", "pair", "pair")]
)
def test_a_model_that_waits_for_itself_is_told_so_and_goes_on(
    server: ServerProcess, names: tuple[str, ...]
) -> None:
    reply = chain(server, *names)
    assert reply.status == 503
    assert reply.error.startswith("deadlock: ")
    assert all(f"waits for '{name}'" in reply.error for name in names[1:])
    assert outputs(chain(server, names[0])) == [4]


def test_a_model_that_is_given_requests_in_advance_is_not_given_its_own(server: ServerProcess) -> None:
    for _ in range(50):  # quick ones, so that it gets more than one at a time
        assert outputs(chain(server, "quick")) == [4]
    reply = chain(server, "quick", "quick")
    assert (reply.status, reply.error[:10]) == (503, "deadlock: ")
    assert outputs(chain(server, "quick")) == [4]
