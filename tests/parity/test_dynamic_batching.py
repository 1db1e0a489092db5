"""The dynamic batchers of the real Triton and of tritium, given the same requests: who runs with whom.

Runs where the real Triton is set up (``tests/harness/peers.py``). Requests arrive one after the other,
while the model's only instance is busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2_grpc

from tests.harness.gates import GATED, LIMIT_S, Asked, Happened, behind_a_busy_instance, held, stream
from tests.harness.http import infer_json, wait_until
from tests.harness.models import write_python_model
from tests.harness.peers import Peer, Peers, both, served_by_both

SCHEDULERS = {
    "direct": "",
    "plain": "dynamic_batching { }",
    "preferred": "dynamic_batching { preferred_batch_size: [ 2 ] }",
    "levels": "dynamic_batching { priority_levels: 3 default_priority_level: 2 }",
    "small": "dynamic_batching { default_queue_policy { max_queue_size: 2 } }",
    "small_levels": """dynamic_batching { priority_levels: 2 default_priority_level: 1
        default_queue_policy { max_queue_size: 2 }
        priority_queue_policy { key: 2 value { max_queue_size: 1 } } }""",
    "late_rejected": """dynamic_batching { default_queue_policy {
        default_timeout_microseconds: 30000000 allow_timeout_override: true } }""",
    "late_delayed": """dynamic_batching { default_queue_policy { timeout_action: DELAY
        default_timeout_microseconds: 30000000 allow_timeout_override: true } }""",
    "no_override": "dynamic_batching { default_queue_policy { default_timeout_microseconds: 30000000 } }",
    "delay": "dynamic_batching { max_queue_delay_microseconds: 200000 }",
}
BOTH = ("IN", "more")
TWO = [("IN", "FP32", [-1]), ("more?", "FP32", [-1])]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    models = tmp_path_factory.mktemp("batching") / "models"
    out = [("OUT", "FP32", [3])]
    for name, scheduler in SCHEDULERS.items():
        write_python_model(models, name, GATED, max_batch_size=4, outputs=out, extra=scheduler)
    write_python_model(
        models, "optional", GATED, max_batch_size=4, inputs=TWO, outputs=out, extra=SCHEDULERS["plain"]
    )
    write_python_model(models, "ragged", GATED, max_batch_size=4, outputs=out, extra=SCHEDULERS["plain"])
    config = models / "ragged" / "config.pbtxt"
    config.write_text(config.read_text().replace("dims: [-1] }", "dims: [-1] allow_ragged_batch: true }", 1))
    pair = "instance_group { count: 2 }"
    for name, ordered in (("ordered", "preserve_ordering: true"), ("unordered", "")):
        write_python_model(
            models,
            name,
            GATED,
            max_batch_size=1,
            outputs=out,
            extra=f"dynamic_batching {{ {ordered} }} {pair}",
        )
    with served_by_both(models) as pair_of_peers:
        yield pair_of_peers


def many(count: int, **rest: Any) -> list[Asked]:
    return [Asked(f"r{number}", **rest) for number in range(count)]


def urgent(*priorities: int) -> list[Asked]:
    return [Asked(f"r{i} p{p}", parameters={"priority": p}) for i, p in enumerate(priorities)]


def wide(*rows: int) -> list[Asked]:
    return [Asked(f"r{i} x{size}", (size, 1)) for i, size in enumerate(rows)]


def long(*lengths: int) -> list[Asked]:
    return [Asked(f"r{i} {length}", (1, length)) for i, length in enumerate(lengths)]


def batches(found: Sequence[Happened]) -> list[int]:
    """The sizes of the executions, in their order."""
    sizes = {each[0]: each[1] for _, each in found if not isinstance(each, str)}
    return [sizes[execution] for execution in sorted(sizes)]


@pytest.mark.parametrize(
    ("model", "asked", "sizes"),
    [
        ("direct", many(3), [1, 1, 1]),
        ("direct", [Asked(f"r{p}", parameters={"priority": p, "timeout": 1}) for p in (3, 1, 2)], [1, 1, 1]),
        ("plain", many(6), [4, 2]),
        ("plain", many(8), [4, 4]),
        ("plain", wide(3, 3, 1), [1, 2]),
        ("plain", wide(2, 1, 2, 4, 1), [2, 1, 1, 1]),
        ("plain", long(1, 2, 1), [1, 1, 1]),
        ("plain", long(1, 1, 2, 2), [2, 2]),
        ("plain", [Asked("a"), Asked("b", value=-2), Asked("c")], [3]),
        ("plain", [Asked(f"r{p}", parameters={"priority": p}) for p in (3, 1, 2)], [3]),
        ("ragged", long(1, 2, 1, 5), [4]),
        ("optional", [Asked("a"), Asked("b", names=BOTH), Asked("c")], [1, 1, 1]),
        ("optional", [Asked("a", names=BOTH), Asked("b", names=BOTH[::-1]), Asked("c")], [2, 1]),
        ("preferred", many(5), [2, 2, 1]),
        ("preferred", many(2), [2]),
        ("levels", urgent(3, 3, 3, 2, 0, 1, 9), [4, 3]),
        ("levels", urgent(2, 1, 2, 1), [4]),
        ("no_override", [Asked(f"r{i}", parameters={"timeout": 1}) for i in range(2)], [2]),
    ],
)  # fmt: skip
def test_the_same_requests_run_together_in_the_same_order(
    peers: Peers, model: str, asked: list[Asked], sizes: list[int]
) -> None:
    theirs, ours = both(peers, lambda peer: behind_a_busy_instance(peer, model, asked))
    assert ours == theirs
    assert batches(ours) == sizes


@pytest.mark.parametrize(("model", "asked", "refused"), [
    ("small", many(4), 2),
    ("small_levels", urgent(1, 2, 1, 2, 1), 2),
])  # fmt: skip
def test_a_full_queue_refuses_the_same_requests(
    peers: Peers, model: str, asked: list[Asked], refused: int
) -> None:
    theirs, ours = both(
        peers, lambda peer: counted(peer, model, lambda: behind_a_busy_instance(peer, model, asked))
    )
    assert ours == theirs
    texts = [each for _, each in ours[0] if isinstance(each, str)]
    assert [text.endswith("Exceeds maximum queue size") for text in texts] == [True] * refused


def counted(peer: Peer, model: str, act: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
    """What ``act`` gives, and what the server counted meanwhile."""

    def counts() -> dict[str, int]:
        found = peer.statistics(model)
        stats = found["inference_stats"]
        more = {name: found[f"{name}_count"] for name in ("inference", "execution")}
        return {**more, **{name: stats[name]["count"] for name in ("success", "fail", "queue")}}

    before = counts()
    done = act()
    seen: list[dict[str, int]] = [before]

    def at_rest() -> bool:  # the last answer leaves before it is counted
        seen.append(counts())
        return seen[-1] == seen[-2] != before

    wait_until(at_rest, LIMIT_S, "it is counted")
    return done, {name: seen[-1][name] - before[name] for name in before}


def some_late(*ids: str) -> list[Asked]:
    """Requests of which those in capitals have a millisecond."""
    return [Asked(name, parameters={"timeout": 1000} if name.isupper() else {}) for name in ids]


def test_late_requests_are_rejected_in_the_same_words_and_counted(peers: Peers) -> None:
    asked = some_late("a", "B", "c", "D")
    theirs, ours = both(
        peers,
        lambda peer: counted(
            peer,
            "late_rejected",
            lambda: sorted(behind_a_busy_instance(peer, "late_rejected", asked), key=repr),
        ),
    )
    assert ours == theirs
    assert [name for name, each in ours[0] if each == "Request timeout expired"] == ["B", "D"]


def test_late_requests_run_last_where_the_policy_says_so(peers: Peers) -> None:
    asked = some_late("A", "b", "C", "d", "e", "f")
    theirs, ours = both(peers, lambda peer: behind_a_busy_instance(peer, "late_delayed", asked))
    assert ours == theirs
    assert [name for name, _ in ours] == ["b", "d", "e", "f", "A", "C"]


def test_a_request_that_is_cancelled_in_the_queue_never_runs_and_counts_as_failed(peers: Peers) -> None:
    def scene(peer: Peer) -> Any:
        def act() -> Any:
            with (
                held(peer, "plain") as go_on,
                stream(peer, "plain") as (ask, answers),
                grpc.insecure_channel(f"127.0.0.1:{peer.grpc_port}") as channel,
            ):
                call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
                ask(
                    Asked("first", (2, 1))
                )  # with it Triton has begun a batch, which the next one does not fit
                ask(Asked("second", (4, 1)))
                wait_until(lambda: peer.pending("plain") == 2, LIMIT_S, "two wait")
                leaving = call.future(Asked("leaving", (4, 1)).message("plain"), timeout=LIMIT_S)
                wait_until(lambda: peer.pending("plain") == 3, LIMIT_S, "three wait")
                leaving.cancel()
                ask(Asked("last", (4, 1)))
                wait_until(lambda: peer.pending("plain") >= 3, LIMIT_S, "the last one waits")
                go_on()
                return leaving.code().name, [answers.get(timeout=LIMIT_S)[0] for _ in range(3)]

        return counted(peer, "plain", act)

    theirs, ours = both(peers, scene)
    assert ours == theirs
    assert ours[0] == ("CANCELLED", ["first", "second", "last"])
    assert ours[1] == {"inference": 11, "execution": 4, "success": 4, "fail": 1, "queue": 4}


@pytest.mark.parametrize(
    ("model", "patience_s", "overtakes"), [("ordered", 0.3, False), ("unordered", LIMIT_S, True)]
)
def test_who_runs_on_another_instance_overtakes_unless_order_is_kept(
    peers: Peers, model: str, patience_s: float, overtakes: bool
) -> None:
    def scene(peer: Peer) -> bool:
        with ThreadPoolExecutor(1) as pool, held(peer, model) as go_on:
            quick = pool.submit(peer.unary, Asked("quick").message(model))
            done, _ = wait([quick], patience_s)
            go_on()
            assert quick.result()["id"] == "quick"
            return bool(done)

    assert both(peers, scene) == (overtakes, overtakes)


@pytest.mark.parametrize("model", ["ordered", "unordered"])
def test_answers_on_a_stream_come_in_the_order_of_the_requests(peers: Peers, model: str) -> None:
    def scene(peer: Peer) -> list[str]:
        with stream(peer, model) as (ask, answers):
            ask(Asked("slow", value=500_000))
            ask(Asked("quick"))
            return [answers.get(timeout=LIMIT_S)[0] for _ in range(2)]

    assert both(peers, scene) == (["slow", "quick"],) * 2


def test_a_lonely_request_is_answered_after_the_delay(peers: Peers) -> None:
    theirs, ours = both(peers, lambda peer: peer.infer("delay", infer_json([0.0])))
    assert ours == theirs
    assert ours["status"] == 200


@pytest.mark.parametrize("model", [*SCHEDULERS])
def test_configurations_are_shown_alike(peers: Peers, model: str) -> None:
    theirs, ours = both(peers, lambda peer: peer.ask("GET", f"/v2/models/{model}/config").json)
    assert ours == theirs
