"""Pub/sub commands.

Each subscription is confirmed by a message of its own, with the number of channels and patterns that the client has
then. A client that speaks RESP2 and is subscribed may do little else; the engine sees to that.
"""

from __future__ import annotations

from store_pulsards.engine import errors, pubsub
from store_pulsards.engine.context import Context
from store_pulsards.engine.glob import compile_glob
from store_pulsards.engine.pubsub import Subscribers
from store_pulsards.engine.replies import Many, Push, Reply
from store_pulsards.engine.table import FAST, LOADING, NOSCRIPT, PUBSUB, STALE, Keys, family

command = family("pubsub")

SUBSCRIBING = PUBSUB | NOSCRIPT | LOADING | STALE
SHARD_CHANNELS = Keys(last=-1, not_key=True)
SHARD_CHANNEL = Keys(not_key=True)


@command("SUBSCRIBE", arity=-2, flags=SUBSCRIBING, since="2.0.0")
def subscribe(ctx: Context, *names: bytes) -> Reply:
    """Listens for messages published to channels."""
    return _subscribe(ctx, b"subscribe", ctx.session.channels, ctx.engine.pubsub.channels, names)


@command("PSUBSCRIBE", arity=-2, flags=SUBSCRIBING, since="2.0.0")
def psubscribe(ctx: Context, *names: bytes) -> Reply:
    """Listens for messages published to channels that match one or more patterns."""
    return _subscribe(ctx, b"psubscribe", ctx.session.patterns, ctx.engine.pubsub.patterns, names)


@command("SSUBSCRIBE", arity=-2, flags=SUBSCRIBING, keys=SHARD_CHANNELS, access="not_key", since="7.0.0")
def ssubscribe(ctx: Context, *names: bytes) -> Reply:
    """Listens for messages published to shard channels."""
    return _subscribe(ctx, b"ssubscribe", ctx.session.shard_channels, ctx.engine.pubsub.shard_channels, names)


@command("UNSUBSCRIBE", arity=-1, flags=SUBSCRIBING, since="2.0.0")
def unsubscribe(ctx: Context, *names: bytes) -> Reply:
    """Stops listening to messages posted to channels."""
    return _unsubscribe(ctx, b"unsubscribe", ctx.session.channels, ctx.engine.pubsub.channels, names)


@command("PUNSUBSCRIBE", arity=-1, flags=SUBSCRIBING, since="2.0.0")
def punsubscribe(ctx: Context, *names: bytes) -> Reply:
    """Stops listening to messages published to channels that match one or more patterns."""
    return _unsubscribe(ctx, b"punsubscribe", ctx.session.patterns, ctx.engine.pubsub.patterns, names)


@command("SUNSUBSCRIBE", arity=-1, flags=SUBSCRIBING, keys=SHARD_CHANNELS, access="not_key", since="7.0.0")
def sunsubscribe(ctx: Context, *names: bytes) -> Reply:
    """Stops listening to messages posted to shard channels."""
    return _unsubscribe(ctx, b"sunsubscribe", ctx.session.shard_channels, ctx.engine.pubsub.shard_channels, names)


def _count(ctx: Context, verb: bytes) -> int:
    """Shard channels are counted apart."""
    session = ctx.session
    return len(session.shard_channels) if verb in (b"ssubscribe", b"sunsubscribe") else session.subscriptions


def _subscribe(
    ctx: Context, verb: bytes, mine: dict[bytes, None], everybody: Subscribers, names: tuple[bytes, ...]
) -> Reply:
    confirmations = Many()
    for name in names:
        pubsub.subscribe(ctx.session, mine, everybody, name)
        confirmations.append(Push([verb, name, _count(ctx, verb)]))
    return confirmations


def _unsubscribe(
    ctx: Context, verb: bytes, mine: dict[bytes, None], everybody: Subscribers, names: tuple[bytes, ...]
) -> Reply:
    """End the named subscriptions; all of them when none is named (and say so even when there was none)."""
    confirmations = Many()
    for name in names or tuple(mine):
        pubsub.unsubscribe(ctx.session, mine, everybody, name)
        confirmations.append(Push([verb, name, _count(ctx, verb)]))
    return confirmations or Many([Push([verb, None, _count(ctx, verb)])])


@command("PUBLISH", arity=3, flags=PUBSUB | LOADING | STALE | FAST, since="2.0.0")
def publish(ctx: Context, channel: bytes, message: bytes) -> Reply:
    """Posts a message to a channel."""
    return ctx.engine.pubsub.publish(channel, message)


@command(
    "SPUBLISH", arity=3, flags=PUBSUB | LOADING | STALE | FAST, keys=SHARD_CHANNEL, access="not_key", since="7.0.0"
)
def spublish(ctx: Context, channel: bytes, message: bytes) -> Reply:
    """Posts a message to a shard channel."""
    return ctx.engine.pubsub.publish_to_shard(channel, message)


command.container("PUBSUB", "A container for Pub/Sub commands.", since="2.8.0")

ASKING = PUBSUB | LOADING | STALE


@command("PUBSUB|CHANNELS", arity=-2, flags=ASKING, since="2.8.0")
def channels(ctx: Context, *pattern: bytes) -> Reply:
    """Returns the active channels."""
    return _active(ctx.engine.pubsub.channels, pattern)


@command("PUBSUB|SHARDCHANNELS", arity=-2, flags=ASKING, since="7.0.0")
def shardchannels(ctx: Context, *pattern: bytes) -> Reply:
    """Returns the active shard channels."""
    return _active(ctx.engine.pubsub.shard_channels, pattern)


def _active(everybody: Subscribers, pattern: tuple[bytes, ...]) -> Reply:
    if len(pattern) > 1:
        raise errors.WrongSubcommand("PUBSUB")
    if not pattern:
        return list(everybody)
    return list(filter(compile_glob(pattern[0]), everybody))


@command("PUBSUB|NUMSUB", arity=-2, flags=ASKING, since="2.8.0")
def numsub(ctx: Context, *names: bytes) -> Reply:
    """Returns a count of subscribers to channels."""
    return _counts(ctx.engine.pubsub.channels, names)


@command("PUBSUB|SHARDNUMSUB", arity=-2, flags=ASKING, since="7.0.0")
def shardnumsub(ctx: Context, *names: bytes) -> Reply:
    """Returns the count of subscribers of shard channels."""
    return _counts(ctx.engine.pubsub.shard_channels, names)


def _counts(everybody: Subscribers, names: tuple[bytes, ...]) -> Reply:
    return [item for name in names for item in (name, len(everybody.get(name, ())))]


@command("PUBSUB|NUMPAT", arity=2, flags=ASKING, since="2.8.0")
def numpat(ctx: Context) -> Reply:
    """Returns a count of unique pattern subscriptions."""
    return len(ctx.engine.pubsub.patterns)
