from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from tritium.errors import UnavailableError
from tritium.repository.gate import LoadGate


class Trace:
    """Operations that enter, wait until they are let go, and leave."""

    def __init__(self, gate: LoadGate) -> None:
        self.gate = gate
        self.log: list[str] = []
        self.go = asyncio.Event()

    async def operate(self, name: str, label: str = "", within: str | None = None) -> None:
        async with self.gate.turn(name, within), self.gate.slot(within):
            self.log.append(f"+{label or name}")
            await self.go.wait()
        self.log.append(f"-{label or name}")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_operations_on_one_model_take_turns_in_the_order_in_which_they_came() -> None:
    async def scenario() -> None:
        trace = Trace(LoadGate(4))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(trace.operate("a", "first"))
            tasks.create_task(trace.operate("a", "second"))
            await settle()
            assert trace.log == ["+first"]
            trace.go.set()
        assert trace.log == ["+first", "-first", "+second", "-second"]

    asyncio.run(scenario())


def test_operations_on_different_models_do_not_wait_for_each_other() -> None:
    async def scenario() -> None:
        trace = Trace(LoadGate(4))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(trace.operate("a"))
            tasks.create_task(trace.operate("b"))
            await settle()
            assert trace.log == ["+a", "+b"]
            trace.go.set()

    asyncio.run(scenario())


def test_a_load_within_a_load_needs_no_slot_of_its_own() -> None:
    async def scenario() -> None:
        trace = Trace(LoadGate(1))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(trace.operate("outer"))
            await settle()
            tasks.create_task(trace.operate("other"))
            tasks.create_task(trace.operate("inner", within="outer"))
            await settle()
            assert trace.log == ["+outer", "+inner"]
            trace.go.set()

    asyncio.run(scenario())


@pytest.mark.parametrize("chain", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_load_that_would_wait_for_itself_is_refused_with_the_cycle(chain: list[str]) -> None:
    async def scenario() -> None:
        trace = Trace(LoadGate(4))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(trace.operate(chain[0]))
            await settle()
            for waiter, name in pairwise(chain):
                tasks.create_task(trace.operate(name, within=waiter))
                await settle()
            with pytest.raises(UnavailableError) as caught:
                await trace.operate(chain[0], within=chain[-1])
            trace.go.set()
        cycle = " -> ".join([chain[-1], *chain])
        assert f"loading model '{chain[-1]}' waits for itself: {cycle};" in str(caught.value)

    asyncio.run(scenario())


def test_nothing_is_kept_of_names_that_nobody_waits_for() -> None:
    async def scenario() -> None:
        trace = Trace(LoadGate(1))
        trace.go.set()
        for _ in range(2):  # the second would wait if the first had left something
            await trace.operate("a", within="b")
        await trace.operate("b", within="a")
        assert trace.log == ["+a", "-a", "+a", "-a", "+b", "-b"]

    asyncio.run(scenario())


def test_a_turn_that_is_given_up_goes_to_the_next() -> None:
    async def scenario() -> None:
        trace = Trace(LoadGate(4))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(trace.operate("a", "first"))
            given_up = tasks.create_task(trace.operate("a", "second"))
            tasks.create_task(trace.operate("a", "third"))
            await settle()
            given_up.cancel()
            await settle()
            trace.go.set()
        assert trace.log == ["+first", "-first", "+third", "-third"]

    asyncio.run(scenario())
