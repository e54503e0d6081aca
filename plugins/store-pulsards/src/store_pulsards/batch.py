"""Requests of one client to the bytes of their replies: the innermost loop of a server.

What ``Engine.execute`` and the encoders do for one request, done here for many with nothing looked up twice; compiled
together with the engine. A request that may not run at once (``session.gate``, a subcommand, a wrong arity) takes the
engine's own way. Messages to the client itself that come while a request runs are ``held`` back, and go behind its
reply.
"""

from __future__ import annotations

import logging
from typing import Any, Final, TypeAlias

from store_pulsards.encoder import CRLF, ENCODERS, INTEGERS, PREFIXES, encode
from store_pulsards.engine import blocking, errors
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import BLOCKED, OK, ErrorReply
from store_pulsards.engine.table import COMMANDS, USUAL, by_count
from store_pulsards.protocol import Request
from store_pulsards.session import Session

Requests: TypeAlias = list[Request]

log: Final = logging.getLogger("store_pulsards")

OK_LINE: Final = encode(OK, 2)
NULLS: Final = {resp: encode(None, resp) for resp in ENCODERS}
SHORT: Final = len(PREFIXES)  # bytes from which on a value is three entries in the output, and not copied
HANDLERS: Final = [{name: spec.handler for name, spec in specs.items()} for specs in by_count(COMMANDS)]


def run(engine: Engine, session: Session, requests: Requests, out: list[bytes], held: list[bytes]) -> Requests:
    """Execute requests of one chunk in order, and append their replies to ``out``; returns what has to wait."""
    keyspace, context, append = engine.keyspace, session.context, out.append
    handler: Any = None
    request: Request = []
    engine.executed += len(requests)
    queue = iter(requests)
    try:
        for request in queue:
            count = len(request)
            handler = HANDLERS[count].get(request[0]) if count < USUAL and not session.gate else None
            if handler is None:
                engine.executed -= 1  # which it counts itself
                reply = engine.execute(session, request)
            else:
                keyspace.frozen = 0
                try:
                    if count == 2:
                        reply = handler(context, request[1])
                    elif count == 3:
                        reply = handler(context, request[1], request[2])
                    elif count == 4:
                        reply = handler(context, request[1], request[2], request[3])
                    else:
                        reply = handler(context, *request[1:])
                except ErrorReply as error:
                    reply = engine.failure(error, request)
                if keyspace.ready:
                    blocking.serve(keyspace)
            kind = type(reply)
            if kind is bytes:
                size = len(reply)
                if size < SHORT:
                    append(PREFIXES[size] + reply + CRLF)
                else:
                    out += (b"$%d\r\n" % size, reply, CRLF)
            elif kind is int:
                append(INTEGERS.get(reply) or b":%d\r\n" % reply)
            elif reply is OK:
                append(OK_LINE)
            elif reply is None:
                append(NULLS[session.resp])
            else:
                append(ENCODERS[session.resp][kind](reply))
            if reply is BLOCKED or session.closing:
                break
            if held:
                out += held
                held.clear()
        else:
            return []
    except Exception:  # a bug of ours: it costs this client its connection, and nobody else anything
        log.exception("command %r failed", request[0])
        append(encode(errors.internal(), 2))
        session.closing = True
    finally:
        if handler is not None:
            session.command = COMMANDS[request[0]]
    out += held
    held.clear()
    left = list(queue)
    engine.executed -= len(left)
    return left
