"""CONFIG: what can be set, and what a client may want to know.

Some parameters change what the engine does. The others are facts: clients and tools ask for them (the benchmark tool
of Redis for ``save`` and ``appendonly``), and setting one is refused as Valkey refuses an immutable one, rather
than accepted without effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from store_pulsards.engine import args, errors
from store_pulsards.engine.config_facts import UNUSED
from store_pulsards.engine.glob import compile_glob, plain_text

FACTS: Final[dict[bytes, bytes]] = {
    b"appendonly": b"no",
    b"cluster-enabled": b"no",
    b"hash-max-listpack-entries": b"512",
    b"hash-max-listpack-value": b"64",
    b"list-max-listpack-size": b"-2",
    b"maxclients": b"0",
    b"port": b"0",
    b"proto-max-bulk-len": b"536870912",
    b"save": b"",
    b"set-max-intset-entries": b"512",
    b"set-max-listpack-entries": b"128",
    b"set-max-listpack-value": b"64",
    b"stream-node-max-bytes": b"4096",
    b"stream-node-max-entries": b"100",
    b"tcp-keepalive": b"0",
    b"timeout": b"0",
    b"unixsocket": b"",
    b"zset-max-listpack-entries": b"128",
    b"zset-max-listpack-value": b"64",
}

# Numbers that can be set: the default, the least, the greatest. The command logs cost every command something
# while they are on; only the server switches one of them on by itself.
MOST: Final = 2**63 - 1
NUMBERS: Final[dict[bytes, tuple[int, int, int]]] = {
    b"commandlog-execution-slower-than": (-1, -1, MOST),
    b"commandlog-large-reply-max-len": (128, 0, MOST),
    b"commandlog-large-request-max-len": (128, 0, MOST),
    b"commandlog-reply-larger-than": (-1, -1, MOST),
    b"commandlog-request-larger-than": (-1, -1, MOST),
    b"commandlog-slow-execution-max-len": (128, 0, MOST),
    b"latency-monitor-threshold": (0, 0, MOST),
    b"lfu-decay-time": (1, 0, 2**31 - 1),
    b"lfu-log-factor": (10, 0, 2**31 - 1),
    b"maxmemory-eviction-tenacity": (10, 0, 100),
    b"maxmemory-samples": (5, 1, 64),
}
POLICIES: Final = (
    b"volatile-lru",
    b"volatile-lfu",
    b"volatile-random",
    b"volatile-ttl",
    b"allkeys-lru",
    b"allkeys-lfu",
    b"allkeys-random",
    b"noeviction",
)
SWITCHES: Final[dict[bytes, bool]] = {b"latency-tracking": False}
ALIASES: Final[dict[bytes, bytes]] = {
    b"slowlog-log-slower-than": b"commandlog-execution-slower-than",
    b"slowlog-max-len": b"commandlog-slow-execution-max-len",
}

MAX_STRING: Final = 512 * 1024 * 1024  # proto-max-bulk-len

EVENT_CLASSES: Final = b"g$lshzxetdmn"
_ALL_CLASSES: Final = frozenset(b"g$lshzxetd")  # what A stands for

# The class of each event; those that are not here are generic (g: del, expire, rename_from, ...).
EVENT_CLASS: Final[dict[str, int]] = {
    event: ord(letter)
    for letter, events in {
        "$": "set setrange incrby incrbyfloat append setbit pfadd",
        "l": "lpush rpush lpop rpop linsert lset lrem ltrim sortstore",
        "s": "sadd srem spop sinterstore sunionstore sdiffstore",
        "h": "hset hincrby hincrbyfloat hdel hexpire hpersist hexpired",
        "z": "zadd zincr zrem zremrangebyscore zremrangebyrank zremrangebylex zpopmin zpopmax zdiffstore zinterstore "
        "zunionstore zrangestore georadiusstore geosearchstore",
        "t": "xadd xtrim xdel xsetid xgroup-create xgroup-createconsumer xgroup-delconsumer xgroup-destroy "
        "xgroup-setid",
        "x": "expired",
        "e": "evicted",
    }.items()
    for event in events.split()
}


_MEMORY_UNITS: Final = {
    b"": 1,
    b"b": 1,
    b"k": 1000,
    b"kb": 1024,
    b"m": 1000**2,
    b"mb": 1024**2,
    b"g": 1000**3,
    b"gb": 1024**3,
}


def memory_size(name: bytes, text: bytes) -> int:
    """A size as configuration has it: ``3000``, ``64kb``, ``1gb``; nothing is 0."""
    digits = text.rstrip(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    factor = _MEMORY_UNITS.get(text[len(digits) :].lower())
    if factor is None or (text and not digits.isdigit()) or len(digits) > 20 or int(digits or b"0") >= 2**64:
        raise errors.config_failed(name, "argument must be a memory value")
    return min(int(digits or b"0") * factor, 2**64 - 1)


class Config:
    """The parameters of one engine."""

    __slots__ = (
        "_facts",
        "_numbers",
        "_setters",
        "_switches",
        "events",
        "hll_sparse_max_bytes",
        "limit",
        "password",
        "policy",
        "watch_events",
        "watch_memory",
        "watch_observation",
    )

    def __init__(self, *, databases: int, password: str) -> None:
        self._facts = {**UNUSED, **FACTS, b"databases": b"%d" % databases}
        self.password = password.encode()
        self.events: frozenset[int] = frozenset()  # letters of notify-keyspace-events
        self.hll_sparse_max_bytes = 3000
        self.watch_events: Callable[[], None] | None = None  # called when they change
        self._numbers = {name: default for name, (default, _, _) in NUMBERS.items()}
        self._switches = dict(SWITCHES)
        self.limit = 0  # bytes (maxmemory); 0 for none
        self.policy = b"noeviction"
        self.watch_memory: Callable[[], None] | None = None  # called when one of these changes
        self.watch_observation: Callable[[], None] | None = None  # called when a number or a switch changes
        self._setters: dict[bytes, Callable[[bytes], Callable[[], None]]] = {
            b"hll-sparse-max-bytes": self._set_hll_sparse_max_bytes,
            b"maxmemory": self._set_limit,
            b"maxmemory-policy": self._set_policy,
            b"notify-keyspace-events": self._set_events,
            b"requirepass": self._set_password,
        }
        for name in (*NUMBERS, *ALIASES):
            self._setters[name] = partial(self._set_number, name)
        for name in SWITCHES:
            self._setters[name] = partial(self._set_switch, name)

    def tell(self, name: bytes, value: bytes | int) -> None:
        """Say how it really is with one of the facts: what the shell around the engine knows (its port, its limits)."""
        self._facts[name] = value if isinstance(value, bytes) else b"%d" % value

    def fact(self, name: bytes) -> str:
        """One of the facts, as text."""
        return self._facts[name].decode("utf-8", "replace")

    def number(self, name: bytes) -> int:
        """A parameter that is a number."""
        return self._numbers[name]

    def switch(self, name: bytes) -> bool:
        """A parameter that is yes or no."""
        return self._switches[name]

    def _values(self) -> dict[bytes, bytes]:
        numbers = {name: b"%d" % number for name, number in self._numbers.items()}
        return {
            **self._facts,
            **numbers,
            b"hll-sparse-max-bytes": b"%d" % self.hll_sparse_max_bytes,
            b"maxmemory": b"%d" % self.limit,
            b"maxmemory-policy": self.policy,
            **{alias: numbers[name] for alias, name in ALIASES.items()},
            **{name: b"yes" if on else b"no" for name, on in self._switches.items()},
            b"notify-keyspace-events": self._event_letters(),
            b"requirepass": self.password,
        }

    def get(self, patterns: Sequence[bytes]) -> dict[bytes, bytes]:
        """Every parameter that matches a pattern, in any case; one that is named outright keeps the name given."""
        values = self._values()
        found: dict[bytes, bytes] = {}
        for pattern in patterns:
            if plain_text(pattern):
                if pattern.lower() in values:
                    found[pattern] = values[pattern.lower()]
            else:
                found |= {name: value for name, value in values.items() if compile_glob(pattern.lower())(name)}
        return dict(sorted(found.items()))

    def set(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        """Set all of the parameters, or none of them when one is wrong."""
        changes: dict[bytes, Callable[[], None]] = {}
        for given, value in pairs:
            name = given.lower()
            if name in changes:
                raise errors.config_failed(name, "duplicate parameter")
            if name in self._facts and name not in self._setters:
                raise errors.config_failed(name, "can't set immutable config")
            if name not in self._setters:
                raise errors.config_unknown(given)
            changes[name] = self._setters[name](value)
        for change in changes.values():
            change()

    def _set_password(self, value: bytes) -> Callable[[], None]:
        def change() -> None:
            self.password = value

        return change

    def _set_hll_sparse_max_bytes(self, value: bytes) -> Callable[[], None]:
        size = memory_size(b"hll-sparse-max-bytes", value)

        def change() -> None:
            self.hll_sparse_max_bytes = size

        return change

    def _set_limit(self, value: bytes) -> Callable[[], None]:
        limit = memory_size(b"maxmemory", value)

        def change() -> None:
            self.limit = limit
            self._memory_changed()

        return change

    def _set_policy(self, value: bytes) -> Callable[[], None]:
        policy = value.lower()
        if policy not in POLICIES:
            raise errors.config_not_one_of(b"maxmemory-policy", POLICIES)

        def change() -> None:
            self.policy = policy
            self._memory_changed()

        return change

    def _memory_changed(self) -> None:
        if self.watch_memory is not None:
            self.watch_memory()

    def _set_number(self, given: bytes, value: bytes) -> Callable[[], None]:
        name = ALIASES.get(given, given)
        _, low, high = NUMBERS[name]
        number = args.integer(value, error=lambda: errors.config_not_a_number(given))
        if not low <= number <= high:
            raise errors.config_out_of_range(given, low, high)

        def change() -> None:
            self._numbers[name] = number
            self._changed()

        return change

    def _set_switch(self, name: bytes, value: bytes) -> Callable[[], None]:
        if value.lower() not in (b"yes", b"no"):
            raise errors.config_not_a_switch(name)

        def change() -> None:
            self._switches[name] = value.lower() == b"yes"
            self._changed()

        return change

    def _changed(self) -> None:
        if self.watch_observation is not None:
            self.watch_observation()

    def _set_events(self, value: bytes) -> Callable[[], None]:
        letters = set(value)
        if letters - set(b"AKE" + EVENT_CLASSES):
            raise errors.config_failed(
                b"notify-keyspace-events", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
            )
        if ord("A") in letters:
            letters = letters - {ord("A")} | _ALL_CLASSES

        def change() -> None:
            self.events = frozenset(letters)
            if self.watch_events is not None:
                self.watch_events()

        return change

    def _event_letters(self) -> bytes:
        """The classes as Valkey prints them, whatever the order in which they were given."""
        classes = b"A" if self.events >= _ALL_CLASSES else bytes(c for c in b"g$lshzxetd" if c in self.events)
        return classes + bytes(c for c in b"KEmn" if c in self.events)
