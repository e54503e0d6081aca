"""Commands that a pipeline or a transaction has collected: checked before any is sent, blamed when none has run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from store_core import ArgumentError, Command, ReplyError, Unsupported
from store_redis.commands import REFUSED, route, upper
from store_redis.errors import make


def check_collected(command: Command, where: str) -> None:
    """Raise for a command that cannot be sent, before any of those collected with it has run."""
    if not command.args:
        raise make(ArgumentError, "a command has a name")
    if route(command.args) == REFUSED:
        raise Unsupported(where, upper(command.args[0]))


def first_refusal(commands: Sequence[Command], queued: Sequence[Any], executed: ReplyError) -> ReplyError:
    """The refusal for which a transaction did not run, with a note saying which command it answers."""
    for index, reply in enumerate(queued):
        if isinstance(reply, ReplyError):
            reply.add_note(f"in command {index + 1} of {len(queued)} ({commands[index].name}); nothing was run")
            reply.index = index
            return reply
    return executed
