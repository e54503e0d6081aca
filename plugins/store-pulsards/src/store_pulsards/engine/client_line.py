"""What is shown of a client: its line in CLIENT LIST, its flags."""

from __future__ import annotations

from store_pulsards.session import Session


def describe(session: Session, now: float) -> str:
    """One line of CLIENT LIST, with the fields that mean something here."""
    fields = {
        "id": session.id,
        "addr": session.address,
        "laddr": session.local_address,
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
        "watch": len(session.watched),
        "cmd": "NULL" if session.command is None else session.command.name,
        "user": "default",
        "redir": -1 if session.tracked is None else session.tracked.redirect,
        "resp": session.resp,
        "lib-name": session.lib_name.decode(),
        "lib-ver": session.lib_version.decode(),
    }
    return " ".join(f"{name}={value}" for name, value in fields.items())


def flags_of(session: Session) -> str:
    told = {
        "O": session.monitoring,
        "t": session.tracked is not None,
        "R": session.tracked is not None and session.tracked.broken,
        "B": session.tracked is not None and session.tracked.broadcast,
        "P": session.subscribed,
        "x": session.queued is not None,
        "b": session.blocked is not None,
        "d": session.spoiled,
        "c": session.closing,
        "e": session.no_evict,
        "T": session.no_touch,
    }
    return "".join(flag for flag, applies in told.items() if applies) or "N"
