from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tritium.scheduling.step_graph import GraphStep, StepGraph
from tritium.scheduling.step_progress import StepCall, StepProgress

Path = tuple[int, ...]  # the result of each decoupled step that led there
Value = tuple[str, Path]


def progress(graph: StepGraph, *outputs: str, limit: int = 100) -> StepProgress[str]:
    return StepProgress(graph.plan(outputs), limit)


def is_over(run: StepProgress[str]) -> bool:
    """Asked by a function, for the type checker thinks that a property keeps its value."""
    return run.over


def is_congested(run: StepProgress[str]) -> bool:
    return run.congested


def steps(calls: list[StepCall[str]]) -> list[int]:
    return [call.step for call in calls]


def finish(run: StepProgress[str], call: StepCall[str], **tensors: str) -> list[StepCall[str]]:
    """The only answer of a call, and its end."""
    return [*run.respond(call, tensors), *run.end(call)]


DIAMOND = StepGraph(
    "e",
    ["IN"],
    ["OUT"],
    [
        GraphStep(("IN",), ("x",)),
        GraphStep(("x",), ("left",)),
        GraphStep(("x",), ("right",)),
        GraphStep(("left", "right"), ("OUT",)),
    ],
)
STREAM = StepGraph(
    "e", ["IN"], ["OUT"], [GraphStep(("IN",), ("x",), decoupled=True), GraphStep(("x",), ("OUT",))]
)


def test_a_step_starts_when_its_last_tensor_arrives() -> None:
    run = progress(DIAMOND)
    (first,) = run.begin({"IN": "i"})
    assert first.step == 0
    assert first.inputs(DIAMOND.plan(())) == {"IN": "i"}
    left, right = finish(run, first, x="X")
    assert steps([left, right]) == [1, 2]
    assert finish(run, right, right="R") == []
    (last,) = finish(run, left, left="L")
    assert last.inputs(DIAMOND.plan(())) == {"left": "L", "right": "R"}
    assert run.take() == []
    assert finish(run, last, OUT="done") == []
    assert is_over(run)
    assert run.take() == [[("OUT", "done")]]
    assert run.take() == []


def test_what_a_step_leaves_out_arrives_as_nothing() -> None:
    run = progress(DIAMOND)
    (first,) = run.begin({"IN": "i"})
    left, right = finish(run, first)
    assert left.inputs(DIAMOND.plan(())) == {"x": None}
    (last,) = [*run.end(left), *finish(run, right, right="R")]
    assert last.inputs(DIAMOND.plan(())) == {"left": None, "right": "R"}
    run.end(last)
    assert run.take() == [[]]


def test_an_input_that_a_request_leaves_out_is_nothing_too() -> None:
    graph = StepGraph("e", ["A", "B"], ["OUT"], [GraphStep(("A", "B"), ("OUT",))])
    (call,) = progress(graph).begin({"A": "a"})
    assert call.inputs(graph.plan(())) == {"A": "a", "B": None}


def test_every_result_of_a_decoupled_step_goes_on_by_itself_and_responses_keep_its_order() -> None:
    run = progress(STREAM)
    (source,) = run.begin({"IN": "i"})
    (first,) = run.respond(source, {"x": "0"})
    (second,) = run.respond(source, {"x": "1"})
    assert second.inputs(STREAM.plan(())) == {"x": "1"}
    finish(run, second, OUT="one")
    assert run.take() == []
    finish(run, first, OUT="zero")
    assert run.take() == [[("OUT", "zero")], [("OUT", "one")]]
    assert not is_over(run)
    run.end(source)
    assert is_over(run)
    assert run.take() == []


def test_a_decoupled_step_may_give_nothing() -> None:
    run = progress(STREAM)
    (source,) = run.begin({"IN": "i"})
    assert run.end(source) == []
    assert is_over(run)
    assert run.take() == []


def test_calls_beyond_the_limit_are_held_back_and_start_in_order() -> None:
    run = progress(STREAM, limit=2)
    (source,) = run.begin({"IN": "i"})
    started = [call for number in range(4) for call in run.respond(source, {"x": str(number)})]
    assert len(started) == 2
    assert is_congested(run)
    (third,) = finish(run, started[0], OUT="0")
    assert third.inputs(STREAM.plan(())) == {"x": "2"}
    (fourth,) = finish(run, started[1], OUT="1")
    assert not is_congested(run)
    run.end(source)
    finish(run, fourth, OUT="3")
    assert not is_over(run)
    finish(run, third, OUT="2")
    assert [outputs[0][1] for outputs in run.take()] == ["0", "1", "2", "3"]
    assert is_over(run)


def test_only_the_first_answer_of_a_step_counts_that_gives_one() -> None:
    run = progress(DIAMOND)
    (first,) = run.begin({"IN": "i"})
    assert len(run.respond(first, {"x": "X"})) == 2
    assert run.respond(first, {"x": "again"}) == []
    run.end(first)
    assert run.end(first) == []
    assert not is_over(run)


def test_it_is_not_over_before_steps_end_that_nobody_waits_for() -> None:
    graph = StepGraph("e", ["IN"], ["OUT"], [GraphStep(("IN",), ("log",)), GraphStep(("IN",), ("OUT",))])
    run = progress(graph)
    log, work = run.begin({"IN": "i"})
    finish(run, work, OUT="o")
    assert not is_over(run)
    finish(run, log, log="l")
    assert is_over(run)


# -- against a slow model --


@dataclass
class Expected:
    """What a request must do, worked out from the graph without any of the product's code."""

    runs: set[tuple[int, Path]] = field(default_factory=set)
    responses: list[tuple[tuple[str, str], ...]] = field(default_factory=list)


def random_graph(rng: random.Random) -> StepGraph:
    """Up to 8 steps; what is made from different decoupled steps never meets."""
    origin: dict[str, int] = {f"I{n}": -1 for n in range(rng.randint(1, 3))}
    inputs = list(origin)
    made: list[GraphStep] = []
    for index in range(rng.randint(1, 8)):
        wanted = rng.choice(list(set(origin.values())))
        choice = sorted(name for name, source in origin.items() if source == wanted)
        reads = tuple(rng.sample(choice, rng.randint(1, min(3, len(choice)))))
        writes = tuple(f"t{index}{letter}" for letter in "ab"[: rng.randint(1, 2)])
        decoupled = rng.random() < 0.3
        made.append(GraphStep(reads, writes, decoupled))
        origin.update(dict.fromkeys(writes, index if decoupled else wanted))
    written = [name for name in origin if name not in inputs]
    source = origin[rng.choice(written)]
    same = [name for name in written if origin[name] == source]
    return StepGraph("e", inputs, rng.sample(same, rng.randint(1, len(same))), made)


def counts_of(seed: int, step: int, path: Path) -> int:
    """How many results a decoupled step gives there."""
    return random.Random(f"{seed} {step} {path}").randint(0, 3)


def expected_of(graph: StepGraph, outputs: tuple[str, ...], seed: int) -> Expected:
    """All runs and responses, by going through the steps in their order as often as anything changes."""
    needed = needed_steps(graph, outputs)
    values: dict[tuple[str, Path], str] = {(name, ()): name for name in graph.plan(()).inputs}
    expected = Expected()
    changed = True
    while changed:
        changed = False
        for index, step in enumerate(graph.steps):
            if index not in needed:
                continue
            for path in {path for name, path in values if name == step.reads[0]}:
                if (index, path) in expected.runs or any((name, path) not in values for name in step.reads):
                    continue
                expected.runs.add((index, path))
                changed = True
                given = "+".join(values[name, path] for name in step.reads)
                results = range(counts_of(seed, index, path)) if step.decoupled else [None]
                for result in results:
                    place = path if result is None else (*path, result)
                    values.update({(name, place): f"{name}{place}({given})" for name in step.writes})
    paths = sorted({path for name, path in values if name == outputs[0]})
    expected.responses = [tuple((name, values[name, path]) for name in outputs) for path in paths]
    return expected


def needed_steps(graph: StepGraph, outputs: tuple[str, ...]) -> set[int]:
    """Leave out, again and again, a step all of whose tensors are unwanted outputs or read by none."""
    needed = set(range(len(graph.steps)))
    unwanted = set(graph.plan(()).outputs) - set(outputs)
    gone = True
    while gone:
        gone = False
        for index in sorted(needed):
            reads = {name for other in needed for name in graph.steps[other].reads}
            once = {name for step in graph.steps for name in step.reads}
            if all(
                name not in reads and name not in outputs and (name in unwanted or name in once)
                for name in graph.steps[index].writes
            ):
                needed.discard(index)
                gone = True
    return needed


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("block", range(4))
def test_any_graph_runs_as_a_slow_model_says_whatever_the_order_of_answers(block: int, limit: int) -> None:
    for seed in range(block * 300, (block + 1) * 300):
        rng = random.Random(seed)
        graph = random_graph(rng)
        declared = graph.plan(()).outputs
        asked = tuple(rng.sample(declared, rng.randint(1, len(declared))))
        check_one(graph, asked, seed, limit, rng)


def check_one(graph: StepGraph, asked: tuple[str, ...], seed: int, limit: int, rng: random.Random) -> None:
    plan = graph.plan(asked)
    run: StepProgress[Value] = StepProgress(plan, limit)
    runs: set[tuple[int, Path]] = set()
    flying: list[tuple[StepCall[Value], Path, str, int]] = []
    responses: list[tuple[tuple[str, str], ...]] = []

    def note(calls: list[StepCall[Value]]) -> None:
        for call in calls:
            inputs = [value for value in call.inputs(plan).values() if value is not None]
            assert len(inputs) == len(plan.steps[call.step].reads)
            (path,) = {path for _, path in inputs}  # they belong together
            assert (call.step, path) not in runs
            runs.add((call.step, path))
            flying.append((call, path, "+".join(text for text, _ in inputs), 0))

    note(run.begin({name: (name, ()) for name in plan.inputs}))
    while flying:
        assert all(count <= limit for count in Counter(call.step for call, *_ in flying).values())
        call, path, given, sent = flying.pop(rng.randrange(len(flying)))
        step = plan.steps[call.step]
        if sent < (counts_of(seed, call.step, path) if step.decoupled else 1):
            place = (*path, sent) if step.decoupled else path
            flying.append((call, path, given, sent + 1))
            note(run.respond(call, {name: (f"{name}{place}({given})", place) for name in step.writes}))
        else:
            note(run.end(call))
        responses += [tuple((name, text) for name, (text, _) in outputs) for outputs in run.take()]
    expected = expected_of(graph, asked, seed)
    assert run.over
    assert runs == expected.runs
    assert responses == expected.responses
