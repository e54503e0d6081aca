"""XREAD and XREADGROUP: entries of several streams, now or when there are some.

A command that waits is run again, whole, when one of its streams has got something. What it was given is what counts
then: ``$`` is the ID that was the last one when the command came, ``+`` the entry that is the last one now.
"""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from store_pulsards.engine import args, errors, stream_ids
from store_pulsards.engine.commands.streams import shown
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import NULL_ARRAY, Keyed, Reply
from store_pulsards.engine.stream import Entry, Stream
from store_pulsards.engine.stream_groups import Consumer, Group
from store_pulsards.engine.stream_ids import LAST
from store_pulsards.engine.stream_progress import advance
from store_pulsards.engine.table import BLOCKING, READONLY, WRITE, Keys, family

command = family("stream")

NEW: Final = LAST  # ``>``; an entry after the last ID cannot be


class ReadOptions:
    """What a client wants to read; ``group`` is None for XREAD."""

    __slots__ = ("consumer", "count", "group", "keys", "noack", "numbers", "timeout")

    def __init__(self) -> None:
        self.count = 0  # 0 is all
        self.timeout: float | None = None  # seconds; None does not wait
        self.group: bytes | None = None
        self.consumer = b""
        self.noack = False
        self.keys: Sequence[bytes] = ()
        self.numbers: list[bytes] = []  # an ID for each key, as the client wrote it


@command("XREAD", arity=-4, flags=READONLY | BLOCKING, keys=Keys(1, -1, 1, limit=2, keyword=b"STREAMS"), since="5.0.0")
def xread(ctx: Context, *words: bytes) -> Reply:
    """Returns messages from multiple streams with IDs greater than the ones requested. Blocks until a message is available otherwise."""
    options = _parse(ctx, words, "xread", "$")
    return _read_or_wait(ctx, options, partial(_read, ctx, options))


@command(
    "XREADGROUP",
    arity=-7,
    flags=WRITE | BLOCKING,
    keys=Keys(4, -1, 1, limit=2, keyword=b"STREAMS"),
    access="RO access",
    since="5.0.0",
)
def xreadgroup(ctx: Context, *words: bytes) -> Reply:
    """Returns new or historical messages from a stream for a consumer in a group. Blocks until a message is available otherwise."""
    options = _parse(ctx, words, "xreadgroup", ">")
    if options.group is None:
        raise errors.xreadgroup_without_group()
    return _read_or_wait(ctx, options, partial(_read_group, ctx, options, options.group))


def _parse(ctx: Context, words: Sequence[bytes], name: str, symbol: str) -> ReadOptions:
    options = ReadOptions()
    at = 0
    while at < len(words):
        word, more = words[at].upper(), len(words) - at - 1
        if word == b"STREAMS" and more:
            if more % 2:
                raise errors.unbalanced_streams(name, symbol)
            middle = at + 1 + more // 2
            options.keys, options.numbers = words[at + 1 : middle], list(words[middle:])
            return options
        at = _take_option(ctx, options, words, at, in_group=name == "xreadgroup")
    raise errors.syntax_error()


def _take_option(ctx: Context, options: ReadOptions, words: Sequence[bytes], at: int, *, in_group: bool) -> int:
    """Parse one option; returns where the next one stands."""
    word, more = words[at].upper(), len(words) - at - 1
    if word == b"BLOCK" and more:
        options.timeout = args.timeout_milliseconds(words[at + 1], ctx.now)
        return at + 2
    if word == b"COUNT" and more:
        options.count = max(0, args.integer(words[at + 1]))
        return at + 2
    if word == b"GROUP" and more >= 2:
        if not in_group:
            raise errors.only_in_xreadgroup("GROUP")
        options.group, options.consumer = words[at + 1], words[at + 2]
        return at + 3
    if word == b"NOACK":
        if not in_group:
            raise errors.only_in_xreadgroup("NOACK")
        options.noack = True
        return at + 1
    raise errors.syntax_error()


def _read_or_wait(ctx: Context, options: ReadOptions, read: Callable[[], Reply | None]) -> Reply:
    found = read()
    if found is not None:
        return found
    if options.timeout is None:
        return NULL_ARRAY
    in_group = options.group is not None
    if not in_group:
        options.numbers = [_fixed(ctx, *each) for each in zip(options.keys, options.numbers, strict=True)]
    return ctx.block(options.keys, options.timeout, read, kind=Stream, needs_key=not in_group)


def _read(ctx: Context, options: ReadOptions) -> Reply | None:
    """The entries after each ID; None where there are none at all."""
    wanted = [_place(ctx, *each) for each in zip(options.keys, options.numbers, strict=True)]
    found = Keyed()
    for key, (stream, after) in zip(options.keys, wanted, strict=True):
        if stream is not None and after < stream.last_living():
            found.append((key, shown(stream.entries(after + 1, count=options.count))))
    return found or None


def _place(ctx: Context, key: bytes, number: bytes) -> tuple[Stream | None, int]:
    """A stream, and the ID after which XREAD reads it."""
    stream = ctx.lookup(key, Stream)
    if number == b"$":
        return stream, 0 if stream is None else stream.last
    if number == b"+":
        return stream, 0 if stream is None else max(0, stream.last - 1)
    if number == b">":
        raise errors.new_entries_in_xread()
    return stream, stream_ids.parse(number)


def _fixed(ctx: Context, key: bytes, number: bytes) -> bytes:
    """The ID that ``$`` stands for now; any other as it is."""
    return stream_ids.show(_place(ctx, key, number)[1]) if number == b"$" else number


def _read_group(ctx: Context, options: ReadOptions, name: bytes) -> Reply | None:
    """New entries, or those that are pending for the consumer; None where only new ones are wanted, and there are none."""
    wanted = [_find(ctx, key, name, number) for key, number in zip(options.keys, options.numbers, strict=True)]
    found = Keyed()
    for key, (stream, group, after) in zip(options.keys, wanted, strict=True):
        consumer = group.consumers.get(options.consumer)
        if consumer is None:
            consumer = group.add_consumer(options.consumer, ctx.now)
            ctx.announce("xgroup-createconsumer", key)
        consumer.seen = ctx.now
        if after != NEW:
            found.append((key, _pending_entries(ctx, stream, consumer, after, options.count)))
        elif stream.length and group.last < stream.last_living():
            entries = stream.entries(group.last + 1, count=options.count)
            _deliver(ctx, stream, group, None if options.noack else consumer, entries)
            found.append((key, shown(entries)))
    ctx.keyspace.dirty += len(found)
    return found or None


def _find(ctx: Context, key: bytes, name: bytes, number: bytes) -> tuple[Stream, Group, int]:
    """A stream, its group of that name, and the ID after which it is read."""
    stream = ctx.lookup(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if stream is None or group is None:
        raise errors.no_group_to_read(key, name)
    if number in (b"$", b"+"):
        raise errors.meaningless_in_xreadgroup(number.decode())
    return stream, group, NEW if number == b">" else stream_ids.parse(number)


def _deliver(ctx: Context, stream: Stream, group: Group, consumer: Consumer | None, entries: Sequence[Entry]) -> None:
    """Note that a group has got entries; they are pending for the consumer, where there is one."""
    now = ctx.now
    for number, _ in entries:
        advance(stream, group, number)
        if consumer is not None:
            group.assign(number, consumer, now, 1)
            consumer.active = now


def _pending_entries(ctx: Context, stream: Stream, consumer: Consumer, after: int, count: int) -> list[Reply]:
    """Entries that the consumer has got before; of one that was deleted since, the ID."""
    found: list[Reply] = []
    for number in consumer.pending.irange(after + 1):
        texts = stream.get(number)
        found.append([stream_ids.show(number), NULL_ARRAY if texts is None else texts])
        if texts is not None:
            pending = consumer.pending[number]
            pending.delivered = ctx.now
            pending.count += 1
        if len(found) == count:
            break
    return found
