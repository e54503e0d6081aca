"""The boundary where errors of asyncpg become errors of the tree; the cause is chained.

What decides is whether the statement can have run. asyncpg says "in the middle of operation" with a class of its own
when a connection breaks under a statement; every other refusal of a closed connection comes before anything is sent.
"""

from __future__ import annotations

import asyncpg

from store_core import ArgumentError, ConnectionFailed, ConnectionLost, ReplyError, StoreError, TransactionAborted
from store_core.errors import Timeout

#: Everything that asyncpg raises, its own classes and Python's.
LIBRARY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError)

#: The server goes away under a statement: admin_shutdown, crash_shutdown, database_dropped, idle_session_timeout.
_ENDED = frozenset({"57P01", "57P02", "57P04", "57P05"})
#: The server takes nobody at present: starting up or shutting down, too many connections. Later it may.
_TURNED_AWAY = frozenset({"53300", "57P01", "57P02", "57P03"})
#: Rolled back because of another transaction: serialization_failure, deadlock_detected. The same again may succeed.
_ABORTED = frozenset({"40001", "40P01"})


class ConnectionTimeout(Timeout, ConnectionFailed):
    """No connection in time; nothing was sent."""


def while_connecting(error: Exception, address: str) -> StoreError:
    """The error of the tree for one that came before the connection was ready; nothing was sent."""
    if isinstance(error, asyncpg.PostgresError) and not _turns_away(error):
        refusal = refused(error)
        refusal.add_note(f"while connecting to {address}")
        return refusal
    reason = getattr(error, "strerror", None) or error
    return ConnectionFailed(f"cannot connect to {address}: {reason}")


def while_executing(error: Exception, address: str, *, closed: bool) -> StoreError:
    """The error of the tree for one that came from a statement.

    Args:
        error: What asyncpg raised.
        address: The server, for the message.
        closed: Whether the connection is closed now.
    """
    if isinstance(error, asyncpg.DataError) and error.severity is None:
        # asyncpg's own: it could not encode a parameter, and nothing was sent. The server's have a severity.
        return ArgumentError(str(error))
    if isinstance(error, asyncpg.PostgresConnectionError | OSError | EOFError) or _code(error) in _ENDED:
        return lost(address, error)
    if isinstance(error, asyncpg.PostgresError):
        return aborted(error) if _code(error) in _ABORTED else refused(error)
    if isinstance(error, asyncpg.InterfaceError) and closed:
        return ConnectionFailed(f"the connection to {address} is closed; the statement was not sent")
    if isinstance(error, asyncpg.InterfaceError):
        return ArgumentError(str(error))
    return lost(address, error)


def refused(error: asyncpg.PostgresError) -> ReplyError:
    """The server's refusal, in its own words; ``code`` is the SQLSTATE."""
    return ReplyError(str(error), code=_code(error))


def aborted(error: asyncpg.PostgresError) -> TransactionAborted:
    """A statement or a transaction that gave way to another."""
    return TransactionAborted(f"gave way to another transaction; nothing was run ({_code(error)}: {error})")


def lost(address: str, error: BaseException | None = None) -> ConnectionLost:
    """A connection that broke under a statement."""
    reason = f" ({error.__cause__ or error})" if error is not None else ""
    return ConnectionLost(f"the connection to {address} broke; the statement may or may not have run{reason}")


def _code(error: Exception) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _turns_away(error: asyncpg.PostgresError) -> bool:
    return isinstance(error, asyncpg.PostgresConnectionError) or _code(error) in _TURNED_AWAY
