"""``store.execute`` on every form: the same command, the same reply."""

from __future__ import annotations

import asyncio
from enum import StrEnum

import pytest

from store_core import ArgumentError, ConnectionFailed, ReplyError, Store, StoreClosed, Unsupported, create_store


class Key(StrEnum):
    A = "a"


async def test_a_value_comes_back_as_bytes(store: Store) -> None:
    assert await store.execute("SET", "key", "value") == b"OK"
    assert await store.execute("GET", "key") == b"value"


async def test_a_missing_key_is_none(store: Store) -> None:
    assert await store.execute("GET", "nothing") is None


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("é", "é".encode()),
        (b"\x00\xff", b"\x00\xff"),
        (5, b"5"),
        (-1.5, b"-1.5"),
        (0.1, b"0.1"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"cd"), b"cd"),
        (Key.A, b"a"),
        ("", b""),
        (2**70, b"1180591620717411303424"),
    ],
)
async def test_every_kind_of_argument_is_stored_as_its_text(store: Store, value: object, stored: bytes) -> None:
    await store.execute("SET", "key", value)
    assert await store.execute("GET", "key") == stored


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}, object()])
async def test_an_argument_without_a_form_on_the_wire_is_refused(store: Store, value: object) -> None:
    with pytest.raises(ArgumentError, match="SET: argument 2 is"):
        await store.execute("SET", "key", value)
    assert await store.execute("EXISTS", "key") == 0


async def test_text_that_utf8_cannot_encode_is_refused_without_repeating_it(store: Store) -> None:
    with pytest.raises(ArgumentError) as caught:
        await store.execute("SET", "key", "secret\ud800")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_no_command_at_all_is_refused(store: Store) -> None:
    with pytest.raises(ArgumentError, match="a command has a name"):
        await store.execute()


async def test_an_unknown_option_is_named(store: Store) -> None:
    with pytest.raises(TypeError, match="'timeot'"):
        await store.execute("PING", timeot=5)


@pytest.mark.parametrize("name", ["GET", "get", "Get", b"GET", b"gEt", bytearray(b"get")])
async def test_a_name_may_be_written_in_any_case_and_as_bytes(store: Store, name: str | bytes) -> None:
    await store.execute("SET", "key", 1)
    assert await store.execute(name, "key") == b"1"


async def test_replies_have_their_resp3_types(store: Store) -> None:
    await store.execute("HSET", "hash", "field", "1", "other", "2")
    await store.execute("ZADD", "zset", 1.5, "a", 2, "b")
    await store.execute("SADD", "set", "member")
    assert await store.execute("HGETALL", "hash") == {b"field": b"1", b"other": b"2"}
    assert await store.execute("ZSCORE", "zset", "a") == 1.5
    assert await store.execute("ZRANGE", "zset", 0, -1, "WITHSCORES") == [[b"a", 1.5], [b"b", 2.0]]
    assert await store.execute("SMEMBERS", "set") == [b"member"]
    assert await store.execute("CONFIG", "GET", "databases") == {b"databases": b"16"}


async def test_resp2_has_its_own_shapes(url: str) -> None:
    async with create_store(url, protocol=2) as store:
        await store.execute("DEL", "hash", "zset")
        await store.execute("HSET", "hash", "field", "1")
        await store.execute("ZADD", "zset", 1.5, "a")
        assert await store.execute("HGETALL", "hash") == [b"field", b"1"]
        assert await store.execute("ZRANGE", "zset", 0, -1, "WITHSCORES") == [b"a", b"1.5"]
        with pytest.raises(ReplyError, match="WRONGTYPE"):
            await store.execute("INCR", "hash")


async def test_decoded_replies_are_text_throughout(url: str) -> None:
    async with create_store(url, decode_responses=True) as store:
        await store.execute("DEL", "hash", "key")
        assert await store.execute("SET", "key", "é") == "OK"
        assert await store.execute("GET", "key") == "é"
        await store.execute("HSET", "hash", "field", "value")
        assert await store.execute("HGETALL", "hash") == {"field": "value"}
        assert await store.ping()


async def test_bytes_that_do_not_decode_harm_only_their_caller(url: str) -> None:
    async with create_store(url, decode_responses=True) as store:
        await store.execute("SET", "binary", b"\xff\xfe")
        replies = await asyncio.gather(
            store.execute("GET", "binary"), store.execute("ECHO", "x"), return_exceptions=True
        )
        assert isinstance(replies[0], UnicodeDecodeError)
        assert replies[1] == "x"


async def test_another_encoding_is_used_both_ways(url: str) -> None:
    async with create_store(url, encoding="latin-1", decode_responses=True) as store:
        await store.execute("SET", "key", "é")
        assert await store.execute("GET", "key") == "é"
    async with create_store(url) as raw:
        if url != "pulsards://":
            assert await raw.execute("GET", "key") == b"\xe9"


async def test_an_error_reply_has_the_servers_words_and_its_code(store: Store) -> None:
    await store.execute("HSET", "hash", "field", 1)
    with pytest.raises(ReplyError) as caught:
        await store.execute("INCR", "hash")
    assert str(caught.value) == "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert caught.value.code == "WRONGTYPE"


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("NOSUCH", "a", "b"), "ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
        (("GET",), "ERR wrong number of arguments for 'get' command"),
        (("SET", "k", "v", "EX", "0"), "ERR invalid expire time in 'set' command"),
        (("SET", "k", "v", "BOGUS"), "ERR syntax error"),
        (("LPUSH", "k"), "ERR wrong number of arguments for 'lpush' command"),
        (("CONFIG", "NOSUCH"), "ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP."),
    ],
)
async def test_refusals_are_the_same_everywhere(store: Store, args: tuple[str, ...], error: str) -> None:
    with pytest.raises(ReplyError) as caught:
        await store.execute(*args)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    "name", ["SELECT", "multi", b"WATCH", "SUBSCRIBE", "MONITOR", "HELLO", "RESET", "QUIT", "AUTH"]
)
async def test_what_would_change_the_shared_connection_is_refused_with_what_to_call(store: Store, name: str) -> None:
    with pytest.raises(Unsupported, match="use store"):
        await store.execute(name, "0")
    assert await store.ping()


async def test_a_connection_of_ones_own_has_its_own_state(store: Store) -> None:
    async with await store.connect() as connection:
        await connection.execute("SELECT", 5)
        await connection.execute("SET", "elsewhere", 1)
        assert await store.execute("EXISTS", "elsewhere") == 0
        await connection.execute("FLUSHDB")
    assert connection.closed


async def test_the_namespace_does_not_hinder_a_database_number(url: str) -> None:
    async with create_store(url, db=3) as third:
        assert third.database == "3"
        await third.execute("SET", "three", 3)
        assert await third.execute("GET", "three") == b"3"
        await third.flush()


async def test_a_database_that_does_not_exist_is_an_error_of_the_server(url: str) -> None:
    async with create_store(url, db=99) as store:
        with pytest.raises(ReplyError, match="DB index is out of range"):
            await store.execute("PING")


async def test_values_of_ten_megabytes_come_back_whole(store: Store) -> None:
    value = bytes(range(256)) * 40_000
    await store.execute("SET", "big", value)
    assert await store.execute("GET", "big") == value


async def test_ten_thousand_callers_at_once_are_all_served(store: Store) -> None:
    replies = await asyncio.gather(*(store.execute("INCR", "counter") for _ in range(10_000)))
    assert sorted(replies) == list(range(1, 10_001))


async def test_create_database_checks_and_delete_database_empties(store: Store) -> None:
    assert await store.create_database("7") == "7"
    with pytest.raises(ReplyError):
        await store.create_database("99")
    async with await store.connect() as connection:
        await connection.execute("SELECT", 7)
        await connection.execute("SET", "key", 1)
        await store.delete_database("7")
        assert await connection.execute("DBSIZE") == 0


async def test_commands_take_effect_in_the_order_of_the_calls(store: Store) -> None:
    lengths = await asyncio.gather(*(store.execute("RPUSH", "list", number) for number in range(1000)))
    assert lengths == list(range(1, 1001))
    assert await store.execute("LRANGE", "list", 0, -1) == [b"%d" % number for number in range(1000)]


async def test_an_own_connection_that_quits_is_closed(store: Store) -> None:
    connection = await store.connect()
    assert await connection.execute("QUIT") == b"OK"
    with pytest.raises((ConnectionFailed, StoreClosed)):
        for _ in range(100):  # a socket hears of it a moment later
            await connection.execute("PING")
            await asyncio.sleep(0.01)


async def test_a_reply_that_is_no_text_fails_its_own_caller_alone(url: str) -> None:
    async with create_store(url, decode_responses=True) as store, await store.connect() as connection:
        await store.flush()
        await store.execute("SET", "binary", b"\xff")
        waiting = asyncio.create_task(connection.execute("BLPOP", "queue", 0))
        await connected(store, "blpop")
        behind = [asyncio.create_task(connection.execute("GET", "binary")) for _ in range(2)]
        last = asyncio.create_task(connection.execute("PING"))
        await asyncio.sleep(0)
        assert await store.execute("RPUSH", "queue", b"\xff") == 1
        for task in (waiting, *behind):
            with pytest.raises(UnicodeDecodeError):
                await task
        assert await last == "PONG"


async def connected(store: Store, command: str) -> None:
    """Wait until somebody runs the command."""
    async with asyncio.timeout(10):
        while f"cmd={command} " not in await store.execute("CLIENT", "LIST"):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("kind", ["pipeline", "transaction"])
async def test_a_pipeline_with_a_reply_that_is_no_text_runs_to_its_end(url: str, kind: str) -> None:
    async with create_store(url, decode_responses=True) as store:
        await store.flush()
        await store.execute("SET", "binary", b"\xff")
        with pytest.raises(UnicodeDecodeError):
            async with getattr(store, kind)() as block:
                block.execute("GET", "binary")
                block.execute("SET", "after", 1)
        assert await store.execute("EXISTS", "after") == 1
