from __future__ import annotations

import pytest

from tritium.errors import ConfigError
from tritium.scheduling.step_graph import GraphStep, StepGraph


def chain() -> StepGraph:
    return StepGraph("e", ["IN"], ["OUT"], [GraphStep(("IN",), ("x",)), GraphStep(("x",), ("OUT",))])


def fork() -> StepGraph:
    """IN -> a -> (b -> LEFT, c -> RIGHT)."""
    steps = [GraphStep(("IN",), ("x",)), GraphStep(("x",), ("LEFT",)), GraphStep(("x",), ("RIGHT",))]
    return StepGraph("e", ["IN"], ["LEFT", "RIGHT"], steps)


def test_a_plan_says_who_waits_for_each_tensor() -> None:
    plan = chain().plan(())
    assert plan.readers == {"IN": (0,), "x": (1,)}
    assert plan.needs == (1, 1)
    assert plan.outputs == ("OUT",)
    assert plan.chain == ()


def test_tensors_that_one_step_reads_and_nobody_else_wants_are_brief() -> None:
    assert chain().plan(()).brief == {"IN", "x"}
    assert fork().plan(()).brief == {"IN"}
    both = StepGraph("e", ["IN"], ["x", "OUT"], [GraphStep(("IN",), ("x",)), GraphStep(("x",), ("OUT",))])
    assert both.plan(()).brief == {"IN"}


def test_only_the_steps_that_the_requested_outputs_need_are_planned() -> None:
    assert fork().plan(("LEFT",)).readers == {"IN": (0,), "x": (1,)}
    assert fork().plan(("RIGHT", "LEFT")).readers == {"IN": (0,), "x": (1, 2)}


def test_a_step_whose_readers_are_all_left_out_is_left_out_too() -> None:
    steps = [GraphStep(("IN",), ("x",)), GraphStep(("x",), ("A",)), GraphStep(("IN",), ("B",))]
    graph = StepGraph("e", ["IN"], ["A", "B"], steps)
    assert graph.plan(("B",)).readers == {"IN": (2,)}


def test_an_output_that_another_step_reads_is_made_although_nobody_asks_for_it() -> None:
    steps = [GraphStep(("IN",), ("A",)), GraphStep(("A",), ("B",))]
    graph = StepGraph("e", ["IN"], ["A", "B"], steps)
    assert graph.plan(("B",)).readers == {"IN": (0,), "A": (1,)}
    assert graph.plan(("A",)).readers == {"IN": (0,)}


def test_a_step_that_makes_a_wanted_output_beside_others_runs() -> None:
    graph = StepGraph("e", ["IN"], ["A", "B"], [GraphStep(("IN",), ("A", "B"))])
    assert graph.plan(("B",)).readers == {"IN": (0,)}


def test_a_step_for_whose_output_nobody_waits_runs_always() -> None:
    steps = [GraphStep(("IN",), ("log",)), GraphStep(("IN",), ("A",)), GraphStep(("IN",), ("B",))]
    assert StepGraph("e", ["IN"], ["A", "B"], steps).plan(("A",)).readers == {"IN": (0, 1)}


def test_the_chain_is_the_decoupled_steps_that_responses_come_from() -> None:
    steps = [
        GraphStep(("IN",), ("x",), decoupled=True),
        GraphStep(("x",), ("y",)),
        GraphStep(("y",), ("OUT",), decoupled=True),
        GraphStep(("IN",), ("side",), decoupled=True),
    ]
    assert StepGraph("e", ["IN"], ["OUT"], steps).plan(()).chain == (0, 2)


@pytest.mark.parametrize(
    ("steps", "outputs", "text"),
    [
        (
            [GraphStep(("IN",), ("x",), decoupled=True), GraphStep(("x", "IN"), ("OUT",))],
            ["OUT"],
            "step 1 gets 'x' from step 0, 'IN' from the request",
        ),
        (
            [
                GraphStep(("IN",), ("x",), decoupled=True),
                GraphStep(("IN",), ("y",), decoupled=True),
                GraphStep(("x", "y"), ("OUT",)),
            ],
            ["OUT"],
            "step 2 gets 'x' from step 0, 'y' from step 1",
        ),
        (
            [GraphStep(("IN",), ("A",), decoupled=True), GraphStep(("IN",), ("B",))],
            ["A", "B"],
            "the outputs gets 'A' from step 0, 'B' from the request",
        ),
    ],
)
def test_results_of_different_decoupled_steps_never_meet(
    steps: list[GraphStep], outputs: list[str], text: str
) -> None:
    with pytest.raises(ConfigError, match="receives inputs originated from different decoupled") as caught:
        StepGraph("e", ["IN"], outputs, steps)
    assert text in str(caught.value)


def test_what_comes_after_a_step_is_known() -> None:
    assert fork().downstream(0) == {1, 2}
    assert fork().downstream(1) == set()


def test_plans_are_kept_but_not_without_bound() -> None:
    outputs = [f"O{index}" for index in range(80)]
    graph = StepGraph("e", ["IN"], outputs, [GraphStep(("IN",), (output,)) for output in outputs])
    assert graph.plan(("O1",)) is graph.plan(("O1",))
    first = graph.plan(("O1",))
    for output in outputs:
        graph.plan((output,))
    assert graph.plan(("O1",)) is not first
    assert graph.plan(()).outputs == tuple(outputs)
