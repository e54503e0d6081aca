"""The life of a store on every form."""

from __future__ import annotations

import asyncio
import logging
import pickle

import pytest

from store_core import (
    Capability,
    ConnectionFailed,
    DSNError,
    Store,
    StoreClosed,
    Unsupported,
    create_store,
    start_store,
)
from store_core.pubsub import PubSub


async def test_create_store_does_no_io_and_the_first_command_connects() -> None:
    store = create_store("redis://127.0.0.1:1")
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1"):
        await store.ping()
    await store.close()


def test_the_connection_string_of_the_readme_works_as_it_stands() -> None:
    store = create_store("redis://127.0.0.1:6379?db=3&password=bla&namespace=test.&timeout=5")
    assert (store.name, store.database, store.namespace) == ("redis", "3", "test.")
    assert store.params["timeout"] == 5
    assert "bla" not in repr(store)
    assert create_store(store.dsn).params == store.params


@pytest.mark.parametrize("url", ["redis://127.0.0.1:6379?timeot=5", "pulsards://?timeot=5"])
def test_a_parameter_that_does_not_exist_gets_the_near_miss(url: str) -> None:
    with pytest.raises(DSNError, match="has no parameter 'timeot'; did you mean 'timeout'"):
        create_store(url)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("redis://h?timeout=soon", "not a number"),
        ("redis://h?db=-1", "less than 0"),
        ("redis://h?connections=0", "less than 1"),
        ("redis://h?protocol=4", "not one of 2, 3"),
        ("redis://h?tls=perhaps", "not true or false"),
        ("redis://h/abc", "not a whole number"),
        ("redis://a,b", "takes one host"),
        ("unix://", "unix:///path"),
        ("unix://host/path", "unix:///path"),
    ],
)
def test_a_value_that_does_not_fit_says_what_would(url: str, error: str) -> None:
    with pytest.raises(DSNError, match=error):
        create_store(url)


def test_a_durable_file_is_refused_in_this_version() -> None:
    with pytest.raises(Unsupported, match="in memory"):
        create_store("pulsards:///data/file.aof")


async def test_use_after_close_is_a_clear_error(url: str) -> None:
    store = create_store(url)
    await store.ping()
    await store.close()
    await store.close()
    assert store.closed
    for use in (store.ping, store.connect, lambda: store.execute("PING"), lambda: store.watch("a"), store.flush):
        with pytest.raises(StoreClosed, match="is closed; create another"):
            await use()
    for open_ in (store.pubsub, store.transaction, store.pipeline, store.channels, store.client):
        with pytest.raises(StoreClosed):
            open_()


async def test_closing_with_callers_under_way_gives_each_one_outcome(url: str) -> None:
    store = create_store(url)
    await store.execute("PING")
    tasks = [asyncio.create_task(store.execute("ECHO", number)) for number in range(100)]
    tasks += [asyncio.create_task(store.execute("BLPOP", "nothing", 0)) for _ in range(3)]
    await asyncio.sleep(0)
    await store.close()
    async with asyncio.timeout(10):
        for number, result in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
            assert result == b"%d" % number or isinstance(result, ConnectionFailed | StoreClosed)


async def test_nothing_is_left_running_after_close(url: str) -> None:
    before = asyncio.all_tasks()
    async with create_store(url) as store:
        await store.execute("SET", "a", 1, "PX", 100_000)
        async with store.pubsub() as pubsub:
            await pubsub.subscribe("c")
            waiting = asyncio.create_task(store.execute("BLPOP", "nothing", 0))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await store.client().get("a")
        await store.execute("DEL", "a")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


def test_a_store_follows_to_a_new_event_loop_once_the_old_one_is_closed(url: str) -> None:
    store = create_store(url)

    async def use(value: int) -> bytes:
        await store.execute("SET", "key", value)
        pubsub = store.pubsub()
        await pubsub.subscribe("c")
        await pubsub.publish("c", value)
        assert (await anext(aiter(pubsub))).data == b"%d" % value
        found: bytes = await store.execute("GET", "key")
        return found

    assert asyncio.run(use(1)) == b"1"
    assert asyncio.run(use(2)) == b"2"

    async def last() -> None:
        await store.execute("DEL", "key")
        await store.close()

    asyncio.run(last())


def test_an_embedded_store_keeps_its_data_across_event_loops() -> None:
    store = create_store("pulsards://")
    asyncio.run(store.execute("SET", "key", "kept"))
    assert asyncio.run(store.execute("GET", "key")) == b"kept"
    asyncio.run(store.close())


async def test_two_embedded_stores_share_nothing() -> None:
    async with create_store("pulsards://") as one, create_store("pulsards://") as two:
        await one.execute("SET", "a", 1)
        assert await two.execute("EXISTS", "a") == 0


async def test_capabilities_say_what_there_is(url: str, store: Store) -> None:
    assert Capability.TRANSACTIONS in store.capabilities
    assert Capability.RECORDS not in store.capabilities
    assert (Capability.START in store.capabilities) == (url != "pulsards://")


async def test_extensions_wrap_every_operation_on_every_form(url: str) -> None:
    from store_core import hookimpl

    calls: list[str] = []

    class Counter:
        @hookimpl
        def store_connect(self, operation):
            async def connect():
                calls.append("connect")
                return await operation()

            return connect

        @hookimpl
        def store_execute(self, operation):
            async def execute(*args, **options):
                calls.append(args[0])
                return await operation(*args, **options)

            return execute

        @hookimpl
        def store_transaction(self, operation):
            async def execute_transaction(commands, watch=None):
                calls.append(f"transaction of {len(commands)}")
                return await operation(commands, watch)

            return execute_transaction

        @hookimpl
        def store_pubsub(self, operation):
            def pubsub(protocol=None, **options) -> PubSub:
                calls.append("pubsub")
                return operation(protocol, **options)

            return pubsub

    async with create_store(url, extensions=[Counter()]) as store:
        await store.execute("SET", "a", 1)
        async with store.pipeline() as pipeline:
            pipeline.execute("GET", "a")
        async with store.transaction() as transaction:
            transaction.execute("DEL", "a")
        await store.client().exists("a")
        async with store.pubsub() as pubsub:
            await pubsub.subscribe("c")
    assert calls == ["SET", "connect", "GET", "transaction of 1", "EXISTS", "pubsub", "connect"]


async def test_start_store_uses_the_server_that_is_there(network_url: str) -> None:
    async with await start_store(network_url) as store:
        assert not store.started
        assert await store.ping()


@pytest.mark.parametrize("scheme", ["redis", "pulsards"])
async def test_start_store_starts_one_with_its_password_and_close_stops_it(scheme: str) -> None:
    store = await start_store(f"{scheme}://:p%40ss word@127.0.0.1:0/2".replace(" ", "%20"), timeout=2)
    assert "p%40ss%20word@127.0.0.1:" in store.dsn
    assert "p%40ss" not in repr(store)
    assert ":0" not in store.dsn
    async with create_store(store.dsn) as same:
        assert same.database == "2"
        assert await same.ping()
    dsn = store.dsn
    await store.close()
    with pytest.raises(ConnectionFailed):
        await create_store(dsn).ping()


async def test_start_store_starts_nothing_where_the_url_is_not_local() -> None:
    with pytest.raises(ConnectionFailed):
        await start_store("redis://192.0.2.1:6379", timeout=0.05)


async def test_no_secret_shows_in_reprs_logs_errors_or_pickles(
    network_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with create_store(network_url, password="hunter2-secret", username="default") as store:
        texts = [
            repr(store),
            repr(store.params),
            str(store.params),
            repr(vars(store)),
            pickle.dumps(store.params).decode("latin-1"),
        ]
        texts.append(pickle.dumps(store).decode("latin-1"))
        try:
            await store.ping()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not tell
            texts += [str(error), repr(error), repr(error.__cause__), *getattr(error, "__notes__", [])]
        with pytest.raises(DSNError, match="masked"):
            pickle.loads(pickle.dumps(store))
    texts.append(caplog.text)
    assert not any("hunter2" in text for text in texts)
