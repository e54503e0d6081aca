"""An element that was popped for a caller in the moment of its cancellation, on every form: it goes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.conftest import eventually

from store_core import Store


@pytest.mark.parametrize("turns", range(12))
async def test_a_caller_cancelled_in_any_turn_after_the_push_takes_no_element_with_it(store: Store, turns: int) -> None:
    await store.ping()
    waiting = asyncio.create_task(store.execute("BLPOP", "queue", 0))
    await asyncio.sleep(0.005)
    pushing = asyncio.create_task(store.execute("RPUSH", "queue", "x"))
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    await pushing
    left = 1 if isinstance(outcome, asyncio.CancelledError) else 0
    await eventually(lambda: _has(store, left))
    assert left or outcome == [b"queue", b"x"]


async def _has(store: Any, length: int) -> bool:
    return not store._node.blocking._tasks and await store.execute("LLEN", "queue") == length
