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
_BEYOND = frozenset({"FLUSHALL", "FLUSHDB", "RANDOMKEY", "SWAPDB"})

#: Commands whose first argument is a channel.
_CHANNEL_FIRST = frozenset({"PUBLISH", "SPUBLISH"})

#: Commands whose arguments are all channels or patterns.
_CHANNELS = frozenset({"PSUBSCRIBE", "PUNSUBSCRIBE", "SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE"})

#: Kinds of messages and confirmations of a subscribed connection, whose second element is a channel or pattern.
_MESSAGES = _CHANNELS | {"MESSAGE", "PMESSAGE", "SMESSAGE"}

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
        self._encoding = encoding
        self._table = table

    def apply(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments with the prefix before every key.

        Raises:
            Unsupported: The command's keys cannot be known, or it reaches beyond the namespace.
        """
        name = upper(args[0])
        rewrite = _REWRITES.get(name)
        if rewrite is not None:
            return rewrite(self, args)
        if name in _BEYOND:
            raise Unsupported("a store with a namespace", name, "it reaches beyond the namespace")
        if name in _CHANNELS:
            return (args[0], *map(self.add, args[1:]))
        if name in _CHANNEL_FIRST:
            return self._at(args, (1,))
        return self._at(args, self._positions(name, args))

    def restore(self, args: tuple[Any, ...], reply: Any) -> Any:
        """The reply without the prefix, for commands whose replies carry keys."""
        restore = _RESTORES.get(upper(args[0]))
        return reply if restore is None or reply is None or isinstance(reply, Exception) else restore(self, reply)

    def restore_message(self, message: Any) -> Any:
        """A pub/sub message or confirmation without the prefix; any other reply as it is."""
        if not isinstance(message, list) or not message or upper(message[0]) not in _MESSAGES:
            return message
        names = 3 if upper(message[0]) == "PMESSAGE" else 2
        return [message[0], *(self.remove(name) if name else name for name in message[1:names]), *message[names:]]

    def add(self, key: Any) -> str | bytes:
        """A key with the prefix."""
        if isinstance(key, str):
            return self.prefix + key
        if isinstance(key, bytes | bytearray | memoryview):
            return self.wire + bytes(key)
        return f"{self.prefix}{key}"

    def remove(self, key: Any) -> Any:
        """A key without the prefix."""
        return key.removeprefix(self.prefix) if isinstance(key, str) else key.removeprefix(self.wire)

    def add_pattern(self, pattern: Any) -> str | bytes:
        """A glob pattern with the prefix before it, the prefix matching nothing but itself."""
        if isinstance(pattern, bytes | bytearray | memoryview):
            return _escape(self.prefix).encode(self._encoding) + bytes(pattern)
        return f"{_escape(self.prefix)}{pattern}"

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
        options = [upper(argument) for argument in args]
        first_key = options.index("KEYS") + 1 if "KEYS" in options else len(args)
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
    "SCAN": Namespace._scan,
    "SORT": Namespace._sort,
    "SORT_RO": Namespace._sort,
}

_RESTORES: dict[str, Restore] = {
    "KEYS": Namespace._strip_all,
    "SCAN": Namespace._strip_scan,
    "XREAD": Namespace._strip_streams,
    "XREADGROUP": Namespace._strip_streams,
    **dict.fromkeys(
        ("BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX", "LMPOP", "BLMPOP", "ZMPOP", "BZMPOP"), Namespace._strip_first
    ),
}


def _is_key_pattern(value: Any) -> bool:
    # 'BY nosort' has no '*', and 'GET #' is the element itself.
    return "*" in (value.decode("latin-1") if isinstance(value, bytes) else str(value))


def _escape(text: str) -> str:
    return "".join(f"\\{character}" if character in "*?[]\\^" else character for character in text)
