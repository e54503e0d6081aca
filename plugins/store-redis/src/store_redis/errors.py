"""The boundary where errors of the wire become errors of the tree.

Code written for redis-py goes on catching what it caught: once redis-py is imported, every error raised here is also
the matching class of ``redis.exceptions``. Before that nobody can name those classes, so nothing is imported.
"""

from __future__ import annotations

import re
import sys
from typing import Any, TypeVar

from store_core import (
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    ReplyError,
    StoreClosed,
    StoreError,
    Timeout,
    TransactionAborted,
)
from store_core.errors import ArgumentError

ErrorT = TypeVar("ErrorT", bound=StoreError)


#: Error of the tree to the name of its class in ``redis.exceptions``.
_MATCHING: dict[type[StoreError], str] = {
    ArgumentError: "DataError",
    ConnectionFailed: "ConnectionError",
    ConnectionLost: "ConnectionError",
    ConnectionTimeout: "TimeoutError",
    ReplyError: "ResponseError",
    StoreClosed: "ConnectionError",
    Timeout: "TimeoutError",
    TransactionAborted: "WatchError",
}

#: Code of an error reply to the name of its class in ``redis.exceptions``, where it has one of its own.
_BY_CODE: dict[str, str] = {
    "ASK": "AskError",
    "BUSY": "ResponseError",
    "CLUSTERDOWN": "ClusterDownError",
    "CROSSSLOT": "ClusterCrossSlotError",
    "EXECABORT": "ExecAbortError",
    "LOADING": "BusyLoadingError",
    "MASTERDOWN": "MasterDownError",
    "MOVED": "MovedError",
    "NOAUTH": "AuthenticationError",
    "NOPERM": "NoPermissionError",
    "NOSCRIPT": "NoScriptError",
    "OOM": "OutOfMemoryError",
    "READONLY": "ReadOnlyError",
    "TRYAGAIN": "TryAgainError",
    "UNBLOCKED": "UnblockedError",
    "WRONGPASS": "AuthenticationError",
}

# Errors of redis-py that take "3999 127.0.0.1:6381", and nothing else.
_TAKES_TEXT = frozenset({"AskError", "MovedError"})

_MAX_CLIENTS = re.compile("max number of clients reached", re.IGNORECASE)


def make(kind: type[ErrorT], message: str) -> ErrorT:
    """An error of the tree, which is also redis-py's where redis-py is imported."""
    return _also_redis(kind, _MATCHING[kind])(message) if "redis.exceptions" in sys.modules else kind(message)


def was_not_sent(error: BaseException) -> bool:
    """Whether a command certainly did not leave, and its caller's time is not over."""
    return isinstance(error, ConnectionFailed) and not isinstance(error, ConnectionLost | Timeout)


def copied(error: ErrorT) -> ErrorT:
    """The same error as another object: one that is raised in many tasks would gather all their tracebacks."""
    copy = type(error).__new__(type(error), *error.args)
    copy.args = error.args  # OSError's __new__ leaves them to an __init__ that a class has of its own
    copy.__dict__.update(error.__dict__)
    if hasattr(error, "__notes__"):
        copy.__notes__ = list(error.__notes__)
    copy.__cause__ = error.__cause__
    return copy


def reply_error(message: str) -> ReplyError:
    """The error of an error reply: what hiredis calls for each one."""
    if "redis.exceptions" not in sys.modules:
        return ReplyError(message)
    name = _BY_CODE.get(message.partition(" ")[0], "ResponseError")
    if _MAX_CLIENTS.search(message):
        name = "MaxConnectionsError"
    # redis-py's own code parses the text of these; they stay what a server said.
    return _also_redis(ReplyError, "ResponseError" if name in _TAKES_TEXT else name)(message)


def in_redis_pys_words(error: ReplyError) -> ReplyError:
    """The error as redis-py would raise it: its class, and the text without the codes that it takes off.

    ``code`` stays what the server said.
    """
    from redis._parsers.base import BaseParser  # whoever asks has redis-py

    code, _, text = str(error).partition(" ")
    kind: Any = BaseParser.EXCEPTION_CLASSES.get(code)
    if kind is None:
        return error
    if isinstance(kind, dict):
        kind = kind.get(text, sys.modules["redis.exceptions"].ResponseError)
    said = _also_redis(ReplyError, kind.__name__)(text)
    said._code = code
    if hasattr(said, "status_code"):
        said.status_code = code
    for note in getattr(error, "__notes__", ()):
        said.add_note(note)
    said.index = error.index
    said.__cause__ = error.__cause__
    return said


_combined: dict[tuple[type[StoreError], str], type[Any]] = {}


def _also_redis(kind: type[ErrorT], name: str) -> type[ErrorT]:
    found = _combined.get((kind, name))
    if found is None:
        found = _combined[kind, name] = _combine(kind, name)
    return found


def _combine(kind: type[StoreError], name: str) -> type[Any]:
    exceptions: Any = sys.modules["redis.exceptions"]
    theirs = getattr(exceptions, name, None)
    if theirs is None:  # a class that this version of redis-py does not have
        theirs = exceptions.ResponseError if issubclass(kind, ReplyError) else exceptions.RedisError

    def initialize(error: Any, *args: Any) -> None:
        theirs.__init__(error, *args)  # sets what redis-py's own code asks of its errors
        error.args = args

    body = {
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "__init__": initialize,
        "__repr__": Exception.__repr__,
        "__str__": Exception.__str__,
        "__reduce__": _reduce,
    }
    return type(kind.__name__, (kind, theirs), body)


def _reduce(error: StoreError) -> tuple[Any, ...]:
    # The combined class has no importable name; what is pickled is the class of the tree.
    kind = next(kind for kind in type(error).__mro__[1:] if kind in _MATCHING)
    return (kind, error.args, {"_code": error._code}) if isinstance(error, ReplyError) else (kind, error.args)
