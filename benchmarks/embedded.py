"""Embedded: one caller, SET and GET of 32 bytes on a store in its own process; nobody waits for a network.

    python benchmarks/embedded.py store.execute 0.6

is what ``measure`` starts, once a round and client, each time in a fresh process: so the compiled engine is measured
with the interpreter that has it. Each is used in the way of its users: ``await store.execute("GET", key)``,
``await client.get(key)``, and the engine itself, which is synchronous and takes bytes, ``execute(session, args)``.
With ``idle`` in the place of the seconds it does nothing, until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any, NamedTuple

from engine_servers import COMPILED, EngineBench, environment
from rounds import Figures, Row, alternate, find_loops

BURNER, FAKE, STORE, ENGINE = "burner-redis", "fakeredis", "store.execute", "engine alone"
RIVALS = {BURNER: "burner_redis", FAKE: "fakeredis"}
OURS = (STORE, ENGINE)
PANEL = "Embedded, one caller, 32 bytes"
CASES = ("SET", "GET")
UNIT = "thousand operations/s"
KEY, VALUE = "key:0", "x" * 32
HOUR = 3600
#: Operations between two looks at the clock.
TURNS = 200

Turns = Callable[[], Awaitable[None]]


class Client(NamedTuple):
    """``TURNS`` operations of each kind; what GET answers; and the key, set so that it expires in an hour."""

    set: Turns
    get: Turns
    value: Callable[[], Awaitable[Any]]
    volatile: Callable[[], Awaitable[Any]]


def compiled(name: str) -> str:
    """What a client of ours is called when its engine is the compiled one."""
    return f"{name}, compiled"


def missing() -> dict[str, str]:
    """The rivals that are not installed, with their modules."""
    return {name: module for name, module in RIVALS.items() if importlib.util.find_spec(module) is None}


def clients(bench: EngineBench) -> dict[str, list[str]]:
    """The command that runs each client, in the order of the tables."""
    here = [name for name in RIVALS if name not in missing()]
    commands = {name: [sys.executable, __file__, name] for name in (*here, *OURS)}
    if COMPILED in bench.pythons:
        commands |= {compiled(name): [bench.pythons[COMPILED], __file__, name] for name in OURS}
    return commands


def measure(bench: EngineBench) -> Iterator[Row]:
    """A row for SET and one for GET."""
    commands = clients(bench)
    found = alternate(list(commands), bench.rounds, lambda name: _in_fresh_process(commands[name], bench.seconds))
    for case, samples in found.items():
        yield Row("embedded", PANEL, case, UNIT, samples, BURNER if BURNER in commands else FAKE)


def _in_fresh_process(command: list[str], seconds: float) -> Figures:
    done = subprocess.run(
        [*command, str(seconds)], env=environment(command[0]), stdout=subprocess.PIPE, check=True, timeout=120
    )
    figures: Figures = json.loads(done.stdout)
    return figures


# The clients, in a process of their own.


async def open_rival(stack: AsyncExitStack, name: str) -> Client:
    """burner-redis or fakeredis: both have redis-py's methods."""
    module = importlib.import_module(RIVALS[name])
    client = module.BurnerRedis() if name == BURNER else module.FakeAsyncRedis()
    if name == FAKE:
        stack.push_async_callback(client.aclose)
    set_, get = client.set, client.get

    async def sets() -> None:
        for _ in range(TURNS):
            await set_(KEY, VALUE)

    async def gets() -> None:
        for _ in range(TURNS):
            await get(KEY)

    return Client(sets, gets, lambda: get(KEY), lambda: set_(KEY, VALUE, ex=HOUR))


async def open_store(stack: AsyncExitStack, name: str) -> Client:
    """The store, through ``execute``."""
    from store_core import create_store

    execute = (await stack.enter_async_context(create_store("pulsards://"))).execute

    async def sets() -> None:
        for _ in range(TURNS):
            await execute("SET", KEY, VALUE)

    async def gets() -> None:
        for _ in range(TURNS):
            await execute("GET", KEY)

    return Client(sets, gets, lambda: execute("GET", KEY), lambda: execute("SET", KEY, VALUE, "EX", HOUR))


async def open_engine(stack: AsyncExitStack, name: str) -> Client:
    """The engine, called directly."""
    from store_pulsards.engine.engine import Engine

    engine = Engine()
    execute, session, key, value = engine.execute, engine.session(), KEY.encode(), VALUE.encode()

    async def sets() -> None:
        for _ in range(TURNS):
            execute(session, (b"SET", key, value))

    async def gets() -> None:
        for _ in range(TURNS):
            execute(session, (b"GET", key))

    async def get() -> Any:
        return execute(session, (b"GET", key))

    async def volatile() -> Any:
        return execute(session, (b"SET", key, value, b"EX", b"%d" % HOUR))

    return Client(sets, gets, get, volatile)


OPEN = {BURNER: open_rival, FAKE: open_rival, STORE: open_store, ENGINE: open_engine}


async def rates(name: str, seconds: float) -> Figures:
    """Thousand operations a second."""
    async with AsyncExitStack() as stack:
        client = await OPEN[name](stack, name)
        await client.set()
        if await client.value() != VALUE.encode():
            raise AssertionError(f"{name} answered {await client.value()!r} where the value is {VALUE!r}")
        return {case: await _rate(turns, seconds) / 1000 for case, turns in zip(CASES, client[:2], strict=True)}


async def _rate(turns: Turns, seconds: float) -> float:
    """Operations a second; a fifth of the time is spent warming up."""
    for duration in (seconds / 5, seconds):
        done, start = 0, perf_counter()
        while perf_counter() < start + duration:
            await turns()
            done += TURNS
    return done / (perf_counter() - start)


async def idle(name: str) -> None:
    """Hold a key that expires some time, say so, and do nothing until standard input is closed."""
    async with AsyncExitStack() as stack:
        client = await OPEN[name](stack, name)
        await client.volatile()
        print("idle", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Measure one client in this process; JSON on standard output."""
    name, how = sys.argv[1:]
    with asyncio.Runner(loop_factory=list(find_loops().values())[-1]) as runner:
        if how == "idle":
            runner.run(idle(name))
        else:
            print(json.dumps(runner.run(rates(name, float(how)))))


if __name__ == "__main__":
    main()
