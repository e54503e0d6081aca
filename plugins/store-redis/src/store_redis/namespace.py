"""Namespaces: a prefix before every key and channel on the way out, off again in replies that carry keys.

Where the keys are comes from the server's COMMAND table. A command whose keys cannot be known, or that reaches
beyond the namespace (``FLUSHDB``), is refused, never sent without the prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from store_core import Unsupported
from store_redis.commands import upper
from store_redis.keyspecs import CommandKeys

#: Commands that reach beyond a namespace.
_BEYOND = frozenset({"CLUSTERSCAN", "FLUSHALL", "FLUSHDB", "RANDOMKEY", "SWAPDB"})

#: Commands whose first argument is a channel.
_CHANNEL_FIRST = frozenset({"PUBLISH", "SPUBLISH"})

#: Commands whose arguments are all channels, or all patterns.
_CHANNELS = frozenset({"SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE"})
_PATTERNS = frozenset({"PSUBSCRIBE", "PUNSUBSCRIBE"})

#: Kinds of messages and confirmations of a subscribed connection, whose second element is a channel or pattern.
_MESSAGES = _CHANNELS | _PATTERNS | {"MESSAGE", "PMESSAGE", "SMESSAGE"}

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
        self.escaped = _escape(prefix)
        self._encoding = encoding
        self._table = table

    def apply(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments with the prefix before every key.

        Raises:
            Unsupported: The command's keys cannot be known, or it reaches beyond the namespace.
        """
        name = upper(args[0])
        rewrite = _REWRITES.get(_with_subcommand(name, args))
        if rewrite is not None:
            return rewrite(self, args)
        if name in _BEYOND:
            raise Unsupported("a store with a namespace", name, "it reaches beyond the namespace")
        if name in _CHANNELS:
            return (args[0], *map(self.add, args[1:]))
        if name in _PATTERNS:
            return (args[0], *map(self.add_pattern, args[1:]))
        if name in _CHANNEL_FIRST:
            return self._at(args, (1,))
        return self._at(args, self._positions(name, args))

    def restore(self, args: tuple[Any, ...], reply: Any) -> Any:
        """The reply without the prefix, for commands whose replies carry keys."""
        restore = _RESTORES.get(_with_subcommand(upper(args[0]), args))
        return reply if restore is None or reply is None or isinstance(reply, Exception) else restore(self, reply)

    def restore_message(self, message: Any) -> Any:
        """A pub/sub message or confirmation without the prefix; any other reply as it is."""
        if not isinstance(message, list) or not message or upper(message[0]) not in _MESSAGES:
            return message
        kind = upper(message[0])
        first = self.remove_pattern if kind in _PATTERNS or kind == "PMESSAGE" else self.remove
        second = self.remove if kind == "PMESSAGE" else _unchanged
        restored = [message[0], *(restore(name) for restore, name in zip((first, second), message[1:3], strict=False))]
        return restored + message[3:]

    def add(self, key: Any) -> Any:
        """A key with the prefix."""
        if isinstance(key, str):
            return self.prefix + key
        if isinstance(key, bytes | bytearray | memoryview):
            return self.wire + bytes(key)
        # What has no text is left for the packer to refuse.
        return f"{self.prefix}{key}" if isinstance(key, int | float) and not isinstance(key, bool) else key

    def remove(self, key: Any) -> Any:
        """A key without the prefix."""
        return _without(key, self.prefix, self.wire)

    def add_pattern(self, pattern: Any) -> Any:
        """A glob pattern with the prefix before it, the prefix matching nothing but itself."""
        if isinstance(pattern, str):
            return self.escaped + pattern
        if isinstance(pattern, bytes | bytearray | memoryview):
            return self.escaped.encode(self._encoding) + bytes(pattern)
        return f"{self.escaped}{pattern}" if isinstance(pattern, int) and not isinstance(pattern, bool) else pattern

    def remove_pattern(self, pattern: Any) -> Any:
        """A glob pattern without the prefix."""
        return _without(pattern, self.escaped, self.escaped.encode(self._encoding))

    def _positions(self, name: str, args: tuple[Any, ...]) -> Any:
        command = self._table.get(name)
        if command is not None and len(args) > 1 and command.subcommands:
            command = command.subcommands.get(upper(args[1]), command)
        if command is None or command.find is None:
            raise Unsupported("a store with a namespace", name, "the server does not tell where its keys are")
        return command.find(args)

    def _at(self, args: tuple[Any, ...], positions: Any) -> tuple[Any, ...]:
        changed = list(args)
        for position in positions:
            if position < len(changed):
                changed[position] = self.add(changed[position])
        return tuple(changed)

    def _sort(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        changed = [*args[:1], *map(self.add, args[1:2]), *args[2:]]
        for index in range(3, len(changed)):
            option, value = upper(changed[index - 1]), changed[index]
            if option == "STORE" or (option in ("BY", "GET") and _is_key_pattern(value)):
                changed[index] = self.add(value)
        return tuple(changed)

    def _migrate(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        # MIGRATE host port key database timeout, then the options.
        options = [upper(argument) for argument in args[6:]]
        first_key = 6 + options.index("KEYS") + 1 if "KEYS" in options else len(args)
        changed = [self.add(value) if index >= first_key else value for index, value in enumerate(args)]
        if len(args) > 3 and args[3] not in ("", b""):
            changed[3] = self.add(args[3])
        return tuple(changed)

    def _keys(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*args[:1], *map(self.add_pattern, args[1:2]), *args[2:])

    def _scan(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        for index in range(2, len(args) - 1):
            if upper(args[index]) == "MATCH":
                return (*args[: index + 1], self.add_pattern(args[index + 1]), *args[index + 2 :])
        return (*args, "MATCH", self.add_pattern("*"))

    def _pubsub_channels(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*args[:2], *map(self.add_pattern, args[2:] or ("*",)))

    def _pubsub_count(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*args[:2], *map(self.add, args[2:]))

    def _strip_counts(self, reply: Any) -> Any:
        if isinstance(reply, dict):
            return {self.remove(channel): count for channel, count in reply.items()}
        return [self.remove(part) if index % 2 == 0 else part for index, part in enumerate(reply)]

    def _strip_all(self, reply: Any) -> Any:
        return [self.remove(key) for key in reply]

    def _strip_scan(self, reply: Any) -> Any:
        return [reply[0], self._strip_all(reply[1])]

    def _strip_first(self, reply: Any) -> Any:
        return [self.remove(reply[0]), *reply[1:]]

    def _strip_streams(self, reply: Any) -> Any:
        if isinstance(reply, dict):
            return {self.remove(key): entries for key, entries in reply.items()}
        return [[self.remove(key), entries] for key, entries in reply]


_REWRITES: dict[str, Rewrite] = {
    "KEYS": Namespace._keys,
    "MIGRATE": Namespace._migrate,
    "PUBSUB CHANNELS": Namespace._pubsub_channels,
    "PUBSUB NUMSUB": Namespace._pubsub_count,
    "PUBSUB SHARDCHANNELS": Namespace._pubsub_channels,
    "PUBSUB SHARDNUMSUB": Namespace._pubsub_count,
    "SCAN": Namespace._scan,
    "SORT": Namespace._sort,
    "SORT_RO": Namespace._sort,
}

_RESTORES: dict[str, Restore] = {
    "KEYS": Namespace._strip_all,
    "PUBSUB CHANNELS": Namespace._strip_all,
    "PUBSUB NUMSUB": Namespace._strip_counts,
    "PUBSUB SHARDCHANNELS": Namespace._strip_all,
    "PUBSUB SHARDNUMSUB": Namespace._strip_counts,
    "SCAN": Namespace._strip_scan,
    "XREAD": Namespace._strip_streams,
    "XREADGROUP": Namespace._strip_streams,
    **dict.fromkeys(
        ("BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX", "LMPOP", "BLMPOP", "ZMPOP", "BZMPOP"), Namespace._strip_first
    ),
}


def _with_subcommand(name: str, args: tuple[Any, ...]) -> str:
    return f"{name} {upper(args[1])}" if name == "PUBSUB" and len(args) > 1 else name


def _without(text: Any, prefix: str, wire: bytes) -> Any:
    if isinstance(text, str):
        return text.removeprefix(prefix)
    return text.removeprefix(wire) if isinstance(text, bytes) else text


def _unchanged(value: Any) -> Any:
    return value


def _is_key_pattern(value: Any) -> bool:
    # 'BY nosort' has no '*', and 'GET #' is the element itself.
    return "*" in (value.decode("latin-1") if isinstance(value, bytes) else str(value))


def _escape(text: str) -> str:
    return "".join(f"\\{character}" if character in "*?[]\\^" else character for character in text)
