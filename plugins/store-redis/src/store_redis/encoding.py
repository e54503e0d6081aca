"""Arguments as hiredis can pack them.

hiredis packs ``str`` (as UTF-8), ``bytes``, ``int``, ``float`` and ``memoryview``, fast; everything here is for what
it refuses: another encoding, other kinds of bytes, and arguments that have no form on the wire.
"""

from __future__ import annotations

from typing import Any

from hiredis import pack_command

from store_core.errors import ArgumentError
from store_redis.errors import make


def pack(args: tuple[Any, ...]) -> bytes:
    """A command as RESP.

    Raises:
        ArgumentError: An argument is of a type that cannot be sent.
    """
    try:
        packed: bytes = pack_command(args)
    except (TypeError, UnicodeEncodeError):
        packed = pack_command(tuple(plain(args, index) for index in range(len(args))))  # type: ignore[arg-type]
    return packed


def split_name(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with a name of several words ("CLIENT LIST") as several arguments."""
    name = args[0] if args else None
    if isinstance(name, str):
        return (*name.split(), *args[1:]) if " " in name else args
    return (*name.split(), *args[1:]) if isinstance(name, bytes) and b" " in name else args


def encoded(args: tuple[Any, ...], encoding: str) -> tuple[Any, ...]:
    """The arguments with every ``str`` encoded, for an encoding that is not UTF-8."""
    return tuple(
        _text(args, index, encoding) if isinstance(args[index], str) else args[index] for index in range(len(args))
    )


def decoded(reply: Any, encoding: str) -> Any:
    """A reply with text for bytes, however deep; an error stays what it is."""
    if isinstance(reply, bytes):
        return reply.decode(encoding)
    if isinstance(reply, list):
        return [decoded(part, encoding) for part in reply]
    if isinstance(reply, dict):
        return {decoded(name, encoding): decoded(part, encoding) for name, part in reply.items()}
    return {decoded(part, encoding) for part in reply} if isinstance(reply, set) else reply


def plain(args: tuple[Any, ...], index: int) -> str | bytes | int | float:
    """One argument as hiredis takes it.

    Raises:
        ArgumentError: It is of a type that cannot be sent.
    """
    value = args[index]
    if isinstance(value, str):
        return _text(args, index, "utf-8")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    # hiredis refuses subclasses: an IntEnum, a numpy.float64.
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise make(
        ArgumentError,
        f"{_name(args)}: argument {index} is {type(value).__name__}; send str, bytes, int or float",
    )


def _text(args: tuple[Any, ...], index: int, encoding: str) -> bytes:
    try:
        return str(args[index]).encode(encoding)
    except UnicodeEncodeError:
        # Chaining the cause would repeat the text, which may be a secret.
        raise make(ArgumentError, f"{_name(args)}: argument {index} cannot be encoded as {encoding}") from None


def _name(args: tuple[Any, ...]) -> str:
    first = args[0] if args else ""
    return first.decode("ascii", "replace") if isinstance(first, bytes) else str(first)
