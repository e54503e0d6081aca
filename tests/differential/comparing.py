"""Whether two replies are the same: to the byte, but for what Redis itself leaves open.

- What comes from a hash table has no order; scans go through it in pages of any size.
- Random members are random.
- A time that was given from now on is as exact as two servers can be asked at once.
- A score's digits: Valkey does not always print the fewest that tell a double from its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from store_pulsards.engine.rdb import payload
from store_pulsards.engine.sorted_set import SortedSet
from store_pulsards.engine.stream import Stream

JITTER = 20_000  # milliseconds, or seconds

Reply = Any
Same = Callable[[Sequence[bytes], Reply, Reply], bool]


def same(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Whether both servers said the same to a command."""
    if ours == theirs:
        return True
    how = RULES.get(command[0].upper())
    if how is None or "-" in (ours[0], theirs[0]):
        return False
    return how(command, ours, theirs)


def same_transaction(queued: Sequence[Sequence[bytes]], ours: Reply, theirs: Reply) -> bool:
    """Whether the replies of a transaction are the same, each by its own rule."""
    if ours == theirs:
        return True
    if ours[0] != "*" or theirs[0] != "*" or ours[1] is None or theirs[1] is None:
        return False
    if not len(ours[1]) == len(theirs[1]) == len(queued):
        return False
    return all(map(same, queued, ours[1], theirs[1]))


def same_kind(_: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same type, and as many elements."""
    if ours[0] != theirs[0] or isinstance(ours[1], list) != isinstance(theirs[1], list):
        return False
    return not isinstance(ours[1], list) or len(ours[1]) == len(theirs[1])


def patterns_in_order(messages: list[Reply]) -> list[Reply]:
    """Messages; one that several patterns of a client match comes for them in any order."""
    found: list[Reply] = []
    for _, group in groupby(messages, key=lambda message: repr(message[1][2:]) if isinstance(message[1], list) else ""):
        found += sorted(group, key=repr)
    return found


def anything(_: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    return bool(ours[0] == theirs[0])


def unordered(_: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    return _sorted(ours) == _sorted(theirs)


def _sorted(reply: Reply) -> Reply:
    return reply[0], sorted(reply[1], key=repr) if isinstance(reply[1], list) else reply[1]


def pairs(_: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same fields with the same values."""
    return ours[0] == theirs[0] and _paired(ours[1]) == _paired(theirs[1])


def _paired(items: list[Reply]) -> list[tuple[Reply, Reply]]:
    return sorted(zip(items[::2], items[1::2], strict=True), key=repr)


def near(_: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same, but for numbers that are times."""
    if ours[0] != theirs[0]:
        return False
    if isinstance(ours[1], list) and isinstance(theirs[1], list):
        return len(ours[1]) == len(theirs[1]) and all(near((), *each) for each in zip(ours[1], theirs[1], strict=True))
    if ours[0] == ":":
        one, other = int(ours[1]), int(theirs[1])
        return one == other or (abs(one - other) < JITTER and min(one, other) >= 0)
    return bool(ours == theirs)


def scores(_: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same, numbers being compared as such."""
    if ours[0] != theirs[0]:
        return False
    if isinstance(ours[1], list) and isinstance(theirs[1], list):
        return len(ours[1]) == len(theirs[1]) and all(
            scores((), *each) for each in zip(ours[1], theirs[1], strict=True)
        )
    if ours == theirs:
        return True
    digits = [reply[1] for reply in (ours, theirs)]
    if set(digits) == {b"0", b"-0"}:  # Valkey keeps -0 in what has been large
        return True
    return all(isinstance(each, bytes) and len(each) > 16 for each in digits) and _float(digits[0]) == _float(digits[1])


def _float(text: bytes) -> float | bytes:
    try:
        return float(text)
    except ValueError:
        return text


SAME_BYTES = {0, 11, 16, 17}  # kinds of RDB that have one form: strings, and what is small and has an order


def dump(_: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same value; in other bytes where that has been large, has no order of its own, or has times."""
    if None in (ours[1], theirs[1]) or ours[1][0] == theirs[1][0] in SAME_BYTES:
        return False
    return _value(ours[1]) == _value(theirs[1])


def _value(serialized: bytes) -> Any:
    value = payload.load(serialized)
    if isinstance(value, Stream):
        return value.entries(), value.last, value.added, value.max_deleted, list(value.groups)
    return list(value) if isinstance(value, SortedSet) else value


ENCODINGS = [{b"int", b"embstr", b"raw"}, {b"listpack", b"hashtable", b"intset"}, {b"listpack", b"skiplist"},
             {b"listpack", b"quicklist"}]  # fmt: skip


def encoding(_: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same, unless Valkey remembers that a value was larger once, or was written to in place."""
    return any({ours[1], theirs[1]} <= group for group in ENCODINGS)


def sort(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Elements of the same weight stand in any order; texts are compared up to a zero byte."""
    return not {b"BY", b"ALPHA"}.isdisjoint(map(bytes.upper, command)) and unordered(command, ours, theirs)


RULES: dict[bytes, Same] = {
    **dict.fromkeys((b"SMEMBERS", b"SUNION", b"SINTER", b"SDIFF", b"KEYS", b"HKEYS", b"HVALS", b"SPOP"), unordered),
    **dict.fromkeys((b"SCAN", b"SSCAN", b"HSCAN", b"ZSCAN", b"HELLO"), anything),
    **dict.fromkeys((b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER", b"RANDOMKEY"), same_kind),
    **dict.fromkeys((b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME"), near),
    **dict.fromkeys((b"HTTL", b"HPTTL", b"HEXPIRETIME", b"HPEXPIRETIME"), near),
    **dict.fromkeys((b"XPENDING", b"XINFO"), near),
    **dict.fromkeys((b"ZSCORE", b"ZMSCORE", b"ZINCRBY", b"ZADD", b"ZRANGE", b"ZREVRANGE", b"ZRANGEBYSCORE"), scores),
    **dict.fromkeys((b"ZREVRANGEBYSCORE", b"ZUNION", b"ZINTER", b"ZDIFF", b"ZPOPMIN", b"ZPOPMAX", b"ZMPOP"), scores),
    **dict.fromkeys((b"BZPOPMIN", b"BZPOPMAX", b"BZMPOP", b"ZRANK", b"ZREVRANK"), scores),
    b"HGETALL": pairs,
    b"DUMP": dump,
    b"OBJECT": encoding,
    b"SORT": sort,
    b"SORT_RO": sort,
}
