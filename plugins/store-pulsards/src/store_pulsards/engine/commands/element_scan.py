"""What HSCAN, SSCAN and ZSCAN share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from store_pulsards.engine import args, errors, scan
from store_pulsards.engine.context import Context
from store_pulsards.engine.glob import compile_filter

DEFAULT_COUNT: Final = 10
FLAGS: Final = {b"NOVALUES": "HSCAN", b"NOSCORES": "ZSCAN"}


def scan_page(
    ctx: Context,
    collection: Collection[bytes],
    begin: int,
    options: Sequence[bytes],
    *,
    at_once: bool,
    flag: bytes = b"",
) -> tuple[bytes, list[bytes], bool]:
    """One page of the elements of a key.

    Args:
        collection: What is scanned.
        begin: The cursor.
        options: ``MATCH``, ``COUNT`` and ``flag``.
        at_once: The collection is small, and Valkey would give all of it in one page.
        flag: The option that this command has for leaving out values.

    Returns:
        The next cursor, the elements that match, and whether the flag was given.
    """
    given = args.options(options, FLAGS.keys(), {b"MATCH": compile_filter, b"COUNT": scan.count})
    for other, owner in FLAGS.items():
        if other in given and other != flag:
            raise errors.scan_option_of_another(other.decode(), owner)
    if at_once:
        cursor, found = 0, list(collection)
    else:
        cursor, found = ctx.engine.scans.page(collection, begin, given.get(b"COUNT", DEFAULT_COUNT))
    if b"MATCH" in given:
        found = list(filter(given[b"MATCH"], found))
    return b"%d" % cursor, found, flag in given
