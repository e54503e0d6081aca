"""Stream commands: entries are added, read by range, counted, deleted, trimmed.

Those that wait for entries are in ``streams_read``, consumer groups in ``streams_groups`` and ``streams_pending``, what
can be told of a stream in ``streams_info``. A stream that has lost all of its entries stays: its last ID does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from store_pulsards.engine import args, errors, stream_ids
from store_pulsards.engine.commands.streams_options import WriteOptions, parse_xadd, parse_xtrim
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import ValueType, register_type
from store_pulsards.engine.replies import NULL_ARRAY, OK, Reply
from store_pulsards.engine.stream import Entry, Stream
from store_pulsards.engine.stream_ids import SEQUENCE, SEQUENCE_BITS, show
from store_pulsards.engine.table import DENYOOM, FAST, FIRST, READONLY, WRITE, Keys, family

command = family("stream")

register_type(Stream, ValueType(b"stream", Stream.copy, lambda *_: b"stream", Stream.parts))

LARGEST_ENTRY: int = 1 << 30  # bytes, fields and values together
UNPREDICTABLE: Final = ("nondeterministic_output",)
FIRST_WITH_NOTE: Final = Keys(note="UPDATE instead of INSERT because of the optional trimming feature")


def shown(entries: Iterable[Entry]) -> list[list[Any]]:
    """Entries as clients see them: the ID, and fields and values in turn."""
    return [[show(number), texts] for number, texts in entries]


@command(
    "XADD",
    arity=-5,
    flags=WRITE | DENYOOM | FAST,
    keys=FIRST_WITH_NOTE,
    since="5.0.0",
    tips=UNPREDICTABLE,
)
def xadd(ctx: Context, key: bytes, *rest: bytes) -> Reply:
    """Appends a new message to a stream. Creates the key if it doesn't exist."""
    options, at = parse_xadd(rest)
    fields, values = rest[at + 1 :: 2], rest[at + 2 :: 2]
    if not fields or len(fields) != len(values):
        raise errors.wrong_arity("xadd")
    if options.number == 0 and options.has_sequence:
        raise errors.xadd_zero()
    stream = ctx.lookup(key, Stream)
    if stream is None and not options.makes_stream:
        return None
    number = _new_id(ctx, 0 if stream is None else stream.last, options)
    if sum(map(len, fields)) + sum(map(len, values)) > LARGEST_ENTRY:
        raise errors.entry_too_large()
    if stream is None:
        stream = Stream()
        ctx.set(key, stream)
    stream.append(number, fields, values)
    ctx.notify("xadd", key)
    if options.trim(stream):
        ctx.notify("xtrim", key)
    return show(number)


def _new_id(ctx: Context, last: int, options: WriteOptions) -> int:
    """The ID of an entry to come: the client's, or the first one that is free now."""
    if last == stream_ids.LAST:
        raise errors.xadd_exhausted()
    number = options.number
    if number is None:
        return max(ctx.now << SEQUENCE_BITS, last + 1)
    if not options.has_sequence and number >> SEQUENCE_BITS == last >> SEQUENCE_BITS and last & SEQUENCE < SEQUENCE:
        number = last + 1
    if number <= last:
        raise errors.xadd_too_small()
    return number


@command("XLEN", arity=2, flags=READONLY | FAST, keys=FIRST, access="RO", since="5.0.0")
def xlen(ctx: Context, key: bytes) -> Reply:
    """Returns the number of messages in a stream."""
    stream = ctx.lookup(key, Stream)
    return 0 if stream is None else stream.length


@command("XRANGE", arity=-4, flags=READONLY, keys=FIRST, since="5.0.0")
def xrange(ctx: Context, key: bytes, start: bytes, end: bytes, *options: bytes) -> Reply:
    """Returns the messages from a stream within a range of IDs."""
    return _range(ctx, key, start, end, options, reverse=False)


@command("XREVRANGE", arity=-4, flags=READONLY, keys=FIRST, since="5.0.0")
def xrevrange(ctx: Context, key: bytes, end: bytes, start: bytes, *options: bytes) -> Reply:
    """Returns the messages from a stream within a range of IDs in reverse order."""
    return _range(ctx, key, start, end, options, reverse=True)


def _range(ctx: Context, key: bytes, start: bytes, end: bytes, options: Sequence[bytes], *, reverse: bool) -> Reply:
    low, high = stream_ids.parse_start(start), stream_ids.parse_end(end)
    count: int | None = args.options(options, values={b"COUNT": args.integer}).get(b"COUNT") if options else None
    stream = ctx.lookup(key, Stream)
    if stream is None:
        return []
    if count is not None and count <= 0:
        return NULL_ARRAY
    return shown(stream.entries(low, high, count or 0, reverse=reverse))


@command("XDEL", arity=-3, flags=WRITE | FAST, keys=FIRST, access="RW delete", since="5.0.0")
def xdel(ctx: Context, key: bytes, *numbers: bytes) -> Reply:
    """Returns the number of messages after removing them from a stream."""
    stream = ctx.lookup(key, Stream)
    if stream is None:
        return 0
    deleted = stream.remove([stream_ids.parse(number) for number in numbers])
    if deleted:
        ctx.notify("xdel", key)
    return deleted


@command("XTRIM", arity=-4, flags=WRITE, keys=FIRST, access="RW delete", since="5.0.0", tips=UNPREDICTABLE)
def xtrim(ctx: Context, key: bytes, *rest: bytes) -> Reply:
    """Deletes messages from the beginning of a stream."""
    options = parse_xtrim(rest)
    stream = ctx.lookup(key, Stream)
    if stream is None:
        return 0
    deleted = options.trim(stream)
    if deleted:
        ctx.notify("xtrim", key)
    return deleted


@command("XSETID", arity=-3, flags=WRITE | DENYOOM | FAST, keys=FIRST, since="5.0.0")
def xsetid(ctx: Context, key: bytes, last: bytes, *options: bytes) -> Reply:
    """An internal command for replicating stream values."""
    number = stream_ids.parse(last)
    given = args.options(options, values={b"ENTRIESADDED": _entries_added, b"MAXDELETEDID": _max_deleted(number)})
    added: int | None = given.get(b"ENTRIESADDED")
    stream = ctx.lookup(key, Stream)
    if stream is None:
        raise errors.no_such_key()
    if number < stream.max_deleted:
        raise errors.xsetid_below_deleted()
    if stream.length and number < stream.last_living():
        raise errors.xsetid_below_top()
    if stream.length and added is not None and added < stream.length:
        raise errors.xsetid_entries_added()
    stream.last = number
    stream.added = stream.added if added is None else added
    stream.max_deleted = given.get(b"MAXDELETEDID") or stream.max_deleted
    ctx.announce("xsetid", key)
    return OK


def _entries_added(text: bytes) -> int:
    number = args.integer(text)
    if number < 0:
        raise errors.entries_added_negative()
    return number


def _max_deleted(last: int) -> Any:
    def parse(text: bytes) -> int:
        number = stream_ids.parse(text)
        if last < number:
            raise errors.xsetid_below_given_deleted()
        return number

    return parse
