from __future__ import annotations

import asyncio
import threading

from tests.unit.builders import answer_all, request
from tritium.core.interfaces import Batch, Outcome
from tritium.execution.completions import Completions


def batch_of_one() -> Batch:
    return Batch([request()], 1, 0, lambda batch, outcome: None)


def test_what_threads_post_is_finished_on_the_loop_in_order() -> None:
    finished: list[tuple[Batch, int]] = []

    async def scenario() -> None:
        completions = Completions()
        done = asyncio.Event()

        def finish(batch: Batch, outcome: Outcome) -> None:
            finished.append((batch, threading.get_ident()))
            if len(finished) == len(batches):
                done.set()

        def post_all() -> None:
            for batch in batches:
                completions.post(finish, batch, answer_all(batch))

        thread = threading.Thread(target=post_all)
        thread.start()
        await asyncio.wait_for(done.wait(), 5)
        thread.join()

    batches = [batch_of_one() for _ in range(20)]
    asyncio.run(scenario())
    assert [batch for batch, _ in finished] == batches
    assert {thread for _, thread in finished} == {threading.get_ident()}


def test_many_results_wake_the_loop_once() -> None:
    async def scenario() -> int:
        completions, finished = Completions(), []
        for _ in range(3):
            batch = batch_of_one()
            completions.post(lambda b, o: finished.append(b), batch, answer_all(batch))
        await asyncio.sleep(0)
        return len(finished)

    assert asyncio.run(scenario()) == 3


def test_what_is_posted_while_results_are_finished_is_finished_too() -> None:
    async def scenario() -> list[Batch]:
        completions = Completions()
        finished: list[Batch] = []
        first, second = batch_of_one(), batch_of_one()

        def finish(batch: Batch, outcome: Outcome) -> None:
            finished.append(batch)
            if batch is first:
                completions.post(finish, second, answer_all(second))

        completions.post(finish, first, answer_all(first))
        await asyncio.sleep(0)
        assert finished == [first, second]
        return finished

    assert len(asyncio.run(scenario())) == 2
