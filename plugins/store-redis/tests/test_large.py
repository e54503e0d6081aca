"""Large values: written in slices, in order with everything else, and not copied."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hiredis import pack_command

from store_core import ArgumentError, ConnectionLost, Store
from store_redis.large import LARGE, SLICE, LargeWrites, is_large, parts
from store_redis.multiplexed import MultiplexedLink

BIG = 3 * SLICE + 12345


class Narrow(asyncio.Transport):
    """A transport that takes one write at a time."""

    def __init__(self, link: MultiplexedLink) -> None:
        super().__init__()
        self.link = link
        self.writes: list[bytes] = []

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))
        self.link.pause_writing()

    def abort(self) -> None:
        """Nothing is open."""


def make_link() -> tuple[MultiplexedLink, Narrow]:
    link = MultiplexedLink()
    wire = Narrow(link)
    link.connection_made(wire)
    return link, wire


@pytest.mark.parametrize("size", [0, 1, LARGE - 1, LARGE, LARGE + 1, BIG])
def test_parts_are_what_hiredis_packs(size: int) -> None:
    args = ("SET", b"x" * size, 5, 1.5, "é" * size, bytearray(b"y" * size))
    assert b"".join(parts(args)) == pack_command((*args[:-1], bytes(args[-1])))


def test_a_large_value_is_not_copied() -> None:
    value = b"x" * BIG
    assert any(part is value for part in parts(("SET", "k", value)))
    assert is_large(("SET", "k", value))
    assert not is_large(("SET", "k", value[:LARGE]))


def test_parts_refuse_what_cannot_be_sent() -> None:
    with pytest.raises(ArgumentError, match="argument 1"):
        parts(("SET", None, b"x" * BIG))


def test_slices_give_back_the_buffers_in_order() -> None:
    writes, buffers = LargeWrites(), [b"a" * BIG, b"b", b"c" * SLICE]
    writes.add(buffers)
    slices = []
    while writes:
        slices.append(bytes(writes.next_slice()))
    assert b"".join(slices) == b"".join(buffers)
    assert max(map(len, slices)) == SLICE


async def test_nothing_overtakes_a_large_value() -> None:
    link, wire = make_link()
    link.send(("ECHO", "before"))
    link.send(("SET", "k", b"x" * BIG))
    link.send(("ECHO", "after"))
    link.send(("SET", "k", b"y" * BIG))
    expected = [
        pack_command(args)
        for args in (("ECHO", "before"), ("SET", "k", b"x" * BIG), ("ECHO", "after"), ("SET", "k", b"y" * BIG))
    ]
    for _ in range(20):
        await asyncio.sleep(0)
        link.resume_writing()
    assert b"".join(wire.writes) == b"".join(expected)
    assert link.writable is None
    link.close()
    await asyncio.sleep(0)


async def test_the_link_takes_no_more_until_a_large_value_is_out() -> None:
    link, wire = make_link()
    future = link.send(("SET", "k", b"x" * BIG))
    assert len(wire.writes) == 1
    writable = link.writable
    assert writable is not None
    link.resume_writing()
    assert link.writable is writable
    assert not writable.done()
    for _ in range(5):
        link.resume_writing()
    assert writable.done()
    link.close()
    with pytest.raises(ConnectionLost):
        await future


@pytest.mark.parametrize("callers", [1, 20])
async def test_large_and_small_values_come_back_to_their_callers(store: Store, callers: int) -> None:
    sizes = [0, 10, LARGE - 30, LARGE, LARGE + 1, SLICE - 20, SLICE, SLICE + 1, BIG]

    async def call(number: int) -> None:
        chance = random.Random(number)
        for turn in range(8):
            value = bytes([65 + number]) * chance.choice(sizes)
            given: Any = chance.choice([bytes, bytearray, memoryview, lambda data: data.decode()])(value)
            key = f"{number}:{turn}"
            assert await store.execute("SET", key, given) in (b"OK", "OK")
            assert await store.execute("GET", key) == value
            assert await store.execute("STRLEN", key) == len(value)

    await asyncio.gather(*map(call, range(callers)))


async def test_several_large_values_in_one_command_a_pipeline_and_a_transaction(store: Store) -> None:
    values = {f"k{number}": bytes([65 + number]) * (BIG + number) for number in range(4)}
    await store.execute("MSET", *(part for pair in values.items() for part in pair))
    assert await store.execute("MGET", *values) == list(values.values())
    async with store.pipeline() as pipeline:
        for key, value in values.items():
            pipeline.execute("SET", key, value + b"!")
            pipeline.execute("STRLEN", key)
    assert pipeline.results == [part for value in values.values() for part in (b"OK", len(value) + 1)]
    async with store.transaction() as transaction:
        for key, value in values.items():
            transaction.execute("APPEND", key, value)
    assert transaction.results == [2 * len(value) + 1 for value in values.values()]


async def test_a_pipeline_of_many_small_commands_goes_out_in_slices_too() -> None:
    link, wire = make_link()
    commands = [("ECHO", number) for number in range(100_000)]
    future = link.send_batch(commands)
    for _ in range(20):
        link.resume_writing()
    assert max(map(len, wire.writes)) <= SLICE
    assert b"".join(wire.writes) == b"".join(map(pack_command, commands))
    link.close()
    with pytest.raises(ConnectionLost):
        await future


async def test_a_caller_cancelled_in_the_middle_of_a_large_value_spoils_nothing(store: Store) -> None:
    await store.execute("SET", "first", b"x" * BIG)
    for _ in range(10):
        task = asyncio.create_task(store.execute("SET", "k", b"y" * (10 * BIG)))
        await asyncio.sleep(0)
        task.cancel()
        assert await store.execute("ECHO", "still in step") == b"still in step"
        with pytest.raises(asyncio.CancelledError):
            await task
