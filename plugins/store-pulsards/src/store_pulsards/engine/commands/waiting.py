"""What the blocking commands of lists and sorted sets share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from store_pulsards.engine import args, errors
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import NULL_ARRAY, Reply


def attempt_or_wait(
    ctx: Context,
    keys: Sequence[bytes],
    kind: type[Any],
    timeout: float,
    attempt: Callable[[], Reply | None],
    at_once: Reply = NULL_ARRAY,
) -> Reply:
    """Serve the client now, or when one of the keys can serve it.

    Args:
        keys: What to wait for.
        kind: The type that serves; a key that becomes anything else wakes nobody.
        timeout: Seconds; 0 waits forever.
        attempt: Gives the reply, or None when all keys are empty.
        at_once: The reply where nothing may block (in a transaction).
    """
    reply = attempt()
    if reply is not None:
        return reply
    if not ctx.may_block:
        return at_once

    def retry() -> Reply | None:
        served = any(type(ctx.lookup_any(key)) is kind for key in keys)
        return attempt() if served else None

    return ctx.block(keys, timeout, retry)


def parse_mpop(rest: Sequence[bytes], first: bytes, last: bytes) -> tuple[Sequence[bytes], bool, int]:
    """The arguments of LMPOP, ZMPOP and their blocking forms: ``numkeys key … LEFT|RIGHT [COUNT n]``.

    Args:
        rest: From numkeys on.
        first: The word for the lower end (``LEFT``, ``MIN``).
        last: The word for the upper end.

    Returns:
        The keys, whether the lower end is meant, and how many elements.
    """
    count = args.integer(rest[0], 1, error=errors.numkeys_not_positive)
    keys, options = rest[1 : 1 + count], rest[1 + count :]
    where = options[0].upper() if options else b""
    if where not in (first, last):
        raise errors.syntax_error()
    if len(options) == 1:
        return keys, where == first, 1
    if len(options) == 2 or options[1].upper() != b"COUNT":
        raise errors.syntax_error()
    number = args.integer(options[2], 1, error=errors.count_not_positive)
    if len(options) > 3:
        raise errors.syntax_error()
    return keys, where == first, number
