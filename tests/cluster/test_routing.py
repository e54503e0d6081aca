"""Where commands go: one slot, several slots, every node."""

from __future__ import annotations

import random

import pytest
from tests.cluster.servers import ClusterServers

from store_core import DSNError, ReplyError, Store, Unsupported, create_store
from store_redis.cluster import ClusterStore

#: Keys in many slots, on every primary.
KEYS = [f"key:{number}" for number in range(60)]


async def fill(store: Store) -> None:
    for key in KEYS:
        await store.execute("SET", key, key)


async def test_each_key_is_on_the_node_that_serves_its_slot(store: ClusterStore, cluster: ClusterServers) -> None:
    await fill(store)
    assert [await store.execute("GET", key) for key in KEYS] == [key.encode() for key in KEYS]
    held = [set(server.run("KEYS", "*")) for server in cluster.primaries()]
    assert all(held)
    assert sorted(key for keys in held for key in keys) == sorted(KEYS)


@pytest.mark.parametrize(
    "key", ["text", "{tag}text", b"bytes", b"\xff{\x00}", bytearray(b"{a}b"), memoryview(b"{m}c"), 7, 1.5]
)
async def test_a_key_of_any_type_finds_its_slot(store: ClusterStore, key: object) -> None:
    for _ in range(2):
        await store.execute("SET", key, "value")
    assert await store.execute("GET", key) == b"value"
    assert await store.execute("dbsize") == 1


async def test_mget_gathers_from_every_node_in_order(store: ClusterStore) -> None:
    await fill(store)
    asked = [*KEYS, "missing", KEYS[0]]
    random.shuffle(asked)
    assert await store.execute("MGET", *asked) == [key.encode() if key in KEYS else None for key in asked]


async def test_mset_scatters_to_every_node(store: ClusterStore) -> None:
    assert await store.execute("MSET", *(part for key in KEYS for part in (key, key))) == b"OK"
    assert await store.execute("MGET", *KEYS) == [key.encode() for key in KEYS]


@pytest.mark.parametrize("command", ["EXISTS", "TOUCH", "UNLINK", "DEL"])
async def test_counts_of_every_node_are_added(store: ClusterStore, command: str) -> None:
    await fill(store)
    assert await store.execute(command, *KEYS, "missing") == len(KEYS)
    assert await store.execute("DBSIZE") == (0 if command in ("DEL", "UNLINK") else len(KEYS))


async def test_a_split_command_of_which_one_part_is_refused_is_refused(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await store.execute("ACL", "SETUSER", "some", "on", ">pw", "~a*", "&*", "+@all")
    async with create_store(cluster.url, username="some", password="pw") as some:
        assert await some.execute("MSET", "a", 1, "a2", 2) == b"OK"
        for command in (("MGET", "a", "b"), ("DEL", "a", "b"), ("MSET", "a", 1, "b", 2)):
            with pytest.raises(ReplyError, match="NOPERM"):
                await some.execute(*command)
    await store.execute("ACL", "DELUSER", "some")


async def test_a_split_command_with_wrong_arguments_is_refused_in_the_servers_words(store: ClusterStore) -> None:
    for command in (("MSET", "{t}a", 1, "{t}b"), ("DEL",), ("MGET",)):
        with pytest.raises(ReplyError, match="wrong number"):
            await store.execute(*command)


async def test_other_commands_over_several_slots_are_refused_in_the_servers_words(store: ClusterStore) -> None:
    with pytest.raises(ReplyError) as caught:
        await store.execute("SINTER", "a", "b")
    assert caught.value.code == "CROSSSLOT"
    assert await store.execute("SINTER", "{t}a", "{t}b") in (set(), [])


async def test_commands_without_keys_reach_the_nodes_that_the_servers_tips_name(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await fill(store)
    assert await store.execute("PING") == b"PONG"
    assert sorted(await store.execute("KEYS", "*")) == sorted(key.encode() for key in KEYS)
    sha = await store.execute("SCRIPT", "LOAD", "return 'here'")
    for server in cluster.servers:
        assert server.run("SCRIPT EXISTS", sha.decode()) == [1]
    assert await store.execute("SCRIPT", "EXISTS", sha, "0" * 40) == [1, 0]
    assert [await store.execute("EVALSHA", sha, 1, key) for key in KEYS[:10]] == [b"here"] * 10
    assert await store.execute("CONFIG", "SET", "maxmemory-samples", 7) == b"OK"
    assert {server.run("CONFIG GET", "maxmemory-samples")[1] for server in cluster.servers} == {"7"}
    with pytest.raises(ReplyError, match="NOTBUSY"):
        await store.execute("SCRIPT", "KILL")
    assert await store.execute("FLUSHALL") == b"OK"
    assert await store.execute("DBSIZE") == 0


async def test_a_function_is_loaded_everywhere_and_runs_where_its_key_is(store: ClusterStore) -> None:
    body = "function(keys, args) return redis.call('SET', keys[1], args[1]) end"
    code = f"#!lua name=lib\nserver.register_function('put', {body})"
    assert await store.execute("FUNCTION", "LOAD", "REPLACE", code) == b"lib"
    for key in KEYS[:10]:
        await store.execute("FCALL", "put", 1, key, "put")
    assert await store.execute("MGET", *KEYS[:10]) == [b"put"] * 10
    await store.execute("FUNCTION", "FLUSH")


@pytest.mark.parametrize("count", [1, 1000])
async def test_scan_visits_every_key_of_every_node_once(store: ClusterStore, count: int) -> None:
    await fill(store)
    found: list[bytes] = []
    cursor: bytes = b"0"
    while True:
        cursor, keys = await store.execute("SCAN", cursor, "COUNT", count)
        found += keys
        if cursor == b"0":
            break
    assert sorted(found) == sorted(key.encode() for key in KEYS)


async def test_scan_refuses_a_cursor_that_is_none_in_the_servers_words(store: ClusterStore) -> None:
    with pytest.raises(ReplyError, match="invalid cursor"):
        await store.execute("SCAN", "x")
    with pytest.raises(ReplyError, match="wrong number"):
        await store.execute("SCAN")


async def test_randomkey_finds_the_only_key_wherever_it_is(store: ClusterStore) -> None:
    assert await store.execute("RANDOMKEY") is None
    await store.execute("SET", "only", 1)
    assert {await store.execute("RANDOMKEY") for _ in range(10)} == {b"only"}


async def test_keys_in_odd_places_are_found(store: ClusterStore, cluster: ClusterServers) -> None:
    await store.execute("RPUSH", "{t}list", 3, 1, 2)
    assert await store.execute("EVAL", "return redis.call('LLEN', KEYS[1])", 1, "{t}list") == 3
    assert await store.execute("EVAL", "return 5", 0) == 5
    assert await store.execute("OBJECT", "ENCODING", "{t}list") == b"listpack"
    assert await store.execute("SORT", "{t}list", "STORE", "{t}sorted") == 3
    assert await store.execute("LMPOP", 2, "{t}none", "{t}list", "LEFT") == [b"{t}list", [b"3"]]
    await store.execute("XADD", "stream", "1-1", "f", "v")
    assert await store.execute("XREAD", "STREAMS", "stream", "0")
    assert await store.execute("BITOP", "AND", "{b}dest", "{b}one") == 0
    target = cluster.servers[0].port
    assert await store.execute("MIGRATE", "127.0.0.1", target, "", 0, 1000, "KEYS", "nokey") == b"NOKEY"


async def test_a_command_that_does_not_exist_is_refused_in_the_servers_words(store: ClusterStore) -> None:
    with pytest.raises(ReplyError, match="unknown command"):
        await store.execute("NOSUCH", "key")
    with pytest.raises(ReplyError, match="unknown subcommand"):
        await store.execute("OBJECT", "NOSUCH", "key")


async def test_commands_that_would_change_a_shared_connection_are_refused(store: ClusterStore) -> None:
    with pytest.raises(Unsupported):
        await store.execute("SELECT", 1)


async def test_a_dead_seed_is_passed_over(cluster: ClusterServers) -> None:
    alive = cluster.servers[4].port
    async with create_store(f"redis+cluster://127.0.0.1:1,nosuchhost.invalid:7,127.0.0.1:{alive}") as store:
        assert await store.execute("SET", "a", 1) == b"OK"
        assert await store.execute("GET", "a") == b"1"


async def test_a_server_that_is_no_cluster_says_so(valkey_url: str) -> None:
    async with create_store(valkey_url.replace("redis://", "redis+cluster://")) as store:
        with pytest.raises(ReplyError, match="cluster support disabled"):
            await store.execute("GET", "a")


async def test_a_choice_of_readers_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DSNError, match="read_from"):
        create_store("redis+cluster://127.0.0.1", read_from="nobody")


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [True, False])
async def test_every_protocol_and_decoding_works(cluster: ClusterServers, protocol: int, decode: bool) -> None:
    async with create_store(cluster.url, protocol=protocol, decode_responses=decode) as store:
        value = "v" if decode else b"v"
        await store.execute("MSET", "a", "v", "b", "v")
        assert await store.execute("MGET", "a", "b", "c") == [value, value, None]
        assert int((await store.execute("SCAN", 0, "COUNT", 1000))[0]) >= 0


@pytest.mark.parametrize(("encoding", "decode"), [("latin-1", True), ("cp1252", False)])
async def test_another_encoding_works(cluster: ClusterServers, encoding: str, decode: bool) -> None:
    async with create_store(cluster.url, encoding=encoding, decode_responses=decode) as store:
        values = ["ö", "v"] if decode else ["ö".encode(encoding), "v".encode(encoding)]
        await store.execute("MSET", "ä", "ö", "b", "v")
        assert await store.execute("MGET", "ä", "b") == values
        assert await store.execute("GET", "ä") == values[0]


async def test_a_namespace_is_before_every_key_and_off_every_reply(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await store.execute("SET", "outside", 1)
    async with create_store(cluster.url, namespace="ns:") as spaced:
        await fill(spaced)
        assert await spaced.execute("MGET", *KEYS) == [key.encode() for key in KEYS]
        assert sorted(await spaced.execute("KEYS", "*")) == sorted(key.encode() for key in KEYS)
        assert {key async for key in spaced.client().scan_iter()} == {key.encode() for key in KEYS}
        assert await store.execute("DBSIZE") == len(KEYS) + 1
        with pytest.raises(Unsupported):
            await spaced.execute("FLUSHDB")
        await spaced.flush()
        assert await store.execute("KEYS", "*") == [b"outside"]


async def test_numbered_databases_are_kept_apart(store: ClusterStore, cluster: ClusterServers) -> None:
    await store.create_database("3")
    async with create_store(cluster.url, db=3) as third:
        await fill(third)
        assert await store.execute("DBSIZE") == 0
        assert await third.execute("DBSIZE") == len(KEYS)
        await store.delete_database("3")
        assert await third.execute("DBSIZE") == 0
    with pytest.raises(ReplyError, match="out of range"):
        await store.create_database("99")
