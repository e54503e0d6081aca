"""XINFO: what can be told of a stream, of its groups and of their consumers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from store_pulsards.engine import args, errors
from store_pulsards.engine.commands.streams import UNPREDICTABLE, shown
from store_pulsards.engine.context import Context
from store_pulsards.engine.errors import WrongSubcommand
from store_pulsards.engine.radix import count_nodes
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.stream import Stream
from store_pulsards.engine.stream_groups import NEVER, UNKNOWN, Consumer, Group
from store_pulsards.engine.stream_ids import show
from store_pulsards.engine.stream_progress import lag
from store_pulsards.engine.table import READONLY, SECOND, family

command = family("stream")
command.container("XINFO", "A container for stream introspection commands.", since="5.0.0")

DEFAULT_COUNT: Final = 10
ID_BYTES: Final = 16


@command("XINFO|STREAM", arity=-3, flags=READONLY, keys=SECOND, since="5.0.0")
def stream_(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Returns information about a stream."""
    stream = _stream(ctx, key)
    if options:
        return _full(stream, _parse_full(options))
    first = shown(stream.entries(count=1))
    last = shown(stream.entries(count=1, reverse=True))
    return _facts(stream) | {
        b"groups": len(stream.groups),
        b"first-entry": first[0] if first else None,
        b"last-entry": last[0] if last else None,
    }


@command("XINFO|GROUPS", arity=3, flags=READONLY, keys=SECOND, since="5.0.0")
def groups(ctx: Context, key: bytes) -> Reply:
    """Returns a list of the consumer groups of a stream."""
    stream = _stream(ctx, key)
    return [
        {
            b"name": name,
            b"consumers": len(group.consumers),
            b"pending": len(group.pending),
            b"last-delivered-id": show(group.last),
            b"entries-read": _entries_read(group),
            b"lag": lag(stream, group),
        }
        for name, group in sorted(stream.groups.items())
    ]


@command("XINFO|CONSUMERS", arity=4, flags=READONLY, keys=SECOND, since="5.0.0", tips=UNPREDICTABLE)
def consumers(ctx: Context, key: bytes, name: bytes) -> Reply:
    """Returns a list of the consumers in a consumer group."""
    group = _stream(ctx, key).groups.get(name)
    if group is None:
        raise errors.no_group_of_key(key, name)
    now = ctx.now
    return [
        {
            b"name": each.name,
            b"pending": len(each.pending),
            b"idle": max(0, now - each.seen),
            b"inactive": NEVER if each.active == NEVER else now - each.active,
        }
        for each in group.in_order()
    ]


def _stream(ctx: Context, key: bytes) -> Stream:
    stream = ctx.lookup(key, Stream)
    if stream is None:
        raise errors.no_such_key()
    return stream


def _parse_full(options: Sequence[bytes]) -> int:
    """The count of ``FULL [COUNT count]``; 0 is all."""
    if len(options) not in (1, 3) or options[0].upper() != b"FULL":
        raise WrongSubcommand("XINFO")
    if len(options) == 1:
        return DEFAULT_COUNT
    if options[1].upper() != b"COUNT":
        raise WrongSubcommand("XINFO")
    count = args.integer(options[2])
    return DEFAULT_COUNT if count < 0 else count


def _facts(stream: Stream) -> dict[bytes, Any]:
    """What both forms of XINFO STREAM begin with; the radix tree is the one that Valkey would have."""
    ids = stream.block_ids()
    return {
        b"length": stream.length,
        b"radix-tree-keys": len(ids),
        b"radix-tree-nodes": count_nodes(ids, ID_BYTES),
        b"last-generated-id": show(stream.last),
        b"max-deleted-entry-id": show(stream.max_deleted),
        b"entries-added": stream.added,
        b"recorded-first-entry-id": show(stream.first),
    }


def _full(stream: Stream, count: int) -> Reply:
    return _facts(stream) | {
        b"entries": shown(stream.entries(count=count)),
        b"groups": [_full_group(stream, name, group, count) for name, group in sorted(stream.groups.items())],
    }


def _full_group(stream: Stream, name: bytes, group: Group, count: int) -> dict[bytes, Any]:
    return {
        b"name": name,
        b"last-delivered-id": show(group.last),
        b"entries-read": _entries_read(group),
        b"lag": lag(stream, group),
        b"pel-count": len(group.pending),
        b"pending": [
            [show(number), each.consumer.name, each.delivered, each.count]
            for number, each in _some(group.pending, count)
        ],
        b"consumers": [_full_consumer(each, count) for each in group.in_order()],
    }


def _full_consumer(consumer: Consumer, count: int) -> dict[bytes, Any]:
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen,
        b"active-time": consumer.active,
        b"pel-count": len(consumer.pending),
        b"pending": [[show(number), each.delivered, each.count] for number, each in _some(consumer.pending, count)],
    }


def _some(pending: Any, count: int) -> Any:
    """The first pending entries in order; 0 is all."""
    return islice(pending.items(), count or None)


def _entries_read(group: Group) -> int | None:
    return None if group.entries_read == UNKNOWN else group.entries_read
