from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from tritium.core.model import Model
from tritium.core.model_config import ModelConfig
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.repository.call_watch import PATIENCE_S, CallWatch


@dataclass
class Instance:
    """An instance that is busy with one batch."""

    name: str
    in_flight: int = 1
    capacity: int = 1
    side_by_side: bool = False


@dataclass
class Scheduler:
    instances: list[Instance]


@dataclass
class Target:
    """As much of a model as is looked at."""

    config: ModelConfig
    scheduler: Scheduler
    asks: Callable[[InferenceRequest], list[tuple[Model, InferenceRequest]]] | None = None


@dataclass
class Scene:
    """Models with one instance each, and a clock."""

    now_s: float = 100.0
    ended: list[tuple[str, str]] = field(default_factory=list)  # the caller, and the text of its error

    def __post_init__(self) -> None:
        self.watch = CallWatch(lambda: self.now_s)
        self.instances = {name: Instance(f"{name}_0") for name in "abc"}

    def ask(self, caller: str, target: str, *, runs: bool = False) -> ResponseStream:
        """``caller`` asks ``target``, where the question waits or runs."""

        def on_response(response: InferenceResponse, final: bool) -> None:
            assert final
            self.ended.append((caller, str(response.error)))

        stream = ResponseStream(on_response)
        if runs:
            stream.attach(0, lambda slot: None, lambda slot, paused: None)
        request = InferenceRequest(target, [], stream)
        self.watch.note(self.instances[caller], self.model(target), request)  # type: ignore[arg-type]
        return stream

    def model(self, name: str) -> Model:
        """A model with its one instance."""
        return cast(Model, Target(ModelConfig(name=name), Scheduler([self.instances[name]])))

    def ask_ensemble(self, caller: str, *steps: str) -> ResponseStream:
        """``caller`` asks an ensemble, whose steps wait; its step's stream is what is given back."""
        step = ResponseStream(lambda response, final: self.ended.append((caller, str(response.error))))

        def asks(request: InferenceRequest) -> list[tuple[Model, InferenceRequest]]:
            return [(self.model(name), InferenceRequest(name, [], step)) for name in steps]

        ensemble = cast(Model, Target(ModelConfig(name="ensemble"), Scheduler([]), asks))
        request = InferenceRequest("ensemble", [], ResponseStream(lambda response, final: None))
        self.watch.note(self.instances[caller], ensemble, request)  # type: ignore[arg-type]
        return step


def play(scene: Scene, act: object) -> None:
    """``act`` with a loop, which the watch's timer needs."""

    async def scenario() -> None:
        assert callable(act)
        act(scene)

    asyncio.run(scenario())


def test_a_model_that_waits_for_itself_is_told_so_after_a_while() -> None:
    def act(scene: Scene) -> None:
        stream = scene.ask("a", "a")
        scene.now_s += PATIENCE_S - 0.1
        scene.watch.look()
        assert not scene.ended
        scene.now_s += 0.2
        scene.watch.look()
        assert stream.closed and stream.cancelled

    scene = Scene()
    play(scene, act)
    ((caller, text),) = scene.ended
    assert caller == "a" and "waits for 'a'" in text


def test_one_question_of_a_circle_is_refused_and_no_other() -> None:
    def act(scene: Scene) -> None:
        scene.ask("a", "b", runs=True)
        scene.ask("b", "a")
        scene.now_s += 2 * PATIENCE_S
        scene.watch.look()
        scene.watch.look()

    scene = Scene()
    play(scene, act)
    assert [caller for caller, _ in scene.ended] == ["b"]


def test_a_question_to_a_model_that_is_merely_busy_waits() -> None:
    def act(scene: Scene) -> None:
        scene.ask("a", "b")
        scene.now_s += 100 * PATIENCE_S
        scene.watch.look()

    scene = Scene()
    play(scene, act)
    assert not scene.ended


def test_callers_that_can_do_more_meanwhile_hold_nothing() -> None:
    def act(scene: Scene) -> None:
        scene.instances["a"].side_by_side = True
        scene.instances["a"].capacity = 2
        scene.ask("a", "a")
        scene.now_s += 2 * PATIENCE_S
        scene.watch.look()

    scene = Scene()
    play(scene, act)
    assert not scene.ended


def test_questions_that_are_answered_are_forgotten() -> None:
    def act(scene: Scene) -> None:
        scene.ask("a", "b", runs=True)
        scene.ask("b", "a").send(InferenceResponse(), final=True)
        scene.now_s += 2 * PATIENCE_S
        scene.watch.look()

    scene = Scene()
    play(scene, act)
    assert [text for _, text in scene.ended] == ["None"]


def test_a_model_that_waits_for_itself_through_an_ensemble_is_told_so() -> None:
    def act(scene: Scene) -> None:
        step = scene.ask_ensemble("a", "a")
        scene.now_s += 2 * PATIENCE_S
        scene.watch.look()
        assert step.closed and step.cancelled

    scene = Scene()
    play(scene, act)
    ((_, text),) = scene.ended
    assert "waits for 'a'" in text


def test_an_ensemble_whose_steps_are_merely_busy_waits() -> None:
    def act(scene: Scene) -> None:
        scene.ask_ensemble("a", "b", "c")
        scene.now_s += 2 * PATIENCE_S
        scene.watch.look()

    scene = Scene()
    play(scene, act)
    assert not scene.ended
