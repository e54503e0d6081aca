"""Commands of callers in this process: from the caller's own arguments to the engine's reply, in one step.

What ``Engine.execute`` does for one request, with the name looked up as the caller wrote it, and the usual numbers of
arguments written out; compiled together with the engine. What may not run at once (a name that is not known, a
subcommand, a wrong arity, a client that is observed) takes the engine's own way.
"""

from __future__ import annotations

from typing import Any, Final

from store_core.errors import ArgumentError
from store_pulsards.engine import blocking
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import ErrorReply, Reply, Sentinel
from store_pulsards.engine.table import COMMANDS, by_count
from store_pulsards.session import Session
from store_redis.commands import SHARED, classify
from store_redis.encoding import plain

NOT_RUN: Final = Sentinel("NOT_RUN")
#: By their names as text: those that need no connection of their own.
SPECS: Final = by_count(
    {name.decode(): spec for name, spec in COMMANDS.items() if classify(spec.name.upper()) == SHARED}
)


def run(engine: Engine, session: Session, args: tuple[Any, ...]) -> Reply:
    """Run one command and return its reply, of which an error is one too; NOT_RUN when it may not run at once.

    Args:
        engine: The engine.
        session: Who calls.
        args: As the caller gave them.
    """
    count = len(args)
    try:
        spec = SPECS[count].get(args[0])
    except (IndexError, TypeError):  # many arguments, or none; a name that is no text
        return NOT_RUN
    if spec is None or session.gate:
        return NOT_RUN
    session.command = spec
    keyspace = engine.keyspace
    keyspace.frozen = 0
    engine.executed += 1
    try:
        if count == 2:
            key = args[1]
            if type(key) is str:
                key = key.encode()
            elif type(key) is not bytes:
                key = _bytes(args, 1)
            reply = spec.handler(session.context, key)
        elif count == 3:
            key, value = args[1], args[2]
            if type(key) is str:
                key = key.encode()
            elif type(key) is not bytes:
                key = _bytes(args, 1)
            if type(value) is str:
                value = value.encode()
            elif type(value) is not bytes:
                value = _bytes(args, 2)
            reply = spec.handler(session.context, key, value)
        else:
            reply = spec.handler(session.context, *packed_arguments(args)[1:])
    except ErrorReply as error:
        reply = engine.failure(error, packed_arguments(args))
    except (ArgumentError, UnicodeEncodeError):  # raised here alone: a handler is given bytes
        engine.executed -= 1
        return NOT_RUN
    if keyspace.ready:
        blocking.serve(keyspace)
    return reply


def packed_arguments(args: tuple[Any, ...]) -> list[bytes]:
    """The arguments as the engine takes them: as hiredis would have written them on a wire.

    Raises:
        ArgumentError: One is of a type that cannot be sent.
    """
    packed: list[bytes] = []
    try:
        for arg in args:  # half the time of a comprehension with the same conditions
            if type(arg) is str:
                packed.append(arg.encode())
            elif type(arg) is bytes:
                packed.append(arg)
            else:
                packed.append(_bytes(args, len(packed)))
    except UnicodeEncodeError:
        return [_bytes(args, index) for index in range(len(args))]
    return packed


def _bytes(args: tuple[Any, ...], index: int) -> bytes:
    value = plain(args, index)
    return value if isinstance(value, bytes) else str(value).encode()
