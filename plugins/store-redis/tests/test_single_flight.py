"""One run for everybody who asks meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from store_core import ConnectionFailed
from store_redis.single_flight import SingleFlight


class Runs:
    def __init__(self) -> None:
        self.count = 0
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        self.flight = SingleFlight(self.run)

    async def run(self) -> None:
        self.count += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error


async def test_all_who_ask_meanwhile_wait_for_one_run() -> None:
    runs = Runs()
    waiting = [asyncio.create_task(runs.flight()) for _ in range(10)]
    await asyncio.sleep(0)
    runs.gate.set()
    await asyncio.gather(*waiting)
    assert runs.count == 1
    await runs.flight()
    assert runs.count == 2


async def test_who_is_cancelled_takes_it_from_nobody_else() -> None:
    runs = Runs()
    first, second = (asyncio.create_task(runs.flight()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    runs.gate.set()
    await second
    assert runs.count == 1


async def test_callers_go_on_in_the_order_in_which_they_asked() -> None:
    runs, order = Runs(), []

    async def ask(number: int) -> None:
        await runs.flight()
        order.append(number)

    waiting = [asyncio.create_task(ask(number)) for number in range(100)]
    await asyncio.sleep(0)
    for task in waiting[::3]:
        task.cancel()
    runs.gate.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == [number for number in range(100) if number % 3]


async def test_callers_of_a_run_that_is_cancelled_are_not_left_waiting() -> None:
    runs = Runs()
    waiting = asyncio.create_task(runs.flight())
    await asyncio.sleep(0)
    assert runs.flight._task is not None
    runs.flight._task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await waiting


async def test_callers_who_are_cancelled_cost_the_same_however_many_there_are() -> None:
    runs = Runs()
    waiting = [asyncio.create_task(runs.flight()) for _ in range(1000)]
    await asyncio.sleep(0)
    assert runs.flight._task is not None
    callbacks = runs.flight._task._callbacks  # type: ignore[attr-defined]
    assert len(callbacks) == 1, "a callback that is taken off a task is looked for among all of them"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not runs.flight._waiters
    runs.gate.set()
    await runs.flight.settled()


async def test_each_gets_an_error_of_its_own() -> None:
    runs = Runs()
    runs.error = ConnectionFailed("nobody")
    runs.error.add_note("a note")
    waiting = [asyncio.create_task(runs.flight()) for _ in range(3)]
    await asyncio.sleep(0)
    runs.gate.set()
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert len({id(error) for error in errors}) == 3
    assert {(type(error), str(error)) for error in errors} == {(ConnectionFailed, "nobody")}
    assert all(error.__notes__ == ["a note"] for error in errors)


async def test_a_run_that_has_just_ended_is_not_waited_for_again() -> None:
    """Waiting for a task that is done does not yield: a caller in a loop would spin for ever."""
    runs = Runs()
    asked_again: list[object] = []

    def ask_again() -> None:
        # The task is done, its callbacks have not run yet.
        coroutine = runs.flight()
        asked_again.append(coroutine.send(None))
        coroutine.close()

    async def run() -> None:
        asyncio.get_running_loop().call_soon(ask_again)

    runs.flight = SingleFlight(run)
    await runs.flight()
    assert len(asked_again) == 1
    await runs.flight.settled()


async def test_an_error_that_nobody_waits_for_is_no_warning() -> None:
    runs = Runs()
    runs.error = ConnectionFailed("nobody")
    waiting = asyncio.create_task(runs.flight())
    await asyncio.sleep(0)
    waiting.cancel()
    runs.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await runs.flight.settled()
