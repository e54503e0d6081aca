"""Every command that the server has: in a namespace its keys have the prefix, or it is refused.

The commands are the server's own list. For each one a call is made up from what ``COMMAND`` says of its keys, and the
server itself is asked (``COMMAND GETKEYS``) which keys the rewritten call has.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from store_core import ReplyError, Store, Unsupported, create_store

PREFIX = "n*[s]:"


def words(text: str) -> set[str]:
    return set(text.split())


#: Commands of which the server says that they have no keys, and which are sent as they are: they are about the server,
#: the connection, or what all namespaces share. One that is new to this list has to be looked at.
PLAIN = words("""
    acl|cat acl|deluser acl|genpass acl|getuser acl|help acl|list acl|load acl|log acl|save acl|setuser acl|users
    acl|whoami asking auth bgrewriteaof bgsave client|caching client|capa client|getname client|getredir
    client|help client|id client|import-source client|info client|kill client|list client|no-evict client|no-touch
    client|pause client|reply client|setinfo client|setname client|tracking client|trackinginfo client|unblock
    client|unpause cluster|addslots cluster|addslotsrange cluster|bumpepoch cluster|cancelslotmigrations
    cluster|count-failure-reports cluster|countkeysinslot cluster|delslots cluster|delslotsrange cluster|failover
    cluster|flushslots cluster|forget cluster|getslotmigrations cluster|help cluster|info cluster|links
    cluster|meet cluster|migrateslots cluster|myid cluster|myshardid cluster|nodes cluster|replicas
    cluster|saveconfig cluster|set-config-epoch cluster|setslot cluster|shards cluster|slaves cluster|slot-stats
    cluster|slots cluster|syncslots command|count command|docs
    command|help command|info command|list commandlog|get commandlog|help commandlog|len commandlog|reset
    config|get config|help config|resetstat config|rewrite config|set dbsize discard echo exec failover
    function|delete function|dump function|flush function|help function|kill function|list function|load
    function|restore function|stats hello info lastsave latency|doctor latency|graph latency|help
    latency|histogram latency|history latency|latest latency|reset lolwut memory|doctor memory|help
    memory|malloc-stats memory|purge memory|stats module|help module|list module|load module|loadex module|unload
    monitor multi object|help pfselftest ping pubsub|help pubsub|numpat quit readonly readwrite replconf reset
    role save script|debug script|exists script|flush script|help script|kill script|load script|show select
    shutdown slowlog|get slowlog|help slowlog|len slowlog|reset time unwatch wait waitaof xgroup|help xinfo|help
""")

#: Commands without keys whose arguments change: patterns, channels, and other commands that they carry.
REWRITTEN = words("""
    acl|dryrun cluster|keyslot clusterscan command|getkeys command|getkeysandflags keys psubscribe publish
    pubsub|channels pubsub|numsub pubsub|shardchannels
    pubsub|shardnumsub punsubscribe scan spublish ssubscribe subscribe sunsubscribe unsubscribe
    """)

REFUSED = words("""
    cluster|flushslot cluster|getkeysinslot cluster|replicate cluster|reset debug flushall flushdb psync randomkey
    replicaof slaveof swapdb sync
    """)

#: What a made-up call does not cover: options that carry keys, and arguments that look like options.
TRICKY = [
    line.split()
    for line in """
    SORT k1 STORE k2
    SORT k1 BY nosort GET # LIMIT 0 1 STORE k2
    SORT k1 LIMIT 0 STORE STORE k2
    SORT k1 BY store ASC ALPHA STORE k2
    SORT_RO k1 DESC
    MIGRATE host 1 k1 0 5 COPY REPLACE
    MIGRATE host 1 k1 0 5 AUTH KEYS
    MIGRATE host 1 k1 0 5 AUTH2 user keys
    GEORADIUS k1 1 2 3 m STORE k2
    GEORADIUS k1 1 2 3 m WITHDIST COUNT 1 ANY STOREDIST k2
    GEORADIUSBYMEMBER k1 member 3 m STORE k2
    XREAD COUNT 1 BLOCK 5 STREAMS k1 k2 0 0
    XREAD STREAMS k1 STREAMS 0 0
    XREADGROUP GROUP streams STREAMS STREAMS k1 >
    XREADGROUP GROUP g c NOACK COUNT 1 STREAMS k1 k2 > >
    EVAL script 0 a b
    EVAL script 2 k1 k2 a b
    EVALSHA_RO sha 1 k1 a
    FCALL_RO f 1 k1 a
    SET k1 v NX GET EX 5
    SET k1 v GET
    BITFIELD k1 GET u8 0
    BITFIELD k1 SET u8 0 1
    COPY k1 k2 DB 1 REPLACE
    LCS k1 k2 IDX MINMATCHLEN 2 WITHMATCHLEN
    LMPOP 2 k1 k2 LEFT COUNT 2
    BLMPOP 0 2 k1 k2 LEFT COUNT 2
    BZMPOP 0 1 k1 MIN
    ZMPOP 1 k1 MAX
    ZUNIONSTORE k1 2 k2 k3 WEIGHTS 1 2 AGGREGATE MAX
    ZDIFFSTORE k1 1 k2
    ZINTER 2 k1 k2 WITHSCORES
    ZRANGESTORE k1 k2 0 -1 REV
    SINTERCARD 2 k1 k2 LIMIT 1
    GEOSEARCHSTORE k1 k2 FROMLONLAT 1 2 BYRADIUS 3 m
    BITOP DIFF k1 k2 k3
    PFCOUNT k1 k2 k3
    OBJECT FREQ k1
    MEMORY USAGE k1 SAMPLES 5
    XINFO STREAM k1 FULL
    XGROUP CREATE k1 g $ MKSTREAM
    XGROUP SETID k1 g 0
    XAUTOCLAIM k1 g c 0 0
    RESTORE k1 0 dump REPLACE
    RESTORE-ASKING k1 0 dump
    PFDEBUG ENCODING k1
    """.splitlines()
    if line.strip()
]


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else dict(zip(value[::2], value[1::2], strict=True))


def sample(entry: list[Any]) -> list[str]:
    """A call of a command, made up from its arity and key specifications: its keys are k1, k2, …"""
    call: dict[int, str] = dict(enumerate(entry[0].upper().split("|")))
    least = abs(entry[1])
    for spec in entry[8]:
        begin, find = mapping(spec["begin_search"]), mapping(spec["find_keys"])
        if "unknown" in (begin["type"], find["type"]) or "incomplete" in spec["flags"]:
            continue
        where, what = mapping(begin["spec"]), mapping(find["spec"])
        start = (
            where["index"]
            if begin["type"] == "index"
            else next(place for place in range(where["startfrom"], 100) if place not in call)
        )
        if begin["type"] == "keyword":
            call[start] = where["keyword"]
            start += 1
        if find["type"] == "keynum":
            call[start + what["keynumidx"]] = "2"
            places = [start + what["firstkey"], start + what["firstkey"] + what["keystep"]]
            least = max(least, places[-1] + what["keystep"])
        elif what["lastkey"] >= 0:
            places = list(range(start, start + what["lastkey"] + 1, what["keystep"]))
        else:
            places = [start, start + what["keystep"]]
            after = 2 if what["limit"] > 1 else what["keystep"] - 2 - what["lastkey"]
            least = max(least, places[-1] + after + 1)
        for place in places:
            call[place] = f"k{sum(word.startswith('k') for word in call.values()) + 1}"
    return [call.get(place, "1") for place in range(max(least, *(place + 1 for place in call)))]


@pytest.fixture(scope="module")
def commands(valkey_url: str) -> dict[str, list[Any]]:
    async def read() -> list[Any]:
        async with create_store(valkey_url, decode_responses=True) as store:
            return await store.execute("COMMAND")

    table = asyncio.run(read())
    return {entry[0]: entry for command in table for entry in (command, *command[9])}


@pytest.fixture
async def spaced(valkey_url: str):
    async with create_store(valkey_url, namespace=PREFIX) as store:
        yield store


async def keys_of(store: Store, args: Any) -> list[str] | None:
    """What the server finds; None when it says that there are none."""
    try:
        return [key.decode() for key in await store.execute("COMMAND", "GETKEYS", *args)]
    except ReplyError as error:
        if "has no key arguments" in str(error):
            return None
        raise


async def check(store: Store, spaced: Store, args: list[str]) -> bool:
    """Whether the call has keys; they have the prefix, and nothing else changed."""
    keys = await keys_of(store, args)
    if keys is None:
        return False
    sent = await spaced.prepare(tuple(args))
    assert await keys_of(store, sent) == [PREFIX + key for key in keys], args
    assert [word.removeprefix(PREFIX) for word in sent] == args
    return True


async def test_every_command_of_the_server_has_the_prefix_or_is_refused_or_has_no_keys(
    store: Store, spaced: Store, commands: dict[str, list[Any]]
) -> None:
    with_keys = set()
    for name, entry in commands.items():
        if name in REFUSED or entry[9]:  # of a container, each subcommand is an entry
            continue
        args = sample(entry)
        # What has "not_key" specifications (channels, a cursor) has keys for COMMAND GETKEYS.
        if name not in REWRITTEN and await check(store, spaced, args):
            with_keys.add(name)
            assert any(word.startswith("k") for word in args), name
        elif name in PLAIN:
            assert list(await spaced.prepare(tuple(args))) == args, name
    assert len(with_keys) > 200
    containers = {name for name, entry in commands.items() if entry[9]}
    assert set(commands) - containers - with_keys - PLAIN - REWRITTEN - REFUSED == set()
    assert not (PLAIN | REWRITTEN | REFUSED) & with_keys


async def test_what_is_refused_is_refused_and_what_carries_names_is_rewritten(
    spaced: Store, commands: dict[str, list[Any]]
) -> None:
    for name in REFUSED:
        with pytest.raises(Unsupported, match="beyond the namespace"):
            await spaced.prepare(tuple(sample(commands[name])))
    carried = {
        "acl|dryrun": ["ACL", "DRYRUN", "user", "GET", "k"],
        "clusterscan": ["CLUSTERSCAN", "0"],
        "command|getkeys": ["COMMAND", "GETKEYS", "GET", "k"],
        "command|getkeysandflags": ["COMMAND", "GETKEYSANDFLAGS", "GET", "k"],
        "scan": ["SCAN", "0"],
    }
    for name in REWRITTEN:
        call = carried.get(name) or [*name.upper().split("|"), "c"]
        assert any(PREFIX[0] in str(word) for word in await spaced.prepare(tuple(call))), name


@pytest.mark.parametrize("args", TRICKY, ids=" ".join)
async def test_options_that_carry_keys_are_found_as_the_server_finds_them(
    store: Store, spaced: Store, args: list[str]
) -> None:
    if not await check(store, spaced, args):
        assert args[2] == "0"
        assert list(await spaced.prepare(tuple(args))) == args


async def test_what_the_servers_table_does_not_tell_apart_does_not_escape(store: Store, spaced: Store) -> None:
    await spaced.execute("GEOADD", "geo", 1, 1, "m")
    await spaced.execute("GEORADIUS", "geo", 1, 1, 5, "km", "STORE", "first", "STORE", "last")
    await spaced.execute("RPUSH", "list", 1)
    await spaced.execute("SORT", "list", "STORE", "first", "STORE", "sorted")
    # COMMAND GETKEYS takes the group's name for the keyword here; the command itself does not.
    await spaced.execute("XGROUP", "CREATE", "stream", "STREAMS", "0", "MKSTREAM")
    assert not await spaced.execute("XREADGROUP", "COUNT", 1, "GROUP", "STREAMS", "c", "STREAMS", "stream", ">")
    assert all(key.decode().startswith(PREFIX) for key in await store.execute("KEYS", "*"))
    assert sorted(await spaced.execute("KEYS", "*")) == [b"geo", b"last", b"list", b"sorted", b"stream"]


async def test_migrate_moves_the_keys_of_the_namespace(store: Store, spaced: Store) -> None:
    from store_core import start_store

    async with await start_store("redis://127.0.0.1:0") as target:
        port = target.dsn.rpartition(":")[2].split("/")[0].split("?")[0]
        await spaced.execute("MSET", "a", 1, "b", 2, "c", 3)
        assert await spaced.execute("MIGRATE", "127.0.0.1", port, "a", 0, 5000) == b"OK"
        assert await spaced.execute("MIGRATE", "127.0.0.1", port, "", 0, 5000, "COPY", "KEYS", "b", "c") == b"OK"
        assert sorted(await target.execute("KEYS", "*")) == [(PREFIX + key).encode() for key in "abc"]
        assert sorted(await spaced.execute("KEYS", "*")) == [b"b", b"c"]


async def test_replies_that_name_keys_lose_the_prefix(spaced: Store) -> None:
    assert await spaced.execute("COMMAND", "GETKEYS", "MSET", "a", 1, "b", 2) == [b"a", b"b"]
    flagged = await spaced.execute("COMMAND", "GETKEYSANDFLAGS", "COPY", "a", "b")
    assert [entry[0] for entry in flagged] == [b"a", b"b"]
    assert await spaced.execute("ACL", "DRYRUN", "default", "GET", "a") == b"OK"
    async with await spaced.connect() as connection:
        await connection.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "user:")
        info = mapping(await connection.execute("CLIENT", "TRACKINGINFO"))
        assert info[b"prefixes"] == [b"user:"]


async def test_a_hundred_thousand_keys_are_flushed_and_no_other(store: Store, valkey_url: str) -> None:
    outside = {b"ns", b"nXs:1", b"n*[s]1", b"\xff"}
    for key in outside:
        await store.execute("SET", key, 1)
    async with create_store(valkey_url, namespace=PREFIX, decode_responses=True) as spaced:
        for start in range(0, 100_000, 5000):
            await spaced.execute("MSET", *(part for number in range(start, start + 5000) for part in (number, 1)))
        # A key that is no text must not stop it where replies are text.
        await spaced.execute("SET", b"\xff\xfe", 1)
        assert await store.execute("DBSIZE") == 100_001 + len(outside)
        await spaced.flush()
    assert set(await store.execute("KEYS", "*")) == outside


async def test_keyspace_notifications_tell_of_the_namespace_alone(store: Store, spaced: Store) -> None:
    await store.execute("CONFIG", "SET", "notify-keyspace-events", "KA")
    try:
        async with spaced.pubsub() as pubsub:
            await pubsub.psubscribe("__keyspace@0__:*")
            await pubsub.subscribe("__keyspace@0__:b")
            await store.execute("SET", "a", 1)
            await spaced.execute("SET", "b", 1)
            messages = aiter(pubsub)
            async with asyncio.timeout(30):
                heard = {(await anext(messages))[:3] for _ in range(2)}
            assert heard == {
                ("__keyspace@0__:b", b"set", None),
                ("__keyspace@0__:b", b"set", "__keyspace@0__:*"),
            }
            with pytest.raises(Unsupported, match="every key"):
                await pubsub.subscribe("__keyevent@0__:set")
    finally:
        await store.execute("CONFIG", "SET", "notify-keyspace-events", "")


async def test_an_error_says_nothing_of_the_arguments(spaced: Store) -> None:
    for args in (("FLUSHALL", "secret"), ("NO.SUCH", "secret"), ("DEBUG", "RELOAD", "secret")):
        with pytest.raises(Unsupported) as caught:
            await spaced.execute(*args)
        assert "secret" not in str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
