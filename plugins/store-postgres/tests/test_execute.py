"""Statements and their replies, transactions, databases, flushing, asyncpg's own client."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

import asyncpg
import pytest

from store_core import ArgumentError, Capability, ReplyError, TransactionAborted, Unsupported, create_store
from store_core.testing.section import eventually


async def test_rows_are_dictionaries_and_none_is_an_empty_list(store):
    for _ in range(2):  # as it is learned, and as it is known
        assert await store.execute("SELECT * FROM kv WHERE key = $1", "a") == []
        assert await store.execute("SELECT 1 AS one, NULL AS nothing") == [{"one": 1, "nothing": None}]


async def test_a_change_says_how_many_rows_and_a_definition_says_nothing(store):
    insert = "INSERT INTO kv VALUES ($1, $2), ($3, $4)"
    assert await store.execute(insert, "a", b"1", "b", b"2") == 2
    assert await store.execute(insert, "c", b"1", "d", b"2") == 2
    assert await store.execute("UPDATE kv SET value = $1 WHERE key > 'x'", b"3") == 0
    assert await store.execute("DELETE FROM kv WHERE key = 'a' RETURNING key") == [{"key": "a"}]
    assert await store.execute("DELETE FROM kv") == 3
    assert await store.execute("CREATE INDEX ON kv (value)") is None


async def test_values_have_the_types_that_asyncpg_gives_them(store):
    row = {"d": date(2026, 1, 2), "n": Decimal("1.50"), "a": [1, 2], "b": b"\x00", "t": "é"}
    sql = "SELECT $1::date AS d, $2::numeric AS n, $3::int[] AS a, $4::bytea AS b, $5::text AS t"
    assert await store.execute(sql, *row.values()) == [row]


async def test_a_refusal_has_the_servers_words_its_code_and_asyncpgs_error_as_cause(store):
    await store.execute("INSERT INTO kv VALUES ('a', '')")
    with pytest.raises(ReplyError, match="duplicate key") as caught:
        await store.execute("INSERT INTO kv VALUES ('a', '')")
    assert caught.value.code == "23505"
    assert isinstance(caught.value.__cause__, asyncpg.UniqueViolationError)


@pytest.mark.parametrize("args", [("SELECT $1::int", "text"), ("SELECT $1::int",), ("SELECT 1", 2), (b"SELECT 1",), ()])
async def test_a_parameter_that_does_not_fit_is_an_argument_error(store, args):
    for _ in range(2):
        with pytest.raises(ArgumentError):
            await store.execute(*args)
    assert await store.ping() is True


@pytest.mark.parametrize("options", [{"timeout": -1}, {"timeout": "1"}, {"timeout": True}, {"retries": 3}])
async def test_an_option_that_is_none_is_an_argument_error(store, options):
    with pytest.raises(ArgumentError):
        await store.execute("SELECT 1", **options)


async def test_two_statements_in_one_are_refused_and_neither_runs(store):
    with pytest.raises(ReplyError, match="multiple commands"):
        await store.execute("INSERT INTO kv VALUES ('a', ''); INSERT INTO kv VALUES ('b', '')")
    assert await store.execute("SELECT * FROM kv") == []


async def test_a_changed_table_is_seen_by_statements_that_are_known(store):
    for _ in range(3):
        assert await store.execute("SELECT * FROM kv") == []
    await store.execute("INSERT INTO kv VALUES ('a', '')")
    await store.execute("ALTER TABLE kv ADD COLUMN more int DEFAULT 5")
    assert await store.execute("SELECT * FROM kv") == [{"key": "a", "value": b"", "more": 5}]


async def test_no_callers_session_leaks_into_anothers(server_url):
    async with create_store(server_url, pool_max=1) as store:
        await store.execute("SELECT set_config('search_path', 'pg_catalog', false), pg_advisory_lock(77)")
        assert await store.execute("SHOW search_path") == [{"search_path": '"$user", public'}]
        assert await store.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [{"count": 0}]


async def test_a_connection_of_ones_own_has_a_session(store):
    async with await store.connect() as connection:
        await connection.execute("BEGIN")
        await connection.execute("INSERT INTO kv VALUES ('a', '')")
        assert await store.execute("SELECT * FROM kv") == []
        await connection.execute("COMMIT")
        # Called at once, run one after another.
        replies = await asyncio.gather(*(connection.execute(f"SELECT {n} AS n") for n in range(20)))
    assert replies == [[{"n": n}] for n in range(20)]
    assert len(await store.execute("SELECT * FROM kv")) == 1


async def test_a_refused_statement_undoes_the_transaction_and_is_named(store):
    with pytest.raises(ReplyError) as caught:
        async with store.transaction(raise_on_error=False) as transaction:
            transaction.execute("INSERT INTO kv VALUES ('a', '')")
            transaction.execute("INSERT INTO kv VALUES ('a', 'secret')")
    assert caught.value.__notes__ == ["in command 2 of 2 (INSERT); nothing was run"]
    assert transaction.results is None
    assert await store.execute("SELECT * FROM kv") == []


async def test_a_constraint_that_is_checked_at_the_end_undoes_the_transaction(store):
    await store.execute("DROP TABLE IF EXISTS child")
    await store.execute("CREATE TABLE child (parent text REFERENCES kv DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(ReplyError) as caught:
        async with store.transaction() as transaction:
            transaction.execute("INSERT INTO child VALUES ('nobody')")
    assert caught.value.code == "23503"
    assert "committed" in caught.value.__notes__[0]
    await store.execute("DROP TABLE child")


async def test_transactions_that_would_make_each_other_give_way_all_run(store):
    await store.execute("INSERT INTO kv VALUES ('n', '0'), ('m', '0')")
    add = "UPDATE kv SET value = convert_to((convert_from(value, 'UTF8')::int + 1)::text, 'UTF8') WHERE key = $1"

    async def both(first, second):
        async with store.transaction() as transaction:  # in both orders: deadlocks too
            transaction.execute(add, first)
            transaction.execute(add, second)

    await asyncio.gather(*(both(*("nm" if number % 2 else "mn")) for number in range(20)))
    assert [row["value"] for row in await store.execute("SELECT value FROM kv")] == [b"20", b"20"]


async def test_isolation_is_what_the_parameter_says(server_url):
    for level in ("serializable", "repeatable read", "read committed"):
        async with create_store(server_url, isolation=level) as store, store.transaction() as transaction:
            transaction.execute("SHOW transaction_isolation")
        assert transaction.results == [[{"transaction_isolation": level}]]


async def test_a_statement_that_gives_way_in_a_session_of_ones_own_is_transaction_aborted(store):
    await store.execute("INSERT INTO kv VALUES ('a', '')")
    async with await store.connect() as one:
        await one.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await one.execute("SELECT * FROM kv")
        await store.execute("UPDATE kv SET value = '1'")
        with pytest.raises(TransactionAborted, match="40001"):
            await one.execute("UPDATE kv SET value = '2'")


async def test_what_is_not_there_says_so(store):
    with pytest.raises(Unsupported, match="watch"):
        await store.watch("a")
    async with store.pubsub() as pubsub:
        with pytest.raises(Unsupported, match="patterns"):
            await pubsub.psubscribe("a*")
        with pytest.raises(Unsupported, match="receivers"):
            await pubsub.count("a")
        with pytest.raises(Unsupported, match="receivers"):
            await pubsub.channels()
    missing = {Capability.WATCH, Capability.PATTERNS, Capability.RECEIVERS, Capability.PIPELINE}
    assert not missing & store.capabilities


async def test_flush_empties_every_table_and_starts_their_numbers_again(server_url, store):
    await store.execute("DROP TABLE IF EXISTS child, parent")
    await store.execute("CREATE TABLE parent (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
    await store.execute("CREATE TABLE child (parent int REFERENCES parent)")
    await store.execute("WITH p AS (INSERT INTO parent DEFAULT VALUES RETURNING id) INSERT INTO child SELECT id FROM p")
    async with create_store(server_url, namespace='odd "name".') as odd:
        await odd.execute('CREATE TABLE IF NOT EXISTS "odd; table" (n int)')
        await odd.execute('INSERT INTO "odd; table" VALUES (1)')
        await odd.flush()
        assert await odd.execute('SELECT * FROM "odd; table"') == []
        assert await store.execute("SELECT * FROM child") == [{"parent": 1}]
        await odd.execute('INSERT INTO "odd; table" VALUES (1)')
        await store.flush()
        assert await odd.execute('SELECT * FROM "odd; table"') == []
    assert await store.execute("INSERT INTO parent DEFAULT VALUES RETURNING id") == [{"id": 1}]
    await store.execute("DROP TABLE child, parent")


async def test_a_namespace_whose_tables_others_refer_to_is_not_flushed(server_url, store):
    async with create_store(server_url, namespace="referred") as inside:
        await inside.execute("CREATE TABLE IF NOT EXISTS parent (id int PRIMARY KEY)")
        await store.execute("CREATE TABLE outside (parent int REFERENCES referred.parent)")
        with pytest.raises(ReplyError, match="foreign key"):
            await inside.flush()
        await store.execute("DROP TABLE outside")


async def test_many_stores_make_one_namespace_at_once(server_url, store):
    await store.execute("DROP SCHEMA IF EXISTS crowd")
    stores = [create_store(server_url, namespace="crowd") for _ in range(8)]
    assert await asyncio.gather(*(each.ping() for each in stores)) == [True] * 8
    await asyncio.gather(*(each.close() for each in stores))


async def test_a_database_in_use_is_deleted_and_the_stores_own_is_not(server_url, store):
    name = 'another "database"'
    assert await store.create_database(name) == name
    assert await store.create_database(name) == name
    async with create_store(server_url, db=name) as second:
        await second.execute("CREATE TABLE t ()")
        await store.delete_database(name)
    with pytest.raises(ReplyError):
        await store.delete_database(name)
    with pytest.raises(ReplyError, match="currently open"):
        await store.delete_database(store.database)


async def test_the_client_is_asyncpgs_pool_and_works_before_any_statement(server_url):
    async with create_store(server_url) as store:
        pool = store.client()
        assert isinstance(pool, asyncpg.Pool)
        assert await pool.fetchval("SELECT 5") == 5
        async with pool.acquire() as connection, connection.transaction():
            assert await connection.fetchrow("SELECT 1 AS a, 2 AS a") == (1, 2)
        assert store.client() is pool
        await pool.close()
        assert await store.ping() is True


async def test_connections_are_opened_beforehand_as_pool_min_says(server_url, backends):
    async with create_store(server_url, pool_min=3, application_name="floor") as store, create_store(server_url) as eye:
        assert await backends(eye, "floor") == []
        await store.ping()

        async def three() -> bool:
            return len(await backends(eye, "floor")) >= 3

        await eventually(three)
