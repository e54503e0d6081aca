"""Reply values.

A handler returns plain Python values wherever RESP has a plain type: ``bytes`` (bulk string), ``int``, ``None``
(null), ``float``, ``bool``, ``list``, ``dict``. The few types here say what plain values cannot: a simple string, a
shape that differs between RESP2 and RESP3, a reply that comes later. The protocol module turns them into bytes; an
embedded caller gets them as they are.

The texts of errors are in ``errors.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

Reply: TypeAlias = Any


class Status(bytes):
    """A simple string (``+OK``); an embedded caller sees ordinary ``bytes``."""


class Bulks(list[bytes]):
    """Bulk strings and nothing else, which saves looking at each."""


class SetReply(list[Any]):
    """Members of a set: RESP3 ``~``, RESP2 an array."""


class Pairs(list[Any]):
    """(member, score) or (field, value) tuples: RESP3 an array of two-element arrays, RESP2 flat."""


class Keyed(list[Any]):
    """(key, value) tuples: RESP3 a map, in which a key may come twice; RESP2 an array of two-element arrays."""


class Push(list[Any]):
    """A message that nobody asked for (pub/sub): RESP3 ``>``, RESP2 an array."""


class Many(list[Any]):
    """Several replies of one command, one after another (``SUBSCRIBE a b``)."""


class Verbatim(bytes):
    """Text for people (``INFO``): RESP3 ``=txt:``, RESP2 a bulk string."""


class Coordinate(float):
    """A number with up to 17 digits after the point, none of them a trailing zero: RESP3 ``,``, RESP2 a bulk string."""


class BigNumber(bytes):
    """Decimal digits of a number of any size: RESP3 ``(``, RESP2 a bulk string."""


class Attributed:
    """A reply with attributes before it, which RESP2 has not (``DEBUG PROTOCOL attrib``)."""

    __slots__ = ("attributes", "reply")

    def __init__(self, attributes: dict[bytes, Any], reply: Reply) -> None:
        self.attributes = attributes
        self.reply = reply


class Sentinel:
    """A reply with no content of its own."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


NULL_ARRAY: Final = Sentinel("NULL_ARRAY")  # RESP2 *-1, RESP3 _
BLOCKED: Final = Sentinel("BLOCKED")  # the reply comes through session.deliver
NO_REPLY: Final = Sentinel("NO_REPLY")  # CLIENT REPLY OFF, and replies that went out as pushes

OK: Final = Status(b"OK")
PONG: Final = Status(b"PONG")
QUEUED: Final = Status(b"QUEUED")


class ErrorReply(Exception):
    """An error of a command: raised in a handler, returned as a value by ``Engine.execute``.

    ``message`` is the whole text, its first word the code (``WRONGTYPE …``).
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def answer(self, args: Sequence[bytes]) -> ErrorReply:
        """What the client gets who sent these arguments."""
        return self.with_traceback(None)
