"""The boundary of errors: the tree's own classes, and redis-py's too once it is imported."""

from __future__ import annotations

import pickle
import subprocess
import sys
import traceback

import pytest

from store_core import ConnectionFailed, ReplyError, StoreError, Timeout
from store_redis.errors import _BY_CODE, _MATCHING, copied, make, reply_error

BEFORE = """
import sys
from store_redis.errors import _BY_CODE, _MATCHING, make, reply_error
for kind in _MATCHING:
    error = make(kind, "words")
    assert type(error) is kind and str(error) == "words", error
for code in [*_BY_CODE, "ERR"]:
    assert type(reply_error(code + " words")).__name__ == "ReplyError"
import store_core
store = store_core.create_store("redis://127.0.0.1")
assert not [name for name in sys.modules if name.partition(".")[0] == "redis"], "redis-py was imported"
import redis.exceptions
assert isinstance(reply_error("NOSCRIPT words"), redis.exceptions.NoScriptError)
print("done")
"""


def test_before_redis_py_is_imported_errors_are_the_trees_own_and_import_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEFORE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "done\n", done.stderr


@pytest.fixture
def exceptions():
    import redis.exceptions

    return redis.exceptions


@pytest.mark.parametrize("kind", _MATCHING, ids=lambda kind: kind.__name__)
def test_each_error_is_also_redis_pys_once_it_is_imported(kind: type[StoreError], exceptions) -> None:
    error = make(kind, "what was wrong")
    assert isinstance(error, kind)
    assert isinstance(error, getattr(exceptions, _MATCHING[kind]))
    assert type(error) is type(make(kind, "another")), "one class, made once"
    looks_right(error, kind, "what was wrong")


@pytest.mark.parametrize("code", _BY_CODE)
def test_each_code_is_also_redis_pys_class(code: str, exceptions) -> None:
    message = f"{code} 3999 127.0.0.1:6381" if code in ("ASK", "MOVED") else f"{code} in the server's words"
    error = reply_error(message)
    assert isinstance(error, ReplyError)
    assert isinstance(error, exceptions.RedisError)
    if code not in ("ASK", "MOVED"):
        theirs = getattr(exceptions, _BY_CODE[code], exceptions.ResponseError)
        assert isinstance(error, theirs)
    assert error.code == code
    looks_right(error, ReplyError, message)


def looks_right(error: StoreError, kind: type[StoreError], message: str) -> None:
    assert str(error) == message
    assert repr(error) == f"{kind.__name__}({message!r})"
    assert error.args == (message,)
    shown = traceback.format_exception_only(error)[0]
    assert shown == f"{kind.__module__}.{kind.__name__}: {message}\n"
    for again in (pickle.loads(pickle.dumps(error)), copied(error)):
        assert isinstance(again, kind)
        assert str(again) == message
        assert again.args == (message,)


def test_an_unknown_code_is_a_response_error(exceptions) -> None:
    error = reply_error("WRONGTYPE Operation against a key")
    assert isinstance(error, exceptions.ResponseError)
    assert error.code == "WRONGTYPE"


@pytest.mark.parametrize("message", ["", " ", "ERR", "\ufffd", "ERR max number of clients reached"])
def test_any_words_of_a_server_make_an_error(message: str) -> None:
    assert str(reply_error(message)) == message


def test_a_copy_keeps_notes_cause_and_class_and_shares_no_traceback() -> None:
    try:
        raise make(Timeout, "late") from ValueError("cause")
    except Timeout as error:
        error.add_note("a note")
        original = error
    copy = copied(original)
    assert type(copy) is type(original)
    assert copy.__cause__ is original.__cause__
    assert copy.__notes__ == ["a note"]
    assert copy.__notes__ is not original.__notes__
    assert copy.__traceback__ is None


def test_code_written_for_the_standard_library_catches_them() -> None:
    assert isinstance(make(ConnectionFailed, "x"), ConnectionError)
    assert isinstance(make(Timeout, "x"), TimeoutError)
