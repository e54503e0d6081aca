"""Statements: what kind one is, where it may run, and what its reply looks like. Pure.

A statement that returns rows replies with a list of dictionaries, even when there are no rows; one that changes rows
with their number; any other with None. Which it is, the server says when it prepares the statement.
"""

from __future__ import annotations

import re
from typing import Any

from store_core import ArgumentError, Unsupported

# Spaces, comments and opening parentheses may stand before the first word; a block comment inside another is rare.
_FIRST_WORD = re.compile(r"(?:[\s(;]|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)
_COUNT = re.compile(r"(?:INSERT \d+|UPDATE|DELETE|MERGE|SELECT|COPY|MOVE|FETCH) (\d+)")
_COPY_STREAM = re.compile(r"\b(STDIN|STDOUT)\b", re.IGNORECASE)

_TRANSACTION = "use store.transaction(), or store.connect() for a transaction of your own"
_SESSION = "it changes one session, and the store's are shared: use store.connect()"

#: First word to what to do instead, in a transaction: it would end the transaction.
ENDS_TRANSACTION = dict.fromkeys(
    ("ABORT", "BEGIN", "COMMIT", "END", "PREPARE", "ROLLBACK", "START"), "the transaction begins and ends by itself"
)
#: First word to what to do instead, on a shared connection: it would have no effect there, or one on other callers.
SESSION_ONLY = {
    **dict.fromkeys(
        ("ABORT", "BEGIN", "COMMIT", "END", "LOCK", "RELEASE", "ROLLBACK", "SAVEPOINT", "START"), _TRANSACTION
    ),
    **dict.fromkeys(
        ("CLOSE", "DEALLOCATE", "DECLARE", "DISCARD", "EXECUTE", "FETCH", "LOAD", "MOVE", "PREPARE", "RESET", "SET"),
        _SESSION,
    ),
    **dict.fromkeys(("LISTEN", "UNLISTEN"), "use store.pubsub()"),
}

#: Statements of these kinds always reply in the same shape, so that it need be asked only once.
_REMEMBERED = frozenset({"DELETE", "INSERT", "MERGE", "SELECT", "SHOW", "TABLE", "UPDATE", "VALUES", "WITH"})
_MOST_REMEMBERED = 1000


def check(args: tuple[Any, ...], instead: dict[str, str]) -> str:
    """The statement among the arguments of ``execute``.

    Raises:
        ArgumentError: It is no text.
        Unsupported: It cannot run there.
    """
    if not args or not isinstance(args[0], str):
        raise ArgumentError("a statement is SQL, as str; its parameters follow")
    sql = args[0]
    if "\0" in sql:
        raise ArgumentError("SQL has no NUL character")
    word = first_word(sql)
    if word in instead:
        raise Unsupported("store.execute of postgres", word, instead[word])
    if word == "COPY" and _COPY_STREAM.search(sql):
        raise Unsupported("store.execute of postgres", "COPY with STDIN or STDOUT", "use store.client()")
    return sql


def first_word(sql: str) -> str:
    """``SELECT``, ``INSERT``, …: comments left out, in capitals; empty where there is none."""
    found = _FIRST_WORD.match(sql)
    return found[1].upper() if found else ""


def affected(status: str) -> int | None:
    """The number of rows in a command's status (``INSERT 0 5``); None where it counts none (``CREATE TABLE``)."""
    found = _COUNT.fullmatch(status)
    return int(found[1]) if found else None


def quoted(name: str) -> str:
    """A name as an SQL identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


class Shapes:
    """Whether statements return rows, as far as the server has said so."""

    def __init__(self) -> None:
        self._returns_rows: dict[str, bool] = {}

    def get(self, sql: str) -> bool | None:
        """True, False, or None for a statement that has to be asked for."""
        return self._returns_rows.get(sql)

    def learn(self, sql: str, returns_rows: bool) -> None:
        """Remember what the server said; the oldest is forgotten when there are too many."""
        if first_word(sql) not in _REMEMBERED:
            return
        if len(self._returns_rows) >= _MOST_REMEMBERED:
            del self._returns_rows[next(iter(self._returns_rows))]
        self._returns_rows[sql] = returns_rows
