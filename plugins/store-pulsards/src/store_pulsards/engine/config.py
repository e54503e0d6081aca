"""CONFIG: what can be set, and what a client may want to know.

Some parameters change what the engine does, and some what the servers do that serve it. The others are facts: clients
and tools ask for them (the benchmark tool of Redis for ``save`` and ``appendonly``). Of these, what only tunes how
things are done may be set; anything else is refused, rather than accepted without effect (``config_kinds.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from store_pulsards.engine import args, errors
from store_pulsards.engine.config_facts import UNUSED
from store_pulsards.engine.config_kinds import FIXED_KINDS, TUNING_KINDS
from store_pulsards.engine.encodings import Limits
from store_pulsards.engine.glob import compile_glob, plain_text
from store_pulsards.engine.replies import ErrorReply

FACTS: Final[dict[bytes, bytes]] = {
    b"appendonly": b"no",
    b"cluster-enabled": b"no",
    b"port": b"0",
    b"save": b"",
    b"stream-node-max-bytes": b"4096",
    b"stream-node-max-entries": b"100",
    b"unixsocket": b"",
}

# Numbers that can be set: the default, the least, the greatest. The command logs cost every command something
# while they are on; only the server switches one of them on by itself.
MOST: Final = 2**63 - 1
NUMBERS: Final[dict[bytes, tuple[int, int, int]]] = {
    b"acllog-max-len": (128, 0, MOST),
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
# What the encodings of small collections depend on; some are sizes, written as such.
ENCODING_NUMBERS: Final[dict[bytes, tuple[int, int, int]]] = {
    b"hash-max-listpack-entries": (512, 0, MOST),
    b"list-max-listpack-size": (-2, -(2**31), 2**31 - 1),
    b"set-max-intset-entries": (512, 0, MOST),
    b"set-max-listpack-entries": (128, 0, MOST),
    b"set-max-listpack-value": (64, 0, MOST),
    b"tracking-table-max-keys": (1_000_000, 0, MOST),
    b"zset-max-listpack-entries": (128, 0, MOST),
}
ENCODING_SIZES: Final[dict[bytes, tuple[int, int, int]]] = {
    b"hash-max-listpack-value": (64, 0, MOST),
    b"zset-max-listpack-value": (64, 0, MOST),
}
# What servers do: they say how it is with them, and are told when it changes. Without one, there is nothing to set.
SERVER_NUMBERS: Final[dict[bytes, tuple[int, int, int]]] = {
    b"maxclients": (0, 1, 2**32 - 1),
    b"tcp-keepalive": (0, 0, 2**31 - 1),
    b"timeout": (0, 0, 2**31 - 1),
}
SERVER_SIZES: Final[dict[bytes, tuple[int, int, int]]] = {
    b"client-query-buffer-limit": (1_073_741_824, 2**20, MOST),
    b"proto-max-bulk-len": (536_870_912, 2**20, MOST),
}
SIZES: Final = {**ENCODING_SIZES, **SERVER_SIZES}
BOUNDS: Final = {**NUMBERS, **ENCODING_NUMBERS, **SERVER_NUMBERS, **SIZES}
OUTPUT_LIMIT: Final = b"client-output-buffer-limit"
PROTECTED_MODE: Final = b"protected-mode"
OF_SERVERS: Final = frozenset({*SERVER_NUMBERS, *SERVER_SIZES, OUTPUT_LIMIT, PROTECTED_MODE})
SWITCHES: Final[dict[bytes, bool]] = {b"latency-tracking": False, PROTECTED_MODE: True}
PERCENTILES: Final = b"latency-tracking-info-percentiles"
CLIENT_CLASSES: Final = {b"normal": b"normal", b"slave": b"slave", b"replica": b"slave", b"pubsub": b"pubsub"}
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
ALIASES: Final[dict[bytes, bytes]] = {
    b"hash-max-ziplist-entries": b"hash-max-listpack-entries",
    b"hash-max-ziplist-value": b"hash-max-listpack-value",
    b"list-max-ziplist-size": b"list-max-listpack-size",
    b"slowlog-log-slower-than": b"commandlog-execution-slower-than",
    b"slowlog-max-len": b"commandlog-slow-execution-max-len",
    b"zset-max-ziplist-entries": b"zset-max-listpack-entries",
    b"zset-max-ziplist-value": b"zset-max-listpack-value",
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


def _integer(name: bytes, text: bytes) -> int:
    return args.integer(text, error=lambda: errors.config_not_a_number(name))


def _switched(name: bytes, text: bytes) -> bool:
    if text.lower() not in (b"yes", b"no"):
        raise errors.config_not_a_switch(name)
    return text.lower() == b"yes"


def _share(name: bytes, text: bytes) -> bytes:
    """A size, or a percentage of the memory that may be used."""
    if text[:-1].isdigit() and text.endswith(b"%"):
        return text
    try:
        return b"%d" % memory_size(name, text)
    except ErrorReply:
        raise errors.config_failed(name, "argument must be a memory or percent value") from None


def _output_limit(hard: bytes, soft: bytes, seconds: bytes) -> tuple[int, int, int]:
    try:
        return memory_size(OUTPUT_LIMIT, hard), memory_size(OUTPUT_LIMIT, soft), args.integer(seconds, 0)
    except ErrorReply:
        raise errors.output_limit_numbers() from None


class Config:
    """The parameters of one engine."""

    __slots__ = (
        "_facts",
        "_numbers",
        "_setters",
        "_switches",
        "encodings",
        "events",
        "hll_sparse_max_bytes",
        "limit",
        "longest_string",
        "output_limits",
        "password",
        "percentiles",
        "policy",
        "watch_events",
        "watch_memory",
        "watch_observation",
        "watch_servers",
    )

    def __init__(self, *, databases: int, password: str) -> None:
        self._facts = {**UNUSED, **FACTS, b"databases": b"%d" % databases}
        self.password = password.encode()
        self.events: frozenset[int] = frozenset()  # letters of notify-keyspace-events
        self.hll_sparse_max_bytes = 3000
        self.watch_events: Callable[[], None] | None = None  # called when they change
        self._numbers = {name: default for name, (default, _, _) in BOUNDS.items()}
        self.watch_servers: list[Callable[[bytes], None]] = []  # called with the name of what changes for them
        self.encodings = Limits()
        self.longest_string = MAX_STRING
        self.percentiles = [50.0, 99.0, 99.9]
        # Of each class of clients: bytes above which one is dropped, and bytes above which for so many seconds.
        self.output_limits = {
            b"normal": (0, 0, 0),
            b"slave": (268_435_456, 67_108_864, 60),
            b"pubsub": (33_554_432, 8_388_608, 60),
        }
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
            OUTPUT_LIMIT: self._set_output_limit,
            PERCENTILES: self._set_percentiles,
        }
        for name in (*BOUNDS, *ALIASES):
            self._setters[name] = partial(self._set_number, name)
        for name in SWITCHES:
            self._setters[name] = partial(self._set_switch, name)

    @property
    def settable(self) -> frozenset[bytes]:
        """The parameters that change something."""
        return frozenset(self._setters)

    def tell(self, name: bytes, value: bytes | int) -> None:
        """Say how it really is: what the shell around the engine knows (its port, its limits)."""
        if name in self._numbers and isinstance(value, int):
            self._numbers[name] = value
            self._refresh()
        elif name in self._switches:
            self._switches[name] = value == b"yes"
        else:
            self._facts[name] = value if isinstance(value, bytes) else b"%d" % value

    def fact(self, name: bytes) -> str:
        """One of the facts, as text."""
        value = self._facts.get(name)
        return (self._values()[name] if value is None else value).decode("utf-8", "replace")

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
            OUTPUT_LIMIT: self._shown_output_limits(),
            PERCENTILES: b" ".join(b"%.15g" % each for each in self.percentiles),
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
            name = ALIASES.get(given.lower(), given.lower())
            if name in changes:
                raise errors.config_failed(given, "duplicate parameter")
            changes[name] = self._change_of(given, value)
        for change in changes.values():
            change()

    def _change_of(self, given: bytes, value: bytes) -> Callable[[], None]:
        """What is to be done to set one parameter, which is to be done when all of them are right."""
        name = given.lower()
        if name in self._setters:
            change = self._setters[name](value)
            if name in OF_SERVERS and not self.watch_servers and not self._is_already(name, value):
                raise errors.config_failed(given, "no server listens that this could change")
            return change
        if name not in self._facts:
            raise errors.config_unknown(given)
        kind = TUNING_KINDS.get(name) or FIXED_KINDS.get(name, "immutable")
        shown = self._canonical(given, kind, value)
        if name in FIXED_KINDS and shown != self._facts[name]:
            raise errors.config_failed(given, "pulsards has nothing that this could change")

        def keep() -> None:
            self._facts[name] = shown

        return keep

    def _is_already(self, name: bytes, value: bytes) -> bool:
        """Whether that is the value which a parameter of servers has; it is a right one."""
        if name in SERVER_NUMBERS:
            return int(value) == self._numbers[name]
        if name in SERVER_SIZES:
            return memory_size(name, value) == self._numbers[name]
        return name in self._switches and _switched(name, value) == self._switches[name]

    @staticmethod
    def _canonical(given: bytes, kind: str, value: bytes) -> bytes:
        """A value as it is shown, when it is of its kind."""
        what, _, rest = kind.partition(":")
        if what in ("immutable", "protected"):
            raise errors.config_failed(given, f"can't set {what} config")
        if what == "switch":
            return b"yes" if _switched(given, value) else b"no"
        if what == "one":
            choices = rest.encode().split(b",")
            chosen = next((each for each in choices if each.lower() == value.lower()), None)
            if chosen is None:
                raise errors.config_not_one_of(given, choices)
            return chosen
        if what == "text":
            return value
        if what == "share":
            return _share(given, value)
        number = memory_size(given, value) if what == "memory" else _integer(given, value)
        low, _, high = rest.partition(":")
        if rest and not int(low) <= number <= int(high):
            raise errors.config_out_of_range(given, int(low), int(high))
        return b"%d" % number

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
        _, low, high = BOUNDS[name]
        number = memory_size(given, value) if name in SIZES else _integer(given, value)
        if not low <= number <= high:
            raise errors.config_out_of_range(given, low, high)

        def change() -> None:
            self._numbers[name] = number
            self._refresh()
            self._changed(name)

        return change

    def _refresh(self) -> None:
        """Put at hand what is asked for often."""
        numbers = self._numbers
        self.longest_string = numbers[b"proto-max-bulk-len"]
        self.encodings = Limits(
            hash_entries=numbers[b"hash-max-listpack-entries"],
            hash_value=numbers[b"hash-max-listpack-value"],
            set_integers=numbers[b"set-max-intset-entries"],
            set_entries=numbers[b"set-max-listpack-entries"],
            set_value=numbers[b"set-max-listpack-value"],
            sorted_set_entries=numbers[b"zset-max-listpack-entries"],
            sorted_set_value=numbers[b"zset-max-listpack-value"],
            list_size=numbers[b"list-max-listpack-size"],
        )

    def _set_output_limit(self, value: bytes) -> Callable[[], None]:
        words = value.split()
        limits = dict(self.output_limits)
        if len(words) % 4:
            raise errors.output_limit_words()
        for start in range(0, len(words), 4):
            of_class = CLIENT_CLASSES.get(words[start].lower())
            if of_class is None:
                raise errors.output_limit_class()
            limits[of_class] = _output_limit(*words[start + 1 : start + 4])
        if limits[b"normal"] != (0, 0, 0):
            raise errors.config_failed(OUTPUT_LIMIT, "normal clients that do not read are not read from, nor dropped")

        def change() -> None:
            self.output_limits = limits
            self._changed(OUTPUT_LIMIT)

        return change

    def _shown_output_limits(self) -> bytes:
        return b" ".join(b"%b %d %d %d" % (name, *limits) for name, limits in self.output_limits.items())

    def _set_percentiles(self, value: bytes) -> Callable[[], None]:
        try:
            percentiles = [float(word) for word in value.split()]
        except ValueError:
            raise errors.invalid_percentiles() from None
        if not all(0 <= each <= 100 for each in percentiles):
            raise errors.percentiles_out_of_range()

        def change() -> None:
            self.percentiles = percentiles

        return change

    def _set_switch(self, name: bytes, value: bytes) -> Callable[[], None]:
        on = _switched(name, value)

        def change() -> None:
            self._switches[name] = on
            self._changed(name)

        return change

    def _changed(self, name: bytes) -> None:
        if name in OF_SERVERS:
            for tell in tuple(self.watch_servers):
                tell(name)
        elif self.watch_observation is not None:
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
