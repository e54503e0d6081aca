"""Namespaces against a real server: keys really have the prefix, replies do not, nothing reaches beyond."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from store_core import ArgumentError, ReplyError, Store, Unsupported
from store_redis.keyspecs import CommandKeys
from store_redis.namespace import Namespace

PREFIX = "a*[b]?\\."

OpenStore = Callable[..., Store]


@pytest.fixture
def spaced(open_store: OpenStore) -> Store:
    """A store with a namespace made of what globs are made of."""
    return open_store(namespace=PREFIX)


#: Commands that write, and the keys that the whole server has afterwards, the prefix taken off.
WRITES: list[tuple[list[tuple[Any, ...]], set[str]]] = [
    ([("SET", "k", 1)], {"k"}),
    ([(b"set", b"k", 1)], {"k"}),
    ([("SET", 5, 1)], {"5"}),
    ([("SET", 1.5, 1)], {"1.5"}),
    ([("MSET", "k", 1, "l", 2)], {"k", "l"}),
    ([("MSETNX", bytearray(b"k"), 1, memoryview(b"l"), 2)], {"k", "l"}),
    ([("SET", "k", 1), ("RENAME", "k", "l")], {"l"}),
    ([("SET", "k", 1), ("COPY", "k", "l")], {"k", "l"}),
    ([("SET", "k", 1), ("BITOP", "AND", "d", "k", "k")], {"k", "d"}),
    ([("RPUSH", "k", 3, 1, 2), ("SORT", "k", "STORE", "d")], {"k", "d"}),
    ([("RPUSH", "k", 1), ("LMOVE", "k", "l", "LEFT", "RIGHT")], {"l"}),
    ([("RPUSH", "k", 1), ("BLMOVE", "k", "l", "LEFT", "RIGHT", 1)], {"l"}),
    ([("SADD", "k", 1), ("SUNIONSTORE", "d", "k", "l")], {"k", "d"}),
    ([("ZADD", "k", 1, "m"), ("ZUNIONSTORE", "d", 1, "k")], {"k", "d"}),
    ([("ZADD", "k", 1, "m"), ("ZRANGESTORE", "d", "k", 0, -1)], {"k", "d"}),
    ([("GEOADD", "k", 1, 1, "m"), ("GEORADIUS", "k", 1, 1, 5, "km", "STORE", "d")], {"k", "d"}),
    ([("GEOADD", "k", 1, 1, "m"), ("GEOSEARCHSTORE", "d", "k", "FROMMEMBER", "m", "BYRADIUS", 5, "km")], {"k", "d"}),
    ([("PFADD", "k", 1), ("PFMERGE", "d", "k")], {"k", "d"}),
    ([("XADD", "k", "*", "f", "v"), ("XGROUP", "CREATE", "k", "g", "0")], {"k"}),
    ([("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, "k", "v")], {"k"}),
    ([("SET", "k", 1), ("MOVE", "k", 1)], set()),
    ([("SETEX", "k", 100, 1), ("UNLINK", "k")], set()),
]


@pytest.mark.parametrize(("commands", "keys"), WRITES, ids=[str(commands[-1][0]) for commands, _ in WRITES])
@pytest.mark.parametrize("protocol", [2, 3])
async def test_every_key_that_is_written_has_the_prefix(
    open_store: OpenStore, store: Store, commands: list[tuple[Any, ...]], keys: set[str], protocol: int
) -> None:
    spaced = open_store(namespace=PREFIX, protocol=protocol)
    for command in commands:
        await spaced.execute(*command)
    assert {key.decode() for key in await store.execute("KEYS", "*")} == {PREFIX + key for key in keys}
    await store.execute("SET", "outside", 1)
    assert {key.decode() for key in await spaced.execute("KEYS", "*")} == keys


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True])
async def test_replies_that_carry_keys_come_without_the_prefix(
    open_store: OpenStore, store: Store, protocol: int, decode: bool
) -> None:
    spaced = open_store(namespace=PREFIX, protocol=protocol, decode_responses=decode)
    key: Any = "k" if decode else b"k"
    await store.execute("SET", "outside", 1)

    async def fill() -> None:
        await spaced.execute("RPUSH", "k", 1, 2, 3, 4)

    await fill()
    assert await spaced.execute("KEYS", "*") == [key]
    assert await spaced.execute("KEYS", "[k]") == [key]
    assert (await spaced.execute("SCAN", 0, "COUNT", 1000))[1] == [key]
    assert (await spaced.execute("SCAN", 0, "MATCH", "k*", "COUNT", 1000))[1] == [key]
    assert (await spaced.execute("SCAN", 0, "match", b"x*", "COUNT", 1000))[1] == []
    assert (await spaced.execute("BLPOP", "none", "k", 1))[0] == key
    assert (await spaced.execute("LMPOP", 2, "none", "k", "LEFT"))[0] == key
    assert (await spaced.execute("BLMPOP", 1, 2, "none", "k", "LEFT"))[0] == key
    assert await spaced.execute("LMPOP", 1, "none", "LEFT") is None
    await spaced.execute("ZADD", "z", 1, "m", 2, "n")
    z = "z" if decode else b"z"
    assert (await spaced.execute("ZMPOP", 1, "z", "MIN"))[0] == z
    assert (await spaced.execute("BZPOPMAX", "z", 1))[0] == z
    await spaced.execute("XADD", "s", "1-1", "f", "v")
    for command in (("XREAD", "STREAMS", "s", "0"), ("XREAD", "BLOCK", 5, "STREAMS", "s", "0")):
        streams = await spaced.execute(*command)
        names = list(streams) if isinstance(streams, dict) else [entry[0] for entry in streams]
        assert names == ["s" if decode else b"s"]
    assert await spaced.execute("XREAD", "STREAMS", "s", "9-9") is None


async def test_pipelines_and_transactions_have_the_prefix_too(spaced: Store, store: Store) -> None:
    for collector in (spaced.pipeline(), spaced.transaction(), spaced.transaction(watch=["k"])):
        async with collector as commands:
            commands.execute("SET", "k", 1)
            commands.execute("KEYS", "*")
            commands.execute("MGET", "k", "l")
        assert commands.results == [b"OK", [b"k"], [b"1", None]]
    assert await store.execute("KEYS", "*") == [(PREFIX + "k").encode()]


async def test_a_watch_sees_the_key_in_the_namespace(spaced: Store, open_store: OpenStore) -> None:
    from store_core import TransactionAborted

    with pytest.raises(TransactionAborted):
        async with spaced.transaction(watch=["k"]) as transaction:
            await open_store().execute("SET", PREFIX + "k", "changed")
            transaction.execute("GET", "k")


async def test_a_connection_of_ones_own_has_the_prefix(spaced: Store, store: Store) -> None:
    async with await spaced.connect() as connection:
        await connection.execute("SET", "k", 1)
        assert await connection.execute("KEYS", "*") == [b"k"]
    assert await store.execute("KEYS", "*") == [(PREFIX + "k").encode()]


async def test_a_transaction_on_a_connection_of_ones_own_brings_replies_without_the_prefix(spaced: Store) -> None:
    async with await spaced.connect() as connection:
        await connection.execute("RPUSH", "k", 1, 2)
        assert await connection.execute("MULTI") == b"OK"
        assert await connection.execute("KEYS", "*") == b"QUEUED"
        assert await connection.execute("LMPOP", 1, "k", "LEFT") == b"QUEUED"
        assert await connection.execute("GET", "k") == b"QUEUED"
        keys, popped, wrong = await connection.execute("EXEC")
        assert (keys, popped) == ([b"k"], [b"k", [b"1"]])
        assert isinstance(wrong, ReplyError)
        assert await connection.execute("KEYS", "*") == [b"k"]
        await connection.execute("MULTI")
        with pytest.raises(ReplyError):
            await connection.execute("GET")
        with pytest.raises(ReplyError, match="EXECABORT"):
            await connection.execute("EXEC")
        assert await connection.execute("KEYS", "*") == [b"k"]


@pytest.mark.parametrize("name", ["FLUSHDB", "flushall", b"RANDOMKEY", "SwapDB"])
async def test_what_reaches_beyond_the_namespace_is_refused(spaced: Store, store: Store, name: object) -> None:
    await store.execute("SET", "outside", 1)
    with pytest.raises(Unsupported, match="beyond the namespace"):
        await spaced.execute(name, 0, 1)
    assert await store.execute("EXISTS", "outside") == 1


async def test_a_command_that_the_server_does_not_know_is_refused(spaced: Store) -> None:
    with pytest.raises(Unsupported, match="where its keys are"):
        await spaced.execute("NO.SUCH", "key")


@pytest.mark.parametrize("key", [None, True, [1], object()])
async def test_a_key_that_has_no_text_is_refused_like_anywhere_else(spaced: Store, store: Store, key: object) -> None:
    with pytest.raises(ArgumentError):
        await spaced.execute("SET", key, 1)
    with pytest.raises(ArgumentError):
        await spaced.execute("KEYS", key)
    assert await store.execute("DBSIZE") == 0


async def test_flush_deletes_the_namespace_alone(spaced: Store, store: Store) -> None:
    await store.execute("MSET", "outside", 1, "aXb.k", 2, "ab.k", 3)
    await spaced.execute("MSET", *(part for number in range(3000) for part in (f"k{number}", 1)))
    await spaced.flush()
    assert sorted(await store.execute("KEYS", "*")) == [b"aXb.k", b"ab.k", b"outside"]


async def test_two_namespaces_do_not_meet(open_store: OpenStore) -> None:
    first, second = open_store(namespace="one."), open_store(namespace="two.")
    await first.execute("SET", "k", 1)
    assert await second.execute("GET", "k") is None
    assert await first.execute("GET", "k") == b"1"


async def test_channels_have_the_prefix_and_patterns_match_only_within(spaced: Store, store: Store) -> None:
    async with spaced.pubsub() as inside, store.pubsub() as outside:
        await inside.subscribe("c")
        await inside.psubscribe("p*")
        await outside.psubscribe("*")
        await store.execute("PUBLISH", "c", "not meant")
        await store.execute("PUBLISH", "aXb.p", "not meant")
        assert await spaced.execute("PUBLISH", "c", "x") == 2
        assert await spaced.execute("PUBLISH", "pp", "y") == 2
        async with asyncio.timeout(30):
            messages = aiter(inside)
            assert (await anext(messages))[:3] == ("c", b"x", None)
            assert (await anext(messages))[:3] == ("pp", b"y", "p*")
            seen = aiter(outside)
            assert [(await anext(seen)).channel for _ in range(4)] == ["c", "aXb.p", PREFIX + "c", PREFIX + "pp"]
        assert await spaced.execute("PUBSUB", "CHANNELS") == [b"c"]
        assert await spaced.execute("PUBSUB", "CHANNELS", "[c]") == [b"c"]
        assert await spaced.execute("PUBSUB", "CHANNELS", "x*") == []
        assert await spaced.execute("PUBSUB", "NUMSUB", "c", "none") == [b"c", 1, b"none", 0]
        assert await inside.count("c") == {"c": 1}
        assert await inside.channels() == ["c"]


@pytest.mark.parametrize("decode", [False, True])
async def test_redis_pys_client_stays_in_the_namespace(open_store: OpenStore, store: Store, decode: bool) -> None:
    client = open_store(namespace=PREFIX, decode_responses=decode).client()
    key: Any = "k" if decode else b"k"
    await store.execute("SET", "outside", 1)
    await client.set("k", 1)
    assert await client.keys() == [key]
    assert [found async for found in client.scan_iter()] == [key]
    async with client.pipeline() as pipeline:
        await pipeline.watch("k")
        assert await pipeline.get("k") in ("1", b"1")
        pipeline.multi()
        pipeline.incr("k")
        pipeline.set("l", 1)
        assert await pipeline.execute() == [2, True]
    assert sorted(await store.execute("KEYS", "*")) == [(PREFIX + "k").encode(), (PREFIX + "l").encode(), b"outside"]
    assert (await client.pubsub_numsub("c"))[0][0] in ("c", b"c")


async def test_a_watch_of_redis_pys_is_in_the_namespace_even_as_the_very_first_command(
    spaced: Store, store: Store
) -> None:
    async with spaced.client().pipeline() as pipeline:
        await pipeline.watch("k")
        pipeline.multi()
        pipeline.set("k", 1)
        assert await pipeline.execute() == [True]
    assert await store.execute("KEYS", "*") == [(PREFIX + "k").encode()]


@pytest.mark.parametrize("decode", [False, True])
async def test_redis_pys_pubsub_stays_in_the_namespace(open_store: OpenStore, store: Store, decode: bool) -> None:
    client = open_store(namespace=PREFIX, decode_responses=decode).client()
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("c")
        await pubsub.psubscribe("p*")
        for _ in range(2):
            confirmation = await pubsub.get_message(timeout=10)
            assert confirmation["channel"] in ("c", b"c", "p*", b"p*")
        await store.execute("PUBLISH", "aXb.p", "not meant")
        await client.publish("c", "x")
        await client.publish("pp", "y")
        first = await pubsub.get_message(timeout=10)
        assert (first["type"], first["channel"]) == ("message", "c" if decode else b"c")
        second = await pubsub.get_message(timeout=10)
        assert (second["pattern"], second["channel"]) == (("p*", "pp") if decode else (b"p*", b"pp"))
        await pubsub.unsubscribe("c")
        await pubsub.punsubscribe("p*")
        for _ in range(2):
            await pubsub.get_message(timeout=10)
        assert not pubsub.subscribed


# Without a server.


@pytest.fixture
def namespace() -> Namespace:
    one = CommandKeys(lambda args: (1,), {})
    return Namespace("n.", "utf-8", {"GET": one, "SET": one, "DARK": CommandKeys(None, {})})


@pytest.mark.parametrize(
    ("args", "sent"),
    [
        (("GET", "k"), ("GET", "n.k")),
        (("GET",), ("GET",)),
        (("SORT", "k"), ("SORT", "n.k")),
        (
            ("SORT", "k", "BY", "w_*", "GET", "o_*->f", "GET", "#"),
            ("SORT", "n.k", "BY", "n.w_*", "GET", "n.o_*->f", "GET", "#"),
        ),
        (("sort", b"k", b"by", b"nosort", b"store", b"d"), ("sort", b"n.k", b"by", b"nosort", b"store", b"n.d")),
        (("SORT_RO", "k", "LIMIT", 0, 1), ("SORT_RO", "n.k", "LIMIT", 0, 1)),
        (("MIGRATE", "h", 1, "k", 0, 5), ("MIGRATE", "h", 1, "n.k", 0, 5)),
        (
            ("MIGRATE", "keys", 1, "", 0, 5, "COPY", "KEYS", "k", "l"),
            ("MIGRATE", "keys", 1, "", 0, 5, "COPY", "KEYS", "n.k", "n.l"),
        ),
        (("SUBSCRIBE", "c", b"d"), ("SUBSCRIBE", "n.c", b"n.d")),
        (("PUBLISH", "c", "m"), ("PUBLISH", "n.c", "m")),
        (("SPUBLISH", "c", "m"), ("SPUBLISH", "n.c", "m")),
        (("PUBSUB", "SHARDNUMSUB", "c"), ("PUBSUB", "SHARDNUMSUB", "n.c")),
        (("SCAN", 0), ("SCAN", 0, "MATCH", b"n.*")),
        (("SCAN", 0, "TYPE", "hash"), ("SCAN", 0, "TYPE", "hash", "MATCH", b"n.*")),
        (("SCAN", 0, "MATCH", "a", "match", b"*"), ("SCAN", 0, "MATCH", "n.a", "match", b"n.*")),
        (("SCAN", 0, "TYPE", "MATCH"), ("SCAN", 0, "TYPE", "MATCH", "MATCH", b"n.*")),
        (("CLUSTERSCAN", "0", "SLOT", 5), ("CLUSTERSCAN", "0", "SLOT", 5, "MATCH", b"n.*")),
        (("SET", "k", 1), ("SET", "n.k", 1)),
        (("GET", 5), ("GET", b"n.5")),
        (("GET", 1.5), ("GET", b"n.1.5")),
        (("SORT", "k", "BY", "store", "STORE", "d"), ("SORT", "n.k", "BY", "store", "STORE", "n.d")),
        (("SORT", "k", "STORE", "d", "STORE", "e"), ("SORT", "n.k", "STORE", "n.d", "STORE", "n.e")),
        (
            ("GEORADIUS", "k", 1, 2, 3, "m", "STORE", "d", "COUNT", 1, "STOREDIST", "e"),
            ("GEORADIUS", "n.k", 1, 2, 3, "m", "STORE", "n.d", "COUNT", 1, "STOREDIST", "n.e"),
        ),
        (
            ("MIGRATE", "h", 1, "", 0, 5, "AUTH", "KEYS", "KEYS", "k"),
            ("MIGRATE", "h", 1, "", 0, 5, "AUTH", "KEYS", "KEYS", "n.k"),
        ),
        (
            ("XREADGROUP", "COUNT", 1, "GROUP", "STREAMS", "c", "STREAMS", "k", "l", ">", ">"),
            ("XREADGROUP", "COUNT", 1, "GROUP", "STREAMS", "c", "STREAMS", "n.k", "n.l", ">", ">"),
        ),
        (("CLUSTER", "KEYSLOT", "k"), ("CLUSTER", "KEYSLOT", "n.k")),
        (("DEBUG", "OBJECT", "k"), ("DEBUG", "OBJECT", "n.k")),
        (("DEBUG", "digest-value", "k", "l"), ("DEBUG", "digest-value", "n.k", "n.l")),
        (("COMMAND", "GETKEYS", "SORT", "k"), ("COMMAND", "GETKEYS", "SORT", "n.k")),
        (("COMMAND", "GETKEYSANDFLAGS", "GET", "k"), ("COMMAND", "GETKEYSANDFLAGS", "GET", "n.k")),
        (("ACL", "DRYRUN", "user", "GET", "k"), ("ACL", "DRYRUN", "user", "GET", "n.k")),
        (("CLIENT", "TRACKING", "ON", "BCAST"), ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", b"n.")),
        (("CLIENT", "TRACKING", "ON", "NOLOOP"), ("CLIENT", "TRACKING", "ON", "NOLOOP")),
        (
            ("CLIENT", "TRACKING", "ON", "REDIRECT", 5, "PREFIX", "a", "BCAST", "PREFIX", b"b"),
            ("CLIENT", "TRACKING", "ON", "REDIRECT", 5, "PREFIX", "n.a", "BCAST", "PREFIX", b"n.b"),
        ),
        (("SUBSCRIBE", "__keyspace@0__:k"), ("SUBSCRIBE", "__keyspace@0__:n.k")),
        (("PSUBSCRIBE", b"__keyspace@*__:k*"), ("PSUBSCRIBE", b"__keyspace@*__:n.k*")),
        (("SUBSCRIBE", b"\xff"), ("SUBSCRIBE", b"n.\xff")),
        (("PSUBSCRIBE",), ("PSUBSCRIBE",)),
    ],
)
def test_arguments_get_the_prefix_where_keys_are(namespace: Namespace, args: Any, sent: Any) -> None:
    assert namespace.apply(args) == sent


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("DARK", "k"), "DARK: the server does not tell where its keys are"),
        (("COMMAND", "GETKEYS", "DARK", "k"), "DARK"),
        (("ACL", "DRYRUN", "user", "FLUSHALL"), "FLUSHALL"),
        (("CLUSTER", "GETKEYSINSLOT", 1, 1), "CLUSTER GETKEYSINSLOT: it reaches beyond"),
        ((b"cluster", b"flushslot", 1), "CLUSTER FLUSHSLOT"),
        (("DEBUG", "RELOAD"), "DEBUG RELOAD: it reaches beyond"),
        (("DEBUG",), "DEBUG"),
        (("REPLICAOF", "secret", 1), "REPLICAOF"),
        (("SUBSCRIBE", "c", "__keyevent@0__:del"), "every key"),
        (("PSUBSCRIBE", "__key*__:*"), "every key"),
    ],
)
def test_keys_that_cannot_be_known_are_refused(namespace: Namespace, args: Any, words: str) -> None:
    with pytest.raises(Unsupported, match=words) as caught:
        namespace.apply(args)
    assert "secret" not in str(caught.value)


def test_a_namespace_with_a_star_cannot_sort_by_pattern() -> None:
    starred = Namespace("a*.", "utf-8", {})
    assert starred.apply(("SORT", "k", "BY", "nosort", "GET", "#")) == ("SORT", "a*.k", "BY", "nosort", "GET", "#")
    for option in ("BY", "GET"):
        with pytest.raises(Unsupported, match="SORT BY or GET"):
            starred.apply(("SORT", "k", option, "weight_*"))


def test_names_are_in_the_stores_encoding_whatever_they_are_written_as() -> None:
    latin = Namespace("é.", "latin-1", {"GET": CommandKeys(lambda args: (1,), {})})
    assert latin.apply(("GET", 5)) == ("GET", b"\xe9.5")
    assert latin.apply(("SCAN", 0)) == ("SCAN", 0, "MATCH", b"\xe9.*")
    assert latin.apply(("PUBSUB", "CHANNELS")) == ("PUBSUB", "CHANNELS", b"\xe9.*")
    assert latin.apply((b"SUBSCRIBE", b"\xe8")) == (b"SUBSCRIBE", b"\xe9.\xe8")


@pytest.mark.parametrize(
    ("message", "restored"),
    [
        ([b"message", b"n.c", b"n.data"], [b"message", b"c", b"n.data"]),
        ([b"pmessage", b"n.p*", b"n.pp", b"n.data"], [b"pmessage", b"p*", b"pp", b"n.data"]),
        (["subscribe", "n.c", 1], ["subscribe", "c", 1]),
        ([b"unsubscribe", None, 0], [b"unsubscribe", None, 0]),
        ([b"pong", b"n."], [b"pong", b"n."]),
        ([b"message", b"__keyspace@0__:n.k", b"set"], [b"message", b"__keyspace@0__:k", b"set"]),
        (
            ["pmessage", "__keyspace@*__:n.*", "__keyspace@0__:n.k", "set"],
            ["pmessage", "__keyspace@*__:*", "__keyspace@0__:k", "set"],
        ),
        ([], []),
        (b"n.c", b"n.c"),
        (None, None),
    ],
)
def test_messages_lose_the_prefix_of_their_channels_alone(namespace: Namespace, message: Any, restored: Any) -> None:
    assert namespace.restore_message(message) == restored
