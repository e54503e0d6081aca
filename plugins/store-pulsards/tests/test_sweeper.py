from __future__ import annotations

import asyncio

from store_pulsards.engine.engine import Engine
from store_pulsards.sweeper import Sweeper


async def test_commands_do_not_put_off_what_is_left_to_sweep() -> None:
    engine = Engine()
    disposal = engine.keyspace.disposal
    disposal.take(dict.fromkeys(range(200_000)))
    sweeper = Sweeper(engine, asyncio.get_running_loop())
    sweeper.stir()
    while disposal.waiting:
        assert sweeper.stirred  # who runs a command has nothing to tell it
        await asyncio.sleep(0)
    while sweeper.wakes_at is not None:
        await asyncio.sleep(0)
    assert not sweeper.stirred
