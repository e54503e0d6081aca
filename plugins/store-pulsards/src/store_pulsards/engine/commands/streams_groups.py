"""XGROUP and XACK: consumer groups are made, changed and forgotten, entries acknowledged.

A group is not the value of its key: nothing here spoils a transaction that watches the key, except where it makes
the stream.
"""

from __future__ import annotations

from collections.abc import Sequence

from store_pulsards.engine import args, errors, stream_ids
from store_pulsards.engine.context import Context
from store_pulsards.engine.errors import WrongSubcommand
from store_pulsards.engine.replies import OK, Reply
from store_pulsards.engine.stream import Stream
from store_pulsards.engine.stream_groups import UNKNOWN, Group
from store_pulsards.engine.table import DENYOOM, FAST, FIRST, SECOND, WRITE, family

command = family("stream")
command.container("XGROUP", "A container for consumer groups commands.", since="5.0.0")


def find_group(ctx: Context, key: bytes, name: bytes) -> tuple[Stream, Group]:
    """A stream and its group of that name; an error where there is no such group."""
    stream = ctx.lookup(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if stream is None or group is None:
        raise errors.no_group(key, name)
    return stream, group


@command("XGROUP|CREATE", arity=-5, flags=WRITE | DENYOOM, keys=SECOND, access="RW insert", since="5.0.0")
def create(ctx: Context, key: bytes, name: bytes, start: bytes, *options: bytes) -> Reply:
    """Creates a consumer group."""
    makes_stream, entries_read = _parse(options, b"MKSTREAM")
    found = ctx.lookup(key, Stream)
    if found is None and not makes_stream:
        raise errors.xgroup_without_key()
    if len(options) > 3:
        raise WrongSubcommand("XGROUP")
    stream = Stream() if found is None else found
    last = stream.last if start == b"$" else stream_ids.parse(start)
    if name in stream.groups:
        raise errors.group_exists()
    stream.groups[name] = Group(last, entries_read)
    if found is None:
        ctx.set(key, stream)
        ctx.notify("xgroup-create", key)
    else:
        ctx.announce("xgroup-create", key)
    return OK


@command("XGROUP|SETID", arity=-5, flags=WRITE, keys=SECOND, since="5.0.0")
def setid(ctx: Context, key: bytes, name: bytes, start: bytes, *options: bytes) -> Reply:
    """Sets the last-delivered ID of a consumer group."""
    _, entries_read = _parse(options)
    stream, group = _existing(ctx, key, name)
    if len(options) > 2:
        raise WrongSubcommand("XGROUP")
    group.last = stream.last if start == b"$" else stream_ids.parse_bound(start)
    group.entries_read = entries_read
    ctx.announce("xgroup-setid", key)
    return OK


@command("XGROUP|DESTROY", arity=4, flags=WRITE, keys=SECOND, access="RW delete", since="5.0.0")
def destroy(ctx: Context, key: bytes, name: bytes) -> Reply:
    """Destroys a consumer group."""
    stream = _stream(ctx, key)
    if stream.groups.pop(name, None) is None:
        return 0
    ctx.announce("xgroup-destroy", key)
    ctx.db.signal(key)  # who waits for entries of the group gets to know
    return 1


@command("XGROUP|CREATECONSUMER", arity=5, flags=WRITE | DENYOOM, keys=SECOND, access="RW insert", since="6.2.0")
def createconsumer(ctx: Context, key: bytes, name: bytes, consumer: bytes) -> Reply:
    """Creates a consumer in a consumer group."""
    _, group = _existing(ctx, key, name)
    if consumer in group.consumers:
        return 0
    group.add_consumer(consumer, ctx.now)
    ctx.announce("xgroup-createconsumer", key)
    return 1


@command("XGROUP|DELCONSUMER", arity=5, flags=WRITE, keys=SECOND, access="RW delete", since="5.0.0")
def delconsumer(ctx: Context, key: bytes, name: bytes, consumer: bytes) -> Reply:
    """Deletes a consumer from a consumer group."""
    _, group = _existing(ctx, key, name)
    if consumer not in group.consumers:
        return 0
    pending = group.remove_consumer(consumer)
    ctx.announce("xgroup-delconsumer", key)
    return pending


@command("XACK", arity=-4, flags=WRITE | FAST, keys=FIRST, since="5.0.0")
def xack(ctx: Context, key: bytes, name: bytes, *numbers: bytes) -> Reply:
    """Returns the number of messages that were successfully acknowledged by the consumer group member of a stream."""
    stream = ctx.lookup(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        return 0
    acknowledged = sum(map(group.acknowledge, [stream_ids.parse(number) for number in numbers]))
    ctx.keyspace.dirty += acknowledged
    return acknowledged


def _parse(options: Sequence[bytes], flag: bytes = b"") -> tuple[bool, int]:
    """Whether the flag is there, and ENTRIESREAD."""
    flagged, entries_read = False, UNKNOWN
    at = 0
    while at < len(options):
        word = options[at].upper()
        if flag and word == flag:
            flagged = True
            at += 1
        elif word == b"ENTRIESREAD" and at + 1 < len(options):
            entries_read = args.integer(options[at + 1])
            if entries_read < 0 and entries_read != UNKNOWN:
                raise errors.entries_read_negative()
            at += 2
        else:
            raise WrongSubcommand("XGROUP")
    return flagged, entries_read


def _stream(ctx: Context, key: bytes) -> Stream:
    stream = ctx.lookup(key, Stream)
    if stream is None:
        raise errors.xgroup_without_key()
    return stream


def _existing(ctx: Context, key: bytes, name: bytes) -> tuple[Stream, Group]:
    stream = _stream(ctx, key)
    if name not in stream.groups:
        raise errors.no_group_of_key(key, name)
    return stream, stream.groups[name]
