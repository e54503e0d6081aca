"""Credentials from a callable: asked at each connect, within the time to connect, and never shown."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.credentials import CredentialProvider

from store_core import (
    ConnectionFailed,
    ConnectionTimeout,
    DSNError,
    ReplyError,
    Store,
    Unsupported,
    create_store,
    start_store,
)

USER = ("ada", "first-hunter2")


@pytest.fixture
async def users(store: Store) -> AsyncIterator[Store]:
    """A server with the user ada, whose password is ``first-hunter2``."""
    await store.execute("ACL", "SETUSER", "ada", "reset", "on", f">{USER[1]}", "~*", "&*", "+@all")
    yield store
    await store.execute("ACL", "DELUSER", "ada")


class Provider(CredentialProvider):
    """redis-py's own kind."""

    async def get_credentials_async(self) -> tuple[str, str]:
        return USER


class Older:
    """Has the synchronous method alone."""

    def get_credentials(self) -> tuple[str, str]:
        return USER


async def coroutine_function() -> tuple[str, str]:
    await asyncio.sleep(0)
    return USER


SOURCES = [lambda: USER, lambda: list(USER), coroutine_function, Provider(), Older()]


@pytest.mark.parametrize("source", SOURCES, ids=["callable", "list", "coroutine function", "provider", "older"])
async def test_a_source_of_credentials_says_who_connects(valkey_url: str, users: Store, source: Any) -> None:
    async with create_store(valkey_url, credentials=source) as store:
        assert await store.execute("ACL", "WHOAMI") == b"ada"
        async with await store.connect() as connection:
            assert await connection.execute("ACL", "WHOAMI") == b"ada"


async def test_a_password_alone_is_the_users_of_the_connection_string(valkey_url: str, users: Store) -> None:
    for answer in (USER[1], (USER[1],), (None, USER[1])):
        async with create_store(valkey_url, username="ada", credentials=lambda answer=answer: answer) as store:
            assert await store.execute("ACL", "WHOAMI") == b"ada"


async def test_it_is_asked_again_at_each_connect(valkey_url: str, users: Store) -> None:
    asked: list[str] = []

    def ask() -> tuple[str, str]:
        asked.append("")
        return "ada", "second-hunter2" if len(asked) > 1 else USER[1]

    async with create_store(valkey_url, credentials=ask) as store:
        number = await store.execute("CLIENT", "ID")
        assert (await store.execute("PING"), len(asked)) == (b"PONG", 1)
        await users.execute("ACL", "SETUSER", "ada", "resetpass", ">second-hunter2")
        await users.execute("CLIENT", "KILL", "ID", number)
        async with asyncio.timeout(10):
            while store._node.links:
                await asyncio.sleep(0.005)
        assert await store.execute("ACL", "WHOAMI") == b"ada"
    assert len(asked) == 2


@pytest.mark.parametrize("protocol", [2, 3])
async def test_redis_pys_own_connections_ask_too(valkey_url: str, users: Store, protocol: int) -> None:
    async with create_store(valkey_url, credentials=coroutine_function, protocol=protocol) as store:
        pipeline = store.client().pipeline()
        await pipeline.watch("key")
        pipeline.multi()
        pipeline.execute_command("ACL", "WHOAMI")
        assert await pipeline.execute() == [b"ada"]


async def test_a_source_that_fails_is_connection_failed_with_its_error_as_the_cause(valkey_url: str) -> None:
    broken = LookupError("no such secret")

    def ask() -> str:
        raise broken

    async with create_store(valkey_url, credentials=ask) as store:
        with pytest.raises(ConnectionFailed, match=r"^cannot connect to .*: credentials raised LookupError$") as caught:
            await store.ping()
        assert caught.value.__cause__ is broken


@pytest.mark.parametrize("error", [TimeoutError("slow-hunter2"), OSError(111, "hunter2"), ReplyError("NOAUTH hunter2")])
async def test_what_a_source_raises_is_never_taken_for_the_connections_own_error(
    valkey_url: str, error: Exception
) -> None:
    async def ask() -> str:
        raise error

    async with create_store(valkey_url, credentials=ask) as store:
        with pytest.raises(ConnectionFailed, match=f"credentials raised {type(error).__name__}$") as caught:
            await store.ping()
        assert type(caught.value).__name__ == "ConnectionFailed"
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("answer", [None, 7, b"hunter2", ("ada", None), ("a", "b", "hunter2"), {"hunter2": "x"}, ()])
async def test_an_answer_of_another_shape_is_refused_without_repeating_it(valkey_url: str, answer: object) -> None:
    async with create_store(valkey_url, credentials=lambda: answer) as store:
        with pytest.raises(ConnectionFailed, match="not \\(username, password\\) or a password") as caught:
            await store.ping()
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_a_wrong_password_is_the_servers_refusal_and_is_not_shown(valkey_url: str) -> None:
    async with create_store(valkey_url, credentials=lambda: ("nobody", "wrong-hunter2")) as store:
        with pytest.raises(ReplyError, match=r"^WRONGPASS") as caught:
            await store.ping()
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_the_time_that_it_takes_is_within_the_time_to_connect(valkey_url: str) -> None:
    async def ask() -> str:
        await asyncio.Event().wait()
        return ""

    async with create_store(valkey_url, credentials=ask, connect_timeout=0.05) as store:
        with pytest.raises(ConnectionTimeout, match=r"within 0\.05 s"):
            await store.ping()


async def test_connect_timeout_bounds_connecting_and_timeout_the_reply(valkey_url: str) -> None:
    async def slow() -> str:
        await asyncio.sleep(0.2)
        return "anything"

    async with create_store(valkey_url, credentials=slow, timeout=0.05, connect_timeout=30) as store:
        assert await store.ping()
    async with create_store(valkey_url, credentials=slow, timeout=0.05, connect_timeout=0) as store:
        assert await store.ping()
    async with create_store(valkey_url, credentials=slow, timeout=0.05) as store:
        with pytest.raises(ConnectionTimeout, match=r"within 0\.05 s"):
            await store.ping()


@pytest.mark.parametrize(("params", "seconds"), [({}, 5), ({"timeout": 2}, 2), ({"connect_timeout": 0}, 0)])
def test_connect_timeout_is_the_timeout_unless_it_is_given(params: dict[str, float], seconds: float) -> None:
    store = create_store("redis://h", **params)
    assert store.dialer.connect_timeout == seconds
    assert store.client().connection_pool.connection_kwargs["socket_connect_timeout"] == (seconds or None)


@pytest.mark.parametrize("url", ["redis://h?credentials=x", "redis://h?credentials=hunter2"])
def test_a_callable_cannot_stand_in_a_connection_string(url: str) -> None:
    with pytest.raises(DSNError, match=r"'credentials' cannot stand in a connection string; .* keyword, credentials=…"):
        create_store(url)


@pytest.mark.parametrize("value", [7, ("ada", "hunter2")])
def test_what_is_no_source_of_credentials_is_refused_at_once(value: object) -> None:
    with pytest.raises(
        DSNError, match=r"'credentials' is of type .* neither a callable nor a credential provider"
    ) as caught:
        create_store("redis://h", credentials=value)
    assert "hunter2" not in str(caught.value)


def test_a_password_beside_a_callable_is_refused() -> None:
    with pytest.raises(DSNError, match="'credentials' and 'password' are both given"):
        create_store("redis://:hunter2@h", credentials=coroutine_function)


def test_the_callable_is_masked_and_the_string_does_not_have_it() -> None:
    store = create_store("redis://h?db=1", credentials=coroutine_function)
    assert store.dsn == "redis://h?db=1"
    assert repr(store) == "<RedisStore redis://h?db=1&credentials=***>"
    assert "coroutine_function" not in repr(store.params)
    assert pickle.loads(pickle.dumps(store.params))["credentials"] == "***"


def test_a_pickle_says_that_the_callable_is_missing() -> None:
    store = create_store("redis://h", credentials=Provider())
    with pytest.raises(DSNError, match=r"'credentials' is masked .* pass credentials=…"):
        pickle.loads(pickle.dumps(store))
    again: Callable[..., Store] = create_store
    assert again(store.masked_dsn, credentials=coroutine_function).params["credentials"] is coroutine_function


@pytest.mark.parametrize("url", ["redis://127.0.0.1:0"])
async def test_a_server_is_not_started_for_a_callable(url: str) -> None:
    with pytest.raises(Unsupported, match="credentials"):
        await start_store(url, credentials=coroutine_function)
