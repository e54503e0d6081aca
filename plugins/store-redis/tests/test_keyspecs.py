"""Key positions: what we find is what the server's own COMMAND GETKEYS finds."""

from __future__ import annotations

from typing import Any

import pytest

from store_core import ReplyError, create_store
from store_redis.keyspecs import CommandKeys, read_table

COMMANDS = """
    GET k | SET k v EX 5 | MGET a b c | MSET a 1 b 2 c 3 | MSETNX a 1 b 2 | DEL a b | EXISTS a b c | EXPIRE k 5
    GETEX k PERSIST | APPEND k v | INCRBYFLOAT k 1.5 | SETRANGE k 0 v | LCS a b IDX | BITOP AND dest a b | BITCOUNT k
    RENAME a b | COPY a b REPLACE | TOUCH a b | OBJECT ENCODING k | MEMORY USAGE k SAMPLES 5 | DUMP k
    RESTORE k 0 x | LPUSH k a b | LMOVE a b LEFT RIGHT | RPOPLPUSH a b | LMPOP 2 a b LEFT COUNT 3
    BLPOP a b 0 | BRPOPLPUSH a b 0 | BLMOVE a b LEFT RIGHT 0 | BLMPOP 0 2 a b LEFT | SADD k m | SMOVE a b m
    SINTER a b c | SINTERCARD 2 a b LIMIT 1 | SINTERSTORE d a b | SUNIONSTORE d a b | SDIFF a b | HSET h f v | HGETALL h
    ZADD k 1 m | ZUNIONSTORE d 2 a b WEIGHTS 1 2 | ZINTER 2 a b WITHSCORES | ZDIFFSTORE d 2 a b | ZINTERCARD 2 a b
    ZMPOP 2 a b MIN | BZPOPMIN a b 0 | BZMPOP 0 1 a MIN | ZRANGESTORE d s 0 -1 | ZRANGE k 0 -1 | GEOADD k 1 2 m
    GEOSEARCHSTORE d s FROMLONLAT 1 2 BYRADIUS 5 m ASC | GEORADIUS k 1 2 5 m STORE d
    GEORADIUSBYMEMBER k m 5 m STOREDIST d
    XADD s * f v | XREAD COUNT 2 STREAMS a b 0 0 | XREADGROUP GROUP g c BLOCK 5 STREAMS a b > > | XACK s g 1-1
    XINFO STREAM s FULL | XGROUP CREATE s g $ | XAUTOCLAIM s g c 0 0 | PFCOUNT a b | PFMERGE d a b
    EVAL return 2 a b x y | EVALSHA abc 1 a x | FCALL f 2 a b x | SETEX k 5 v | GETDEL k | SMISMEMBER k a b | TYPE k
"""
CASES = [command.split() for line in COMMANDS.splitlines() for command in line.split("|") if command.strip()]


def positions(table: dict[str, CommandKeys], args: list[str]) -> list[int]:
    command = table[args[0]]
    command = command.subcommands.get(args[1], command) if command.subcommands and len(args) > 1 else command
    assert command.find is not None, args
    return list(command.find(tuple(args)))


@pytest.fixture(scope="module")
def known(valkey_url: str) -> dict[int, dict[str, CommandKeys]]:
    import asyncio

    async def read(protocol: int) -> dict[str, CommandKeys]:
        async with create_store(valkey_url, protocol=protocol) as store:
            return read_table(await store.execute("COMMAND"))

    return {protocol: asyncio.run(read(protocol)) for protocol in (2, 3)}


@pytest.mark.parametrize("protocol", [2, 3])
async def test_positions_are_the_servers(valkey_url: str, known: dict[int, Any], protocol: int) -> None:
    async with create_store(valkey_url) as store:
        for args in CASES:
            keys = [key.decode() for key in await store.execute("COMMAND", "GETKEYS", *args)]
            assert sorted(args[place] for place in positions(known[protocol], args)) == sorted(keys), args


@pytest.mark.parametrize(
    "args", [["PING"], ["INFO", "server"], ["CONFIG", "GET", "x"], ["PUBLISH", "c", "m"], ["SCAN", "0"]]
)
async def test_commands_without_keys_have_none(valkey_url: str, known: dict[int, Any], args: list[str]) -> None:
    async with create_store(valkey_url) as store:
        with pytest.raises(ReplyError):
            await store.execute("COMMAND", "GETKEYS", *args)
    assert positions(known[3], args) == []


@pytest.mark.parametrize(
    "args", [["EVAL", "s", "two", "a"], ["EVAL", "s"], ["ZUNION", "5", "a"], ["XREAD", "STREAMS"], ["MSET"]]
)
def test_malformed_commands_find_what_there_is_and_never_fail(known: dict[int, Any], args: list[str]) -> None:
    assert all(0 < place < len(args) for place in positions(known[3], args))


def test_commands_whose_keys_the_server_cannot_tell_are_unknown(known: dict[int, Any]) -> None:
    assert known[3]["SORT"].find is None
    assert known[2]["SORT"].find is None


def test_an_older_servers_first_last_and_step_are_enough() -> None:
    table = read_table(
        [
            [b"mset", -3, [b"write"], 1, -1, 2],
            [b"get", 2, [b"readonly"], 1, 1, 1],
            [b"eval", -3, [b"movablekeys"], 0, 0, 0],
        ]
    )
    assert positions(table, ["MSET", "a", "1", "b", "2"]) == [1, 3]
    assert positions(table, ["GET", "a"]) == [1]
    assert table["EVAL"].find is None
