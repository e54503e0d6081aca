"""Dialect: how the kit says things in a backend's language.

The kit knows no language of its own. It asks a dialect for the arguments of ``store.execute``, and for the meaning of
a reply. The defaults speak Redis; a backend overrides what its language says otherwise. What a backend's language has
no word for is None, and the tests that need it are skipped, saying so.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from store_core.dsn import DSN, Host
from store_core.errors import StoreError
from store_core.store import Store

#: The arguments of one ``store.execute``.
Args = tuple[Any, ...]


class Dialect:
    """What the kit says, and how it reads the replies; the defaults are Redis's commands."""

    # Key and value.

    def key(self, name: str, together: str) -> str:
        """A key that the kit made up, as this data store wants it.

        Args:
            name: What the kit calls it.
            together: The same for all keys of one test: a data store that is distributed keeps them in one place.
        """
        return name

    def setup(self) -> list[Args]:
        """Commands run first on every store that the kit opens (``CREATE TABLE IF NOT EXISTS …``)."""
        return []

    def write(self, key: str, value: Any) -> Args:
        """Set a key to a value (``bytes``, ``str`` or ``int``), whether it is there or not."""
        return ("SET", key, value)

    def read(self, key: str) -> Args:
        """Ask for the value of a key."""
        return ("GET", key)

    def read_value(self, reply: Any) -> bytes | None:
        """The value in the reply to ``read``; None where there is no such key."""
        return reply if reply is None or isinstance(reply, bytes) else str(reply).encode()

    def delete(self, key: str) -> Args:
        """Delete a key, whether it is there or not."""
        return ("DEL", key)

    def increment(self, key: str) -> Args:
        """Add one to the number at a key, from 0 where there is none."""
        return ("INCR", key)

    def increment_value(self, reply: Any) -> int:
        """The new number, from the reply to ``increment``."""
        return int(reply)

    # What goes wrong.

    def refused(self) -> Args:
        """A command that the data store refuses before it runs anything of it."""
        return ("STORE-CONFORMANCE-NO-SUCH-COMMAND",)

    def unsendable(self, key: str) -> Args | None:
        """A command with an argument of a type that the data store cannot be sent."""
        return self.write(key, object())

    def slow(self, seconds: float) -> Args | None:
        """A command that takes its caller so many seconds; None where there is none."""
        return ("BLPOP", f"store-conformance-{uuid4().hex}", seconds)

    # Waiting for data (the capability ``blocking``).

    def push(self, key: str, value: bytes) -> Args | None:
        """Add a value to the queue at a key."""
        return ("RPUSH", key, value)

    def blocking_pop(self, key: str, seconds: float) -> Args | None:
        """Take the oldest value from a queue; wait so many seconds for one, 0 for ever."""
        return ("BLPOP", key, seconds)

    def popped_value(self, reply: Any) -> bytes | None:
        """The value in the reply to ``blocking_pop``; None where there was none in time."""
        return None if reply is None else bytes(reply[1])

    # Places.

    def database(self) -> str:
        """The name of a database that the kit may create, fill and delete (the capability ``databases``)."""
        return "9"

    def start_url(self, url: str, folder: Path) -> str:
        """A connection string at which ``start_store`` starts a server: on a free port, or a socket in the folder."""
        dsn = DSN.parse(url)
        place = "127.0.0.1:0" if dsn.hosts else f"{folder}/server.sock"
        return f"{dsn.scheme}://{place}"

    def address(self, store: Store) -> tuple[str, int] | None:
        """The one TCP address of a store's server, for the proxy that cuts connections; None where there is none."""
        hosts = DSN.parse(store.dsn).hosts
        if len(hosts) != 1:
            return None
        port = hosts[0].port or getattr(store, "default_port", None)
        return (hosts[0].name or "127.0.0.1", int(port)) if port else None

    def at(self, url: str, port: int) -> str:
        """The connection string with another port of this machine in place of its server."""
        return str(replace(DSN.parse(url), hosts=(Host("127.0.0.1", port),)))


class RedisDialect(Dialect):
    """The language of Redis, Valkey and pulsards."""


def dialect_of(kind: type[Store]) -> Dialect:
    """The dialect that a Store class names as ``conformance_dialect = "module:Object"``; Redis's where it names none.

    Raises:
        StoreError: There is no such object, or it is no dialect.
    """
    target = kind.conformance_dialect
    if not target:
        return RedisDialect()
    module, _, path = target.partition(":")
    try:
        found: Any = import_module(module)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise StoreError(f"{kind.__name__}.conformance_dialect = {target!r} cannot be loaded: {error}") from error
    dialect = found() if isinstance(found, type) else found
    if not isinstance(dialect, Dialect):
        raise StoreError(f"{kind.__name__}.conformance_dialect = {target!r} is no store_core.testing.Dialect")
    return dialect
