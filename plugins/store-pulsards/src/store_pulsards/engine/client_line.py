"""What is shown of a client: its line in CLIENT LIST, its flags.

The line has the fields of Valkey, but for what each command would have to count (``tot-net-in``, ``tot-net-out``,
``tot-cmds``). No buffer is kept for replies (``rbs``, ``rbp``, ``obl``), or ahead for queries (``qbuf-free``).
"""

from __future__ import annotations

from store_pulsards.session import Session


def describe(session: Session, now: float) -> str:
    """One line of CLIENT LIST."""
    buffers, queued = session.measure(), _queued_bytes(session)
    fields = {
        "id": session.id,
        "addr": session.address,
        "laddr": session.local_address,
        "fd": buffers.fd,
        "name": session.name.decode(),
        "age": int(now - session.created),
        "idle": int(max(0.0, now - session.last_active)),
        "flags": flags_of(session),
        "capa": session.capabilities.decode(),
        "db": session.context.db.index,
        "sub": len(session.channels),
        "psub": len(session.patterns),
        "ssub": len(session.shard_channels),
        "multi": -1 if session.queued is None else len(session.queued.commands),
        "watch": 0 if session.spoiled else len(session.watched),
        "qbuf": buffers.query,
        "qbuf-free": 0,
        "argv-mem": buffers.arguments,
        "multi-mem": queued,
        "rbs": 0,
        "rbp": 0,
        "obl": 0,
        "oll": buffers.replies,
        "omem": buffers.output,
        "tot-mem": buffers.query + buffers.arguments + buffers.output + queued,
        "events": buffers.events,
        "cmd": "NULL" if session.command is None else session.command.name,
        "user": "default",
        "redir": -1 if session.tracked is None else session.tracked.redirect,
        "resp": session.resp,
        "lib-name": session.lib_name.decode(),
        "lib-ver": session.lib_version.decode(),
    }
    return " ".join(f"{name}={value}" for name, value in fields.items())


def _queued_bytes(session: Session) -> int:
    """What the commands take that wait for EXEC."""
    commands = [] if session.queued is None else session.queued.commands
    return sum(len(arg) for _, args in commands for arg in args)


def flags_of(session: Session) -> str:
    tracked = session.tracked
    told = {
        "O": session.monitoring,
        "P": session.subscribed,
        "x": session.queued is not None,
        "b": session.blocked is not None,
        "t": tracked is not None,
        "R": tracked is not None and tracked.broken,
        "B": tracked is not None and tracked.broadcast,
        "d": session.spoiled,
        "c": session.closing,
        "U": session.local_address.startswith("/"),
        "r": session.readonly,
        "e": session.no_evict,
        "T": session.no_touch,
    }
    return "".join(flag for flag, applies in told.items() if applies) or "N"
