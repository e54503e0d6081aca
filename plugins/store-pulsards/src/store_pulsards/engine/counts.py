"""Counts that several families take, with the errors and the order of checks that Valkey has for each."""

from __future__ import annotations

from collections.abc import Sequence

from store_pulsards.engine import args, errors

HALF: int = args.MAX_INT // 2


def to_pop(options: Sequence[bytes]) -> int | None:
    """The optional count of SPOP and ZPOPMIN; None when it was not given."""
    if not options:
        return None
    if len(options) > 1:
        raise errors.syntax_error()
    return args.integer(options[0], 0, error=errors.must_be_positive)


def at_random(options: Sequence[bytes], with_what: bytes = b"") -> tuple[int | None, bool]:
    """``[count [WITHVALUES]]`` of HRANDFIELD and its like.

    Returns:
        The count (None when it was not given; negative where elements may repeat), and whether values were asked for.
    """
    if not options:
        return None, False
    if len(options) > 1 and not with_what:
        raise errors.syntax_error()
    count = args.integer(options[0])
    if count == args.MIN_INT:
        raise errors.out_of_symmetric_range()
    if len(options) == 1:
        return count, False
    if len(options) > 2 or not with_what or options[1].upper() != with_what:
        raise errors.syntax_error()
    if not -HALF <= count <= HALF:
        raise errors.out_of_range()
    return count, True


def limit(text: bytes) -> int:
    """The value of LIMIT (SINTERCARD, ZINTERCARD); 0 is no limit."""
    return args.integer(text, 0, error=lambda: errors.negative_option("LIMIT"))
