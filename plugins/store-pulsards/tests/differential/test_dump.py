"""What one server dumps, the other one restores: values of every type and encoding, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

TEXT = "some text that goes on and on and on and on, and on"

# Commands that make the key ``k``.
VALUES: dict[str, list[list[Any]]] = {
    "short string": [["SET", "k", "abc"]],
    "empty string": [["SET", "k", ""]],
    "integer": [["SET", "k", "-70000"]],
    "large integer": [["SET", "k", "9223372036854775807"]],
    "binary string": [["SET", "k", bytes(range(256)) * 3]],
    "compressible string": [["SET", "k", TEXT * 1000]],
    "megabyte": [["SETRANGE", "k", 2**20, "x"]],
    "hyperloglog": [["PFADD", "k", *range(5000)]],
    "small list": [["RPUSH", "k", "a", "", "-5", 5000, 2**40, "x" * 70]],
    "long list": [["RPUSH", "k", *range(5000)], ["LPUSH", "k", *[f"{TEXT}{n}" for n in range(500)]]],
    "list of long elements": [["RPUSH", "k", "a", "x" * 8193, "b", "y" * 8192, "z" * 100_000, "c"]],
    "intset of 16 bits": [["SADD", "k", *range(-50, 50)]],
    "intset of 32 bits": [["SADD", "k", 1, 2, 70000]],
    "intset of 64 bits": [["SADD", "k", 1, -(2**63), 2**63 - 1]],
    "small set": [["SADD", "k", "a", "b", 5, "", "x" * 64]],
    "large set": [["SADD", "k", *[f"m{n}" for n in range(1000)]]],
    "small hash": [["HSET", "k", "a", 1, "b", "x" * 64, "", ""]],
    "large hash": [["HSET", "k", *[word for n in range(1000) for word in (f"f{n}", n)]]],
    "hash with times": [
        ["HSET", "k", *[word for n in range(20) for word in (f"f{n}", n)]],
        ["HPEXPIREAT", "k", 33177117420123, "FIELDS", 3, "f1", "f7", "f19"],
    ],
    "large hash whose times have ended": [
        ["HSETEX", "k", "EX", 100, "FIELDS", 1, "a", "x" * 100],
        ["HPERSIST", "k", "FIELDS", 1, "a"],
    ],
    "small sorted set": [["ZADD", "k", 1, "a", -2.5, "b", "inf", "c", "-inf", "d", 0.1, "e", 1e300, "f", 2**53, "g"]],
    "stream": [
        ["XADD", "k", "5-1", "a", 1],
        ["XADD", "k", "5-7", "a", 2, "b", "x" * 100],
        ["XADD", "k", "9-0", "a", -3],
    ],
    "long stream": [
        *[["XADD", "k", f"{1000 + n}-{n % 3}", "field", n, "other", f"{TEXT}{n}"] for n in range(300)],
        ["XDEL", "k", "1000-0", "1150-0", "1299-2"],
        ["XTRIM", "k", "MINID", "1010"],
    ],
    "empty stream": [["XGROUP", "CREATE", "k", "g", "$", "MKSTREAM"]],
    "stream with large numbers": [["XADD", "k", "0-18446744073709551615", "a", 1], ["XADD", "k", f"{2**63}-1", "a", 1]],
    "stream with groups": [
        *[["XADD", "k", f"{n}-1", "a", n] for n in range(1, 20)],
        ["XGROUP", "CREATE", "k", "g", "0"],
        ["XGROUP", "CREATE", "k", "idle", "7-1"],
        ["XGROUP", "CREATECONSUMER", "k", "g", "new"],
        ["XREADGROUP", "GROUP", "g", "one", "COUNT", 5, "STREAMS", "k", ">"],
        ["XREADGROUP", "GROUP", "g", "two", "COUNT", 5, "STREAMS", "k", ">"],
        ["XACK", "k", "g", "2-1", "7-1"],
        ["XCLAIM", "k", "g", "two", 0, "3-1"],
        ["XDEL", "k", "4-1"],
    ],
    "large sorted set": [["ZADD", "k", *[word for n in range(1000) for word in (n / 7, f"m{n}")]]],
}

READING: dict[bytes, list[Any]] = {
    b"string": ["GET", "k"],
    b"list": ["LRANGE", "k", 0, -1],
    b"set": ["SMEMBERS", "k"],
    b"hash": ["HGETALL", "k"],
    b"stream": ["XRANGE", "k", "-", "+"],
    b"zset": ["ZRANGE", "k", 0, -1, "WITHSCORES"],
}


def timeless(reply: Any) -> Any:
    """What XINFO tells, but for the nodes of a radix tree, which are no part of the value."""
    if isinstance(reply, dict):
        return {name: timeless(value) for name, value in reply.items() if not name.startswith(b"radix-tree")}
    return [timeless(item) for item in reply] if isinstance(reply, list) else reply


def seen(client: Any) -> list[Any]:
    """All that a client can see of the key."""
    kind = client.execute_command("TYPE", "k")
    content = client.execute_command(*READING[kind])
    found = [kind, sorted(content) if kind == b"set" else content, client.execute_command("OBJECT", "ENCODING", "k")]
    if kind == b"stream":
        found += [timeless(client.execute_command("XINFO", "STREAM", "k", "FULL", "COUNT", 0))]
    if kind == b"hash":
        found += [{name: client.execute_command("HPEXPIRETIME", "k", "FIELDS", 1, name) for name in content}]
    return found


@pytest.fixture
def clients(start_server: Callable[..., Any], valkey: tuple[str, int]) -> Iterator[tuple[Any, Any]]:
    ours: Any = redis.Redis(*start_server().address, protocol=3)
    theirs: Any = redis.Redis(*valkey, protocol=3)
    with ours, theirs:
        ours.response_callbacks.clear()
        theirs.response_callbacks.clear()
        yield ours, theirs
        theirs.execute_command("FLUSHALL")


@pytest.mark.parametrize("name", VALUES)
def test_a_value_goes_to_valkey_and_comes_back(clients: tuple[Any, Any], name: str) -> None:
    for source, target in (clients, clients[::-1]):
        for client in clients:
            client.execute_command("FLUSHALL")
        for line in VALUES[name]:
            source.execute_command(*line)
        target.execute_command("RESTORE", "k", 0, source.execute_command("DUMP", "k"))
        assert seen(target) == seen(source)
        # And back: what was restored is dumped again, and means the same.
        source.execute_command("RESTORE", "k", 5000, target.execute_command("DUMP", "k"), "REPLACE")
        assert seen(source) == seen(target)
        assert 0 < source.execute_command("PTTL", "k") <= 5000
