"""Entries that were delivered and not acknowledged: who has them, and how another consumer takes them over."""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from sys import maxsize
from typing import Any, Final

from store_pulsards.engine import args, errors, replies, stream_ids
from store_pulsards.engine.commands.streams import UNPREDICTABLE
from store_pulsards.engine.commands.streams_groups import find_group
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import NULL_ARRAY, Reply
from store_pulsards.engine.stream import Stream
from store_pulsards.engine.stream_groups import Consumer, Group, Pending
from store_pulsards.engine.stream_ids import show
from store_pulsards.engine.table import FAST, FIRST, READONLY, WRITE, family

command = family("stream")

NOTHING: Final = -1  # an option that was not given
LOOKED_AT: Final = 10  # XAUTOCLAIM looks at so many pending entries for each one that it may claim
MOST_CLAIMED: Final = (2**63 - 1) // 16


@command("XPENDING", arity=-3, flags=READONLY, keys=FIRST, since="5.0.0", tips=UNPREDICTABLE)
def xpending(ctx: Context, key: bytes, name: bytes, *rest: bytes) -> Reply:
    """Returns the information and entries from a stream consumer group's pending entries list."""
    if not rest:
        return _summary(find_group(ctx, key, name)[1])
    if not 3 <= len(rest) <= 6:
        raise errors.syntax_error()
    idle = 0
    if rest[0].upper() == b"IDLE":
        idle = args.integer(rest[1])
        if len(rest) < 5:
            raise errors.syntax_error()
        rest = rest[2:]
    count = args.integer(rest[2])
    start, end = stream_ids.parse_start(rest[0]), stream_ids.parse_end(rest[1])
    group = find_group(ctx, key, name)[1]
    pending = group.pending
    if len(rest) > 3:
        if rest[3] not in group.consumers:
            return []
        pending = group.consumers[rest[3]].pending
    return _details(pending, start, end, count, ctx.now, idle)


def _summary(group: Group) -> Reply:
    """How many there are, the first, the last, and how many each consumer has."""
    pending = group.pending
    if not pending:
        return [0, None, None, NULL_ARRAY]
    consumers = [[each.name, b"%d" % len(each.pending)] for each in group.in_order() if each.pending]
    return [len(pending), show(pending.peekitem(0)[0]), show(pending.peekitem(-1)[0]), consumers]


def _details(pending: Any, start: int, end: int, count: int, now: int, idle: int) -> Reply:
    """At most ``count`` pending entries, delivered at least ``idle`` milliseconds ago."""
    found: list[Reply] = []
    for number in pending.irange(start, end):
        if len(found) >= count:
            break
        each: Pending = pending[number]
        if not idle or now - each.delivered >= idle:
            found.append([show(number), each.consumer.name, max(0, now - each.delivered), each.count])
    return found


class ClaimOptions:
    """How entries are claimed."""

    __slots__ = ("delivered", "force", "idle", "just_ids", "last", "retries")

    def __init__(self, idle: int, now: int) -> None:
        self.idle = idle  # only what was delivered at least so long ago
        self.delivered = now
        self.retries = NOTHING
        self.force = False
        self.just_ids = False
        self.last = 0


@command("XCLAIM", arity=-6, flags=WRITE | FAST, keys=FIRST, since="5.0.0", tips=UNPREDICTABLE)
def xclaim(ctx: Context, key: bytes, name: bytes, consumer: bytes, idle: bytes, *rest: bytes) -> Reply:
    """Changes, or acquires, ownership of a message in a consumer group, as if the message was delivered to a consumer group member."""
    stream, group = find_group(ctx, key, name)
    least_idle = args.integer(idle, error=lambda: errors.invalid_min_idle_time("XCLAIM"))
    numbers = _leading_ids(rest)
    options = _parse_claim(rest[len(numbers) :], ClaimOptions(least_idle, ctx.now), ctx.now)
    if options.last > group.last:
        group.last = options.last
        ctx.keyspace.dirty += 1
    owner = _claimant(ctx, key, group, consumer)
    found: list[Reply] = []
    for number in numbers:
        texts = stream.get(number)
        if texts is None:
            ctx.keyspace.dirty += group.acknowledge(number)
        elif _claim(ctx, group, owner, number, options):
            found.append(show(number) if options.just_ids else [show(number), texts])
    return found


def _claimant(ctx: Context, key: bytes, group: Group, name: bytes) -> Consumer:
    """Who claims; a consumer that was not there is made."""
    owner = group.consumers.get(name)
    if owner is None:
        owner = group.add_consumer(name, ctx.now)
        ctx.announce("xgroup-createconsumer", key)
    owner.seen = ctx.now
    return owner


def _claim(ctx: Context, group: Group, owner: Consumer, number: int, options: ClaimOptions) -> bool:
    """Make an entry that exists pending for its new owner; whether it is."""
    pending: Pending | None = group.pending.get(number)
    if pending is None and not options.force:
        return False
    if pending is not None and ctx.now - pending.delivered < options.idle:
        return False
    count = options.retries
    if count < 0:
        count = (1 if pending is None else pending.count) + (not options.just_ids)
    group.assign(number, owner, options.delivered, count)
    owner.active = ctx.now
    ctx.keyspace.dirty += 1
    return True


def _leading_ids(words: Sequence[bytes]) -> list[int]:
    """The IDs up to the first word that is none: there the options begin."""
    found: list[int] = []
    for word in words:
        try:
            found.append(stream_ids.parse(word))
        except replies.ErrorReply:
            break
    return found


def _parse_claim(words: Sequence[bytes], options: ClaimOptions, now: int) -> ClaimOptions:
    at = 0
    while at < len(words):
        name, more = words[at].upper(), at + 1 < len(words)
        if name == b"FORCE":
            options.force = True
        elif name == b"JUSTID":
            options.just_ids = True
        elif more and name in (b"IDLE", b"TIME", b"RETRYCOUNT", b"LASTID"):
            at += 1
            _set_claim_value(options, name, words[at], now)
        else:
            raise errors.xclaim_option(words[at])
        at += 1
    if not 0 <= options.delivered <= now:
        options.delivered = now
    return options


def _set_claim_value(options: ClaimOptions, name: bytes, text: bytes, now: int) -> None:
    if name == b"LASTID":
        options.last = stream_ids.parse(text)
        return
    number = args.integer(text, error=lambda: errors.xclaim_argument(name.decode()))
    if name == b"RETRYCOUNT":
        options.retries = number
    else:
        options.delivered = now - number if name == b"IDLE" else number


@command("XAUTOCLAIM", arity=-6, flags=WRITE | FAST, keys=FIRST, access="RW delete", since="6.2.0", tips=UNPREDICTABLE)
def xautoclaim(
    ctx: Context, key: bytes, name: bytes, consumer: bytes, idle: bytes, start: bytes, *options: bytes
) -> Reply:
    """Changes, or acquires, ownership of messages in a consumer group, as if the messages were delivered to a consumer group member."""
    claim = ClaimOptions(args.integer(idle, error=lambda: errors.invalid_min_idle_time("XAUTOCLAIM")), ctx.now)
    first = stream_ids.parse_start(start)
    given = args.options(options, frozenset({b"JUSTID"}), {b"COUNT": _claim_count})
    claim.just_ids = b"JUSTID" in given
    stream, group = find_group(ctx, key, name)
    owner = _claimant(ctx, key, group, consumer)
    return _claim_some(ctx, stream, group, owner, first, given.get(b"COUNT", 100), claim)


def _claim_count(text: bytes) -> int:
    return args.integer(text, 1, MOST_CLAIMED, errors.xautoclaim_count)


def _claim_some(
    ctx: Context, stream: Stream, group: Group, owner: Consumer, first: int, count: int, options: ClaimOptions
) -> Reply:
    """Claim pending entries from an ID on: where to go on, what was claimed, and what was pending but is deleted."""
    numbers = list(islice(group.pending.irange(first), min(count * LOOKED_AT + 1, maxsize)))
    claimed: list[Reply] = []
    deleted: list[bytes] = []
    looked_at = 0
    for number in numbers[: count * LOOKED_AT]:
        if len(claimed) + len(deleted) == count:
            break
        looked_at += 1
        texts = stream.get(number)
        if texts is None:
            group.acknowledge(number)
            ctx.keyspace.dirty += 1
            deleted.append(show(number))
        elif _claim(ctx, group, owner, number, options):
            claimed.append(show(number) if options.just_ids else [show(number), texts])
    following = numbers[looked_at] if looked_at < len(numbers) else 0
    return [show(following), claimed, deleted]
