"""MIGRATE: keys go to another server, and are removed here once they are there.

How another server is reached is the shell's business (``Engine.exchange``); a command holds everybody up until it is
done, as in Redis.
"""

from __future__ import annotations

from collections.abc import Sequence

from store_pulsards.engine import args, errors, refusals
from store_pulsards.engine.context import Context
from store_pulsards.engine.rdb import payload
from store_pulsards.engine.replies import OK, Reply, Status
from store_pulsards.engine.table import WRITE, Keys, family

command = family("generic")

USUAL_TIMEOUT = 1000  # milliseconds


class Options:
    """What stands behind the timeout."""

    __slots__ = ("copy", "credentials", "keys", "replace")

    def __init__(self, key: bytes, words: Sequence[bytes]) -> None:
        self.copy = self.replace = False
        self.credentials: tuple[bytes, ...] = ()
        self.keys: Sequence[bytes] = [key]
        left = list(words)
        while left:
            option = left.pop(0).upper()
            if option == b"COPY":
                self.copy = True
            elif option == b"REPLACE":
                self.replace = True
            elif option in (b"AUTH", b"AUTH2"):
                count = 1 if option == b"AUTH" else 2
                if len(left) < count:
                    raise errors.syntax_error()
                self.credentials, left = tuple(left[:count]), left[count:]
            elif option == b"KEYS":
                if key:
                    raise refusals.migrate_key_and_keys()
                self.keys, left = left, []
            else:
                raise errors.syntax_error()


@command(
    "MIGRATE",
    arity=-6,
    flags=WRITE,
    keys=(Keys(3), Keys(-2, keyword=b"KEYS", last=-1)),
    access=("RW access delete", "RW access delete incomplete"),
    since="2.6.0",
    acl=("keyspace", "dangerous"),
    tips=("nondeterministic_output",),
)
def migrate(
    ctx: Context, host: bytes, port: bytes, key: bytes, database: bytes, timeout: bytes, *words: bytes
) -> Reply:
    """Atomically transfers a key from one instance to another."""
    options = Options(key, words)
    exchange = ctx.engine.exchange
    if not ctx.session.trusted and ctx.engine.config.fact(b"enable-debug-command") == "no":
        # As with DEBUG SLEEP, a client of a port onto a program could hold that program up for as long as it likes.
        raise errors.not_allowed("MIGRATE", "only the program that this engine is in may do that")
    if exchange is None:
        raise errors.not_allowed("MIGRATE", "nothing here reaches other servers")
    milliseconds, index = args.integer(timeout), args.integer(database)
    keys = [each for each in options.keys if ctx.lookup_any(each) is not None]
    if not keys:
        return Status(b"NOKEY")
    before = [[b"AUTH", *options.credentials]] if options.credentials else []
    before.append([b"SELECT", b"%d" % index])
    requests = [*before, *(_restore(ctx, each, options.replace) for each in keys)]
    seconds = (milliseconds if milliseconds > 0 else USUAL_TIMEOUT) / 1000
    number = int(port) if port.isdigit() else 0
    answers, trouble = exchange(host.decode("utf-8", "replace"), number, seconds, requests)
    refused = [answer for answer in answers if answer is not None]
    if not any(answers[: len(before)]) and not options.copy:
        _remove(ctx, [each for each, answer in zip(keys, answers[len(before) :], strict=False) if answer is None])
    if refused:
        raise refusals.target_refused(refused[0])
    if trouble:
        raise refusals.target_trouble(trouble)
    return OK


def _restore(ctx: Context, key: bytes, replace: bool) -> list[bytes]:
    when = ctx.db.expires.get(key)
    left = 0 if when is None else max(1, when - ctx.now)
    return [b"RESTORE", key, b"%d" % left, payload.dump(ctx.lookup_any(key)), *([b"REPLACE"] if replace else [])]


def _remove(ctx: Context, keys: Sequence[bytes]) -> None:
    for key in keys:
        if ctx.delete(key):
            ctx.notify("del", key)
