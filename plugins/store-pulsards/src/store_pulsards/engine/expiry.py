"""Times to live, as clients write them: seconds or milliseconds, from now or since the epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from store_pulsards.engine import args, errors
from store_pulsards.engine.context import Context

# Unit (ms), and whether it counts from now.
UNITS: Final[dict[bytes, tuple[int, bool]]] = {
    b"EX": (1000, True),
    b"PX": (1, True),
    b"EXAT": (1000, False),
    b"PXAT": (1, False),
}

EXPIRY_OPTIONS: Final[dict[bytes, Callable[[bytes], bytes]]] = dict.fromkeys(UNITS, args.text)


def deadline(ctx: Context, unit: bytes, value: bytes, command: str, *, positive: bool = False) -> int:
    """When (ms since the epoch) a key is over.

    Args:
        ctx: Tells the time.
        unit: ``EX``, ``PX``, ``EXAT`` or ``PXAT``.
        value: As the client wrote it.
        command: Named in the error.
        positive: Refuse 0 and less; otherwise such a time is simply over.
    """
    factor, relative = UNITS[unit]
    number = args.integer(value)
    if positive and number <= 0:
        raise errors.invalid_expire(command)
    when = number * factor
    if not args.MIN_INT <= when <= args.MAX_INT:
        raise errors.invalid_expire(command)
    if relative:
        when += ctx.now
    if when > args.MAX_INT:
        raise errors.invalid_expire(command)
    return when
