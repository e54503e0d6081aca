"""Connection strings and their parameters, and what a connection is made of."""

from __future__ import annotations

import socket
import ssl

import pytest

from store_core import ConnectionFailed, DSNError, ReplyError, Timeout, create_store
from store_postgres.dial import _tls


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgres://h?pool_min=3&pool_max=2", "'pool_min' is greater"),
        ("postgres://h?host=/run", "directory of a unix socket"),
        ("postgres://?host=elsewhere", "directory of a unix socket"),
        ("postgres://h?sslmode=perhaps", "sslmode"),
        ("postgres://h?sslcert=/c.pem", "need sslmode=require"),
        ("postgres://h?sslmode=require&sslkey=/k.pem", "needs 'sslcert'"),
        ("postgres://h?isolation=none", "isolation"),
        ("postgres://h?timeot=5", "did you mean 'timeout'"),
        (f"postgres://h?namespace={'n' * 64}", "more than 63 bytes"),
        ("postgres://h/a?db=b", "differently"),
    ],
)
def test_a_wrong_connection_string_says_what_is_wrong(url, message):
    with pytest.raises(DSNError, match=message):
        create_store(url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_both_schemes_are_one_backend(scheme):
    store = create_store(f"{scheme}://alice:secret@one,two:5433/shop?namespace=n&target_session_attrs=primary")
    assert (store.name, store.database, store.namespace) == ("postgres", "shop", "n")
    assert store.dialer.address == "one:5432,two:5433"
    assert "secret" not in repr(store)


def test_the_database_is_the_users_by_default_as_in_libpq(monkeypatch):
    monkeypatch.delenv("PGDATABASE", raising=False)
    assert create_store("postgres://alice@h").database == "alice"
    monkeypatch.setenv("PGUSER", "bob")
    assert create_store("postgres://h").database == "bob"
    monkeypatch.setenv("PGDATABASE", "shop")
    assert create_store("postgres://alice@h").database == "shop"


def test_what_tls_verifies_follows_sslmode():
    def context(**params):
        return _tls(create_store("postgres://h", **params).params)

    assert context() == "prefer"
    full, ca = context(sslmode="verify-full"), context(sslmode="verify-ca")
    assert (full.verify_mode, full.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (ca.verify_mode, ca.check_hostname) == (ssl.CERT_REQUIRED, False)
    with pytest.raises(DSNError, match="TLS file"):
        context(sslmode="verify-full", sslrootcert="/nowhere.pem")


async def test_nobody_there_is_connection_failed():
    async with create_store("postgres://127.0.0.1:1/x") as store:
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1") as caught:
            await store.ping()
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_socket_that_is_not_there_is_connection_failed(tmp_path):
    async with create_store("postgres://", host=str(tmp_path)) as store:
        with pytest.raises(ConnectionFailed):
            await store.ping()


@pytest.mark.parametrize(("change", "code"), [({"password": "hunter2"}, "28P01"), ({"db": "nowhere"}, "3D000")])
async def test_who_is_turned_away_gets_the_servers_words_and_no_secret(server_url, change, code):
    async with create_store(server_url, **change) as store:
        with pytest.raises(ReplyError) as caught:
            await store.ping()
    assert caught.value.code == code
    assert any("while connecting" in note for note in caught.value.__notes__)
    assert "hunter2" not in str(caught.value)


async def test_tls_with_a_server_that_has_none_is_an_error(server_url):
    async with create_store(server_url, sslmode="require") as store:
        with pytest.raises(ConnectionFailed, match="SSL"):
            await store.ping()


async def test_the_first_of_several_hosts_that_answers_serves(server_url):
    host = server_url.partition("@")[2].partition("/")[0]
    url = server_url.replace(host, f"127.0.0.1:1,{host}")
    async with create_store(url, target_session_attrs="read-write") as store:
        assert await store.ping() is True


async def test_the_server_sees_the_applications_name(server_url):
    async with create_store(server_url, application_name="shop") as store:
        assert await store.execute("SHOW application_name") == [{"application_name": "shop"}]


async def test_no_statement_is_kept_with_statement_cache_0(server_url):
    async with create_store(server_url, statement_cache=0, pool_max=1) as store:
        for _ in range(2):
            assert await store.execute("SELECT $1::int AS n", 5) == [{"n": 5}]
        # What asyncpg and the store have prepared on this one connection.
        assert await store.execute("SELECT count(*) FROM pg_prepared_statements") == [{"count": 0}]


async def test_a_connection_that_takes_too_long_is_a_timeout_and_a_failed_connection():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and nobody reads them
        port = silent.getsockname()[1]
        async with create_store(f"postgres://127.0.0.1:{port}/x", timeout=0.05) as store:
            with pytest.raises(Timeout) as caught:
                await store.ping()
    assert isinstance(caught.value, ConnectionFailed)
