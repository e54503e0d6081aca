"""What a statement is, without a server."""

from __future__ import annotations

import pytest

from store_core import ArgumentError, Unsupported
from store_postgres.statements import ENDS_TRANSACTION, SESSION_ONLY, Shapes, affected, check, first_word, quoted


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("select 1", "SELECT"),
        ("  -- a comment\n/* another;\n BEGIN */ ( SELECT 1)", "SELECT"),
        ("-- only a comment", ""),
        (";commit", "COMMIT"),
        ("", ""),
    ],
)
def test_the_first_word_is_found_behind_comments(sql, word):
    assert first_word(sql) == word


@pytest.mark.parametrize(
    ("status", "count"),
    [
        ("INSERT 0 5", 5),
        ("UPDATE 0", 0),
        ("DELETE 12", 12),
        ("MERGE 3", 3),
        ("SELECT 7", 7),
        ("CREATE TABLE", None),
        ("", None),
    ],
)
def test_a_status_tells_how_many_rows(status, count):
    assert affected(status) == count


@pytest.mark.parametrize("sql", ["BEGIN", "/* x */ commit", "SET a = 1", "LISTEN news", "savepoint a", "ROLLBACK"])
def test_what_changes_a_session_is_refused_on_a_shared_one_and_the_error_says_what_to_call(sql):
    with pytest.raises(Unsupported, match=r"store\.(transaction|connect|pubsub)\(\)"):
        check((sql,), SESSION_ONLY)
    assert check((sql,), {}) == sql


def test_what_ends_a_transaction_is_refused_in_one_and_settings_are_not():
    with pytest.raises(Unsupported):
        check(("COMMIT",), ENDS_TRANSACTION)
    assert check(("SET LOCAL statement_timeout = 5",), ENDS_TRANSACTION)


@pytest.mark.parametrize("sql", ["COPY kv FROM STDIN", "copy kv to stdout"])
def test_a_copy_through_the_connection_is_refused_everywhere(sql):
    with pytest.raises(Unsupported, match=r"store\.client"):
        check((sql,), {})


@pytest.mark.parametrize("args", [(), (b"SELECT 1",), (5,), ("SELECT '\0'",)])
def test_a_statement_is_text(args):
    with pytest.raises(ArgumentError):
        check(args, {})


def test_a_name_is_quoted_whatever_it_holds():
    assert quoted('a"; DROP TABLE b; --') == '"a""; DROP TABLE b; --"'


def test_shapes_are_remembered_within_bounds_and_not_where_they_may_change():
    shapes = Shapes()
    shapes.learn("CALL procedure()", True)
    assert shapes.get("CALL procedure()") is None
    for number in range(1001):
        shapes.learn(f"SELECT {number}", True)
    assert shapes.get("SELECT 0") is None
    assert shapes.get("SELECT 1000") is True
