"""Namespaces: a prefix before every key and channel on the way out, off again in replies that carry keys.

Where the keys are comes from the server's COMMAND table, and for what that leaves out, from ``keyoptions``. A command
whose keys cannot be known, or that reaches beyond the namespace (``FLUSHDB``), is refused, never sent without the
prefix. ``docs/namespaces.md`` lists what is prefixed, restored and refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from store_core import Unsupported
from store_redis.channels import add_to_channel, escaped, remove_from_channel
from store_redis.commands import upper
from store_redis.keyoptions import KEY_OPTIONS, options, sort_patterns
from store_redis.keyspecs import CommandKeys

_WHERE = "a store with a namespace"

#: Commands, or their subcommands, that reach beyond a namespace: they delete, replace or name others' keys.
BEYOND = frozenset(
    {
        "CLUSTER FLUSHSLOT",
        "CLUSTER GETKEYSINSLOT",
        "CLUSTER REPLICATE",
        "CLUSTER RESET",
        "FLUSHALL",
        "FLUSHDB",
        "PSYNC",
        "RANDOMKEY",
        "REPLICAOF",
        "SLAVEOF",
        "SWAPDB",
        "SYNC",
    }
)

#: Commands whose first argument is a channel.
_CHANNEL_FIRST = frozenset({"PUBLISH", "SPUBLISH"})

#: Commands whose arguments are all channels, or all patterns.
_CHANNELS = frozenset({"SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE"})
_PATTERNS = frozenset({"PSUBSCRIBE", "PUNSUBSCRIBE"})

#: Kinds of messages and confirmations of a subscribed connection, whose second element is a channel or pattern.
_MESSAGES = _CHANNELS | _PATTERNS | {"MESSAGE", "PMESSAGE", "SMESSAGE"}

#: Commands with subcommands that have a rule of their own.
_CONTAINERS = frozenset({"ACL", "CLIENT", "CLUSTER", "COMMAND", "PUBSUB"})

_SCAN = {"COUNT": 1, "MATCH": 1, "SLOT": 1, "TYPE": 1}
_TRACKING = {"PREFIX": 1, "REDIRECT": 1}

Rewrite = Callable[["Namespace", tuple[Any, ...]], tuple[Any, ...]]
Restore = Callable[["Namespace", Any], Any]


class Namespace:
    """One prefix and the server's command table.

    Args:
        prefix: The namespace.
        encoding: The store's encoding.
        table: The server's commands.
    """

    def __init__(self, prefix: str, encoding: str, table: Mapping[str, CommandKeys]) -> None:
        self.prefix = prefix
        self.wire = prefix.encode(encoding)
        self.escaped = escaped(prefix)
        self._escaped_wire = self.escaped.encode(encoding)
        self._encoding = encoding
        self._table = table

    def apply(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments with the prefix before every key and channel.

        Raises:
            Unsupported: The command's keys cannot be known, or it reaches beyond the namespace.
        """
        name = upper(args[0])
        rule = _with_subcommand(name, args)
        rewrite = _REWRITES.get(rule)
        if rewrite is not None:
            return rewrite(self, args)
        if rule in BEYOND:
            raise Unsupported(_WHERE, rule, "it reaches beyond the namespace")
        if name in _CHANNELS:
            return (args[0], *map(self.add_channel, args[1:]))
        if name in _PATTERNS:
            return (args[0], *map(self.add_channel_pattern, args[1:]))
        if name in _CHANNEL_FIRST:
            return (args[0], *map(self.add_channel, args[1:2]), *args[2:])
        return self._at(args, self._positions(name, rule, args))

    def restore(self, args: tuple[Any, ...], reply: Any) -> Any:
        """The reply without the prefix, for commands whose replies carry keys."""
        restore = _RESTORES.get(_with_subcommand(upper(args[0]), args))
        # An error, nothing, or "QUEUED" carries no keys.
        return restore(self, reply) if restore is not None and isinstance(reply, list | dict) else reply

    def restore_message(self, message: Any) -> Any:
        """A pub/sub message or confirmation without the prefix; any other reply as it is."""
        if not isinstance(message, list) or not message or upper(message[0]) not in _MESSAGES:
            return message
        kind = upper(message[0])
        first = self.remove_channel_pattern if kind in _PATTERNS or kind == "PMESSAGE" else self.remove_channel
        second = self.remove_channel if kind == "PMESSAGE" else _unchanged
        restored = [message[0], *(restore(name) for restore, name in zip((first, second), message[1:3], strict=False))]
        return restored + message[3:]

    # Names.

    def add(self, key: Any) -> Any:
        """A key with the prefix."""
        return self._before(key, self.prefix, self.wire)

    def remove(self, key: Any) -> Any:
        """A key without the prefix."""
        return _without(key, self.prefix, self.wire)

    def add_pattern(self, pattern: Any) -> Any:
        """A glob pattern with the prefix before it, the prefix matching nothing but itself."""
        return self._before(pattern, self.escaped, self._escaped_wire)

    def add_channel(self, channel: Any) -> Any:
        """A channel with the prefix."""
        return self._around(channel, self.add, add_to_channel, pattern=False)

    def add_channel_pattern(self, pattern: Any) -> Any:
        """A pattern of channels with the prefix."""
        return self._around(pattern, self.add_pattern, add_to_channel, pattern=True)

    def remove_channel(self, channel: Any) -> Any:
        """A channel without the prefix."""
        return self._around(channel, self.remove, remove_from_channel, pattern=False)

    def remove_channel_pattern(self, pattern: Any) -> Any:
        """A pattern of channels without the prefix."""
        return self._around(pattern, _unchanged, remove_from_channel, pattern=True)

    def _before(self, name: Any, text: str, wire: bytes) -> Any:
        if isinstance(name, str):
            return text + name
        if isinstance(name, bytes | bytearray | memoryview):
            return wire + bytes(name)
        # What has no text is left for the packer to refuse.
        return wire + str(name).encode() if isinstance(name, int | float) and not isinstance(name, bool) else name

    def _around(self, name: Any, other: Callable[[Any], Any], change: Callable[..., str], *, pattern: bool) -> Any:
        if isinstance(name, bytes | bytearray | memoryview):
            # Names need not be text; this way every byte comes through as it is.
            text = bytes(name).decode(self._encoding, "surrogateescape")
            return change(text, self.prefix, pattern=pattern).encode(self._encoding, "surrogateescape")
        return change(name, self.prefix, pattern=pattern) if isinstance(name, str) else other(name)

    # Commands.

    def _positions(self, name: str, rule: str, args: tuple[Any, ...]) -> Iterable[int]:
        find = KEY_OPTIONS.get(rule)
        if find is None:
            command = self._table.get(name)
            if command is not None and len(args) > 1 and command.subcommands:
                # A subcommand that the server does not list is one that it refuses.
                command = command.subcommands.get(upper(args[1]), command)
            if command is None or command.find is None:
                raise Unsupported(_WHERE, name, "the server does not tell where its keys are")
            return command.find(args)
        found = find(args)
        if found is None:
            raise Unsupported(_WHERE, " ".join(map(upper, args[:2])), "it reaches beyond the namespace")
        if name.startswith("SORT") and "*" in self.prefix and sort_patterns(args):
            raise Unsupported(_WHERE, f"{name} BY or GET", "the server would put elements for the namespace's own '*'")
        return found

    def _at(self, args: tuple[Any, ...], positions: Iterable[int]) -> tuple[Any, ...]:
        changed = list(args)
        for position in positions:
            if position < len(changed):
                changed[position] = self.add(args[position])
        return tuple(changed)

    def _keys(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*args[:1], *map(self.add_pattern, args[1:2]), *args[2:])

    def _scan(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        patterns = [place + 1 for name, place in options(args, 2, _SCAN) if name == "MATCH"]
        if not patterns:
            return (*args, "MATCH", self.add_pattern(b"*"))
        return tuple(self.add_pattern(value) if place in patterns else value for place, value in enumerate(args))

    def _pubsub_channels(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*args[:2], *map(self.add_channel_pattern, args[2:] or (b"*",)))

    def _pubsub_count(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*args[:2], *map(self.add_channel, args[2:]))

    def _tracking(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        found = list(options(args, 3, _TRACKING))
        prefixes = [place + 1 for name, place in found if name == "PREFIX"]
        if not prefixes and any(name == "BCAST" for name, _ in found):
            return (*args, "PREFIX", self.wire)
        return self._at(args, prefixes)

    # Replies.

    def _strip_all(self, reply: Any) -> Any:
        return [self.remove(key) for key in reply]

    def _strip_channels(self, reply: Any) -> Any:
        return [self.remove_channel(channel) for channel in reply]

    def _strip_counts(self, reply: Any) -> Any:
        if isinstance(reply, dict):
            return {self.remove_channel(channel): count for channel, count in reply.items()}
        return [self.remove_channel(part) if index % 2 == 0 else part for index, part in enumerate(reply)]

    def _strip_scan(self, reply: Any) -> Any:
        return [reply[0], self._strip_all(reply[1])]

    def _strip_first(self, reply: Any) -> Any:
        return [self.remove(reply[0]), *reply[1:]]

    def _strip_firsts(self, reply: Any) -> Any:
        return [self._strip_first(entry) for entry in reply]

    def _strip_streams(self, reply: Any) -> Any:
        if isinstance(reply, dict):
            return {self.remove(key): entries for key, entries in reply.items()}
        return self._strip_firsts(reply)

    def _strip_prefixes(self, reply: Any) -> Any:
        # CLIENT TRACKINGINFO: names and values, one of them the list of prefixes.
        if isinstance(reply, dict):
            return {
                name: self._strip_all(value) if upper(name) == "PREFIXES" else value for name, value in reply.items()
            }
        names = (None, *reply)
        return [self._strip_all(part) if upper(name) == "PREFIXES" else part for name, part in zip(names, reply)]  # noqa: B905


def _nested(start: int) -> Rewrite:
    """For a command that carries another one, from ``start`` on."""

    def rewrite(namespace: Namespace, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*args[:start], *(namespace.apply(args[start:]) if len(args) > start else ()))

    return rewrite


_REWRITES: dict[str, Rewrite] = {
    "ACL DRYRUN": _nested(3),
    "CLIENT TRACKING": Namespace._tracking,
    "CLUSTERSCAN": Namespace._scan,
    "COMMAND GETKEYS": _nested(2),
    "COMMAND GETKEYSANDFLAGS": _nested(2),
    "KEYS": Namespace._keys,
    "PUBSUB CHANNELS": Namespace._pubsub_channels,
    "PUBSUB NUMSUB": Namespace._pubsub_count,
    "PUBSUB SHARDCHANNELS": Namespace._pubsub_channels,
    "PUBSUB SHARDNUMSUB": Namespace._pubsub_count,
    "SCAN": Namespace._scan,
}

_RESTORES: dict[str, Restore] = {
    "CLIENT TRACKINGINFO": Namespace._strip_prefixes,
    "CLUSTERSCAN": Namespace._strip_scan,
    "COMMAND GETKEYS": Namespace._strip_all,
    "COMMAND GETKEYSANDFLAGS": Namespace._strip_firsts,
    "KEYS": Namespace._strip_all,
    "PUBSUB CHANNELS": Namespace._strip_channels,
    "PUBSUB NUMSUB": Namespace._strip_counts,
    "PUBSUB SHARDCHANNELS": Namespace._strip_channels,
    "PUBSUB SHARDNUMSUB": Namespace._strip_counts,
    "SCAN": Namespace._strip_scan,
    "XREAD": Namespace._strip_streams,
    "XREADGROUP": Namespace._strip_streams,
    **dict.fromkeys(
        ("BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX", "LMPOP", "BLMPOP", "ZMPOP", "BZMPOP"), Namespace._strip_first
    ),
}


def _with_subcommand(name: str, args: tuple[Any, ...]) -> str:
    return f"{name} {upper(args[1])}" if name in _CONTAINERS and len(args) > 1 else name


def _without(text: Any, prefix: str, wire: bytes) -> Any:
    if isinstance(text, str):
        return text.removeprefix(prefix)
    return text.removeprefix(wire) if isinstance(text, bytes) else text


def _unchanged(value: Any) -> Any:
    return value
