"""Store: its life, its parameters, and what is built on the operations of a backend."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from store_core import (
    DSN,
    Capability,
    Command,
    ConnectionFailed,
    DSNError,
    LoopError,
    Parameter,
    ReplyError,
    Store,
    StoreClosed,
    StoreError,
    TransactionAborted,
    UnknownBackend,
    Unsupported,
    create_store,
    data_stores,
    register_store,
    start_store,
)
from store_core.store import is_local

pytestmark = pytest.mark.usefixtures("memory")


class BareStore(Store):
    """A backend that can do nothing."""


@pytest.fixture
def bare():
    register_store("bare", BareStore)
    yield create_store("bare://")
    data_stores.unregister("bare")


# Creation and parameters.


def test_creating_a_store_does_no_io_and_needs_no_event_loop():
    store = create_store("memory://nobody.invalid:1/3")
    assert (store.name, store.database, store.encoding, store.namespace) == ("memory", "3", "utf-8", "")


def test_a_store_is_returned_as_it_is():
    store = create_store("memory://")
    assert create_store(store) is store
    with pytest.raises(TypeError, match="takes no parameters"):
        create_store(store, db=1)


def test_a_parsed_connection_string_does_as_well():
    assert create_store(DSN.parse("memory://h/2")).dsn == "memory://h/2"


@pytest.mark.parametrize(
    ("url", "keywords", "values", "dsn"),
    [
        ("memory://h?db=1", {"db": 2}, {"db": 2}, "memory://h?db=2"),
        ("memory://h/1", {"db": 2}, {"db": 2}, "memory://h?db=2"),
        ("memory://h/1", {"db": None}, {"db": 0}, "memory://h"),
        ("memory://h/1", {"timeout": 3}, {"db": 1, "timeout": 3.0}, "memory://h/1?timeout=3.0"),
        ("memory://h?timeout=3", {"timeout": None}, {"timeout": 5.0}, "memory://h"),
        ("memory://u:p@h", {"password": "q/@"}, {"username": "u", "password": "q/@"}, "memory://u:q%2F%40@h"),
        ("memory://u:p@h", {"password": None}, {"username": "u", "password": None}, "memory://u@h"),
        ("memory://u:p@h", {"username": "v"}, {"username": "v", "password": "p"}, "memory://v:p@h"),
        ("memory://u:p@h", {"username": ""}, {"username": "", "password": "p"}, "memory://:p@h"),
        ("memory://h?password=p", {"username": "u"}, {"username": "u", "password": "p"}, "memory://u:p@h"),
        ("memory://h", {"decode": True}, {"decode": True}, "memory://h?decode=true"),
        ("memory://h", {"api_token": "t&"}, {"api_token": "t&"}, "memory://h?api_token=t%26"),
    ],
)
def test_keywords_win_over_the_string_and_the_dsn_makes_the_same_store_again(url, keywords, values, dsn):
    store = create_store(url, **keywords)
    assert {name: store.params[name] for name in values} == values
    assert store.dsn == dsn
    again = create_store(store.dsn)
    assert (again.dsn, {**again.params, "username": None}) == (dsn, {**store.params, "username": None})
    assert (again.params["username"] or None) == (store.params["username"] or None)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("memory://h?timeot=5", "did you mean 'timeout'"),
        ("memory://h?db=x", "not a whole number"),
        ("memory://h/x", "not a whole number"),
        ("memory://h/1?db=2", "'db' is given as the path and, differently, as a parameter"),
        ("memory://u:p@h?password=q", "'password' is given before the '@' and, differently"),
        ("memory://a,b", "takes one host, not 2"),
        ("memory://h?mode=slow", "not one of fast, safe"),
    ],
)
def test_a_string_that_the_backend_cannot_use_is_refused(url, says):
    with pytest.raises(DSNError, match=says):
        create_store(url)


def test_saying_the_same_thing_twice_is_no_conflict():
    assert create_store("memory://u:p@h/3?db=3&password=p").database == "3"


def test_a_path_means_nothing_to_a_backend_without_databases(bare):
    with pytest.raises(DSNError, match="takes no path"):
        create_store("bare://h/3")
    assert create_store("bare://h/").database == ""


def test_a_keyword_that_no_backend_knows_is_refused_by_name():
    with pytest.raises(DSNError, match="did you mean 'namespace'"):
        create_store("memory://", namspace="x")


def test_an_unknown_scheme_is_refused():
    with pytest.raises(UnknownBackend, match="did you mean 'memory'"):
        create_store("memry://")


def test_for_dsn_chooses_the_class():
    class Plain(Store):
        @classmethod
        def for_dsn(cls, dsn):
            return Local if not dsn.hosts else cls

    class Local(Plain):
        pass

    register_store("forms", Plain)
    try:
        assert type(create_store("forms://")) is Local
        assert type(create_store("forms://h")) is Plain
    finally:
        data_stores.unregister("forms")


# Secrets.


@pytest.fixture
def secretive():
    return create_store("memory://me:hunter2@h:1/2?api_token=hunter3&namespace=n.")


def test_the_dsn_has_every_secret_and_nothing_else_has_one(secretive):
    assert secretive.dsn == "memory://me:hunter2@h:1/2?api_token=hunter3&namespace=n."
    assert repr(secretive) == "<MemoryStore memory://me:***@h:1/2?api_token=***&namespace=n.>"
    assert "hunter" not in repr(secretive.params)


async def test_the_errors_of_a_closed_store_have_no_secret(secretive):
    await secretive.close()
    with pytest.raises(StoreClosed, match=r"is closed; create another") as caught:
        secretive.transaction()
    assert "hunter" not in str(caught.value)


def test_a_pickle_carries_no_secret_and_says_so_when_it_is_opened(secretive):
    pickled = pickle.dumps(secretive)
    assert b"hunter" not in pickled
    with pytest.raises(DSNError, match="is masked"):
        pickle.loads(pickled)


def test_every_secret_that_a_pickle_left_out_is_named():
    store = create_store("memory://h", password="hunter1", api_token="hunter2")
    with pytest.raises(DSNError, match=r"'password' is masked, 'api_token' is masked.*pass password=…, api_token=…"):
        pickle.loads(pickle.dumps(store))


def test_a_store_without_secrets_survives_a_pickle():
    again = pickle.loads(pickle.dumps(create_store("memory://me@h:1/2?namespace=n.")))
    assert again.dsn == "memory://me@h:1/2?namespace=n."


@pytest.mark.parametrize("url", ["memory://me:***@h", "memory://h?password=***", "memory://h?api_token=***"])
def test_a_masked_string_is_refused_unless_the_secret_is_given(url):
    with pytest.raises(DSNError, match=r"'(password|api_token)' is masked.*pass (password|api_token)="):
        create_store(url)
    assert create_store(url, **{"api_token" if "token" in url else "password": "p"})


def test_a_pickled_dsn_is_refused_for_what_it_masked_out_of_caution():
    class Keyed(Store):
        parameters = (Parameter("tls_key_file"),)

    register_store("keyed", Keyed)
    try:
        with pytest.raises(DSNError, match="'tls_key_file' is masked"):
            create_store(pickle.loads(pickle.dumps(DSN.parse("keyed://h?tls_key_file=/k"))))
    finally:
        data_stores.unregister("keyed")


# Life.


async def test_closing_twice_closes_once():
    store = create_store("memory://")
    told = []
    store.on_close(lambda: told.append(store.closed))
    await store.close()
    await store.close()
    assert store.closed
    assert (store.closes, told) == (1, [True])


async def test_a_block_closes_the_store_at_its_end():
    async with create_store("memory://") as store:
        assert await store.execute("SET", "a", 1) == "OK"
    assert store.closed


async def test_a_closed_store_refuses_everything():
    store = create_store("memory://")
    await store.close()
    for use in (store.transaction, store.pipeline, store.pubsub, store.channels):
        with pytest.raises(StoreClosed):
            use()
    with pytest.raises(StoreClosed):
        await store.execute("GET", "a")
    with pytest.raises(StoreClosed):
        async with store:
            pass


async def test_a_callback_that_fails_on_close_hinders_no_other(caplog):
    store = create_store("memory://")
    told = []
    store.on_close(lambda: 1 / 0)
    store.on_close(lambda: told.append("second"))
    await store.close()
    assert told == ["second"]
    assert "ZeroDivisionError" in caplog.text


async def test_the_callbacks_run_even_when_the_backend_fails_to_close():
    store = create_store("memory://")
    told = []
    store.on_close(lambda: told.append(1))

    async def broken():
        raise ConnectionFailed("gone already")

    store._close = broken
    with pytest.raises(ConnectionFailed):
        await store.close()
    assert told == [1]
    await store.close()


def test_a_store_goes_on_in_a_new_event_loop_after_the_old_one_has_closed():
    store = create_store("memory://")
    asyncio.run(store.execute("SET", "a", 1))
    assert asyncio.run(store.execute("GET", "a")) == 1
    assert store.rebound == 2
    asyncio.run(store.close())


def test_two_live_event_loops_are_an_error_that_says_so():
    store = create_store("memory://")
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        first.run_until_complete(store.execute("SET", "a", 1))
        with pytest.raises(LoopError, match="another event loop that still lives; create a store for each loop"):
            second.run_until_complete(store.execute("GET", "a"))
        assert first.run_until_complete(store.execute("GET", "a")) == 1
        first.close()
        assert second.run_until_complete(store.execute("GET", "a")) == 1
    finally:
        first.close()
        second.close()


# What a backend lacks.


@pytest.mark.parametrize(
    ("capability", "use"),
    [
        (Capability.CONNECT, lambda store: store.connect()),
        (Capability.EXECUTE, lambda store: store.execute("GET", "a")),
        (Capability.TRANSACTIONS, lambda store: store.execute_transaction([])),
        (Capability.WATCH, lambda store: store.watch("a")),
        (Capability.FLUSH, lambda store: store.flush()),
        (Capability.DATABASES, lambda store: store.create_database("1")),
        (Capability.DATABASES, lambda store: store.delete_database("1")),
        (Capability.START, lambda store: store.start_server(DSN("bare"), store.params)),
        ("ping", lambda store: store.ping()),
    ],
)
async def test_an_operation_that_a_backend_lacks_names_the_capability(bare, capability, use):
    assert capability not in bare.capabilities
    with pytest.raises(Unsupported, match=f"^bare does not support {capability}") as caught:
        await use(bare)
    assert (caught.value.store, caught.value.capability) == ("bare", capability)


@pytest.mark.parametrize(("capability", "method"), [("pubsub", "pubsub"), ("pubsub", "channels"), ("client", "client")])
def test_an_object_that_a_backend_lacks_names_the_capability(bare, capability, method):
    with pytest.raises(Unsupported) as caught:
        getattr(bare, method)()
    assert caught.value.capability == capability


# Pipelines and transactions.


@pytest.mark.parametrize("kind", ["pipeline", "transaction"])
async def test_the_results_are_there_at_the_end_of_the_block(kind):
    async with create_store("memory://") as store:
        async with getattr(store, kind)() as block:
            block.execute("SET", "a", 1)
            block.execute("INCR", "a")
            assert block.results is None
            assert len(block) == 2
        assert block.results == ["OK", 2]


@pytest.mark.parametrize("kind", ["pipeline", "transaction"])
async def test_the_first_error_is_raised_and_names_its_command(kind):
    async with create_store("memory://") as store:
        with pytest.raises(ReplyError, match="not an integer") as caught:
            async with getattr(store, kind)() as block:
                block.execute("SET", "a", "secret")
                block.execute("INCR", "a")
                block.execute("NOPE")
        assert caught.value.__notes__ == ["in command 2 of 3 (INCR)"]
        assert "secret" not in repr(block.commands)
        assert [type(result).__name__ for result in block.results] == ["str", "ReplyError", "ReplyError"]


@pytest.mark.parametrize("kind", ["pipeline", "transaction"])
async def test_errors_stay_in_the_results_for_those_who_ask(kind):
    async with create_store("memory://") as store:
        async with getattr(store, kind)(raise_on_error=False) as block:
            block.execute("NOPE")
            block.execute("INCR", "a")
        assert isinstance(block.results[0], ReplyError)
        assert block.results[1] == 1


@pytest.mark.parametrize("kind", ["pipeline", "transaction"])
async def test_a_block_that_raises_runs_nothing(kind):
    async with create_store("memory://") as store:
        with pytest.raises(ZeroDivisionError):
            async with getattr(store, kind)() as block:
                block.execute("SET", "a", 1)
                block.execute("SET", "a", 1 / 0)
        assert await store.execute("GET", "a") is None
        assert block.results is None


@pytest.mark.parametrize("kind", ["pipeline", "transaction"])
async def test_an_empty_block_has_no_results(kind):
    async with create_store("memory://") as store:
        async with getattr(store, kind)() as block:
            pass
        assert block.results == []


@pytest.mark.parametrize("kind", ["pipeline", "transaction"])
@pytest.mark.parametrize("fails", [False, True])
async def test_a_block_that_has_ended_takes_no_more_commands_and_is_not_entered_again(kind, fails):
    async with create_store("memory://") as store:
        block = getattr(store, kind)()
        try:
            async with block:
                block.execute("INCR", "a")
                assert not fails
        except AssertionError:
            pass
        with pytest.raises(StoreError, match=f"this {kind} has ended; open another"):
            block.execute("INCR", "a")
        with pytest.raises(StoreError, match="has ended"):
            async with block:
                pass
        assert await store.execute("GET", "a") == (None if fails else 1)


async def test_a_watched_key_that_changes_aborts_the_transaction():
    async with create_store("memory://") as store:
        with pytest.raises(TransactionAborted):
            async with store.transaction(watch="a") as transaction:
                await store.execute("SET", "a", 1)
                transaction.execute("SET", "a", 2)
        assert await store.execute("GET", "a") == 1
        assert [watch.released for watch in store.watches] == [True]


async def test_a_watch_is_released_when_the_block_raises():
    async with create_store("memory://") as store:
        with pytest.raises(ZeroDivisionError):
            async with store.transaction(watch=["a", "b"]):
                raise ZeroDivisionError
        assert [watch.released for watch in store.watches] == [True]
        assert store.watches[0].versions.keys() == {"a", "b"}


async def test_transact_tries_again_until_no_key_changes_under_it():
    async with create_store("memory://") as store:
        attempts = []

        async def double(transaction):
            value = await store.execute("GET", "a") or 1
            attempts.append(value)
            if len(attempts) < 3:
                await store.execute("SET", "a", value + 1)
            transaction.execute("SET", "a", value * 2)
            transaction.execute("GET", "a")

        assert await store.transact(double, watch="a") == ["OK", 6]
        assert attempts == [1, 2, 3]
        assert all(watch.released for watch in store.watches)


async def test_transact_gives_up_after_its_retries():
    async with create_store("memory://") as store:
        attempts = []

        async def meddle(transaction):
            attempts.append(await store.execute("INCR", "a"))
            transaction.execute("GET", "a")

        with pytest.raises(TransactionAborted):
            await store.transact(meddle, watch="a", retries=2)
        assert attempts == [1, 2, 3]


async def test_transact_takes_a_plain_function_and_any_other_error_ends_it():
    async with create_store("memory://") as store:
        assert await store.transact(lambda transaction: transaction.execute("INCR", "a")) == [1]
        with pytest.raises(ReplyError):
            await store.transact(lambda transaction: transaction.execute("NOPE"))
        with pytest.raises(ValueError, match="retries is -1"):
            await store.transact(lambda transaction: None, retries=-1)


# start_store.


async def test_start_store_starts_nothing_where_somebody_answers(memory):
    async with await start_store("memory://") as store:
        assert await store.ping()
    assert memory.servers == []


async def test_start_store_starts_a_server_and_closing_the_store_stops_it(memory):
    store = await start_store("memory://me:pw@localhost:77", namespace="n.")
    assert store.dsn == "memory://me:pw@localhost:77?namespace=n."
    assert len(memory.servers) == 1
    assert memory.servers[0].stops == 0
    await store.close()
    await store.close()
    assert memory.servers[0].stops == 1


async def test_port_0_picks_a_port_and_the_dsn_has_it(memory):
    async with await start_store("memory://127.0.0.1:0") as store:
        assert store.dsn == "memory://127.0.0.1:4242"


async def test_nothing_is_started_on_another_machine(memory):
    with pytest.raises(ConnectionFailed):
        await start_store("memory://example.org:1")
    with pytest.raises(DSNError, match="port 0"):
        await start_store("memory://example.org:0")
    assert memory.servers == []


async def test_a_server_that_does_not_answer_is_stopped(memory, monkeypatch):
    started = memory.start_server

    async def deaf(dsn, params):
        server = await started(dsn, params)
        memory.up.discard(server.address)
        return server

    monkeypatch.setattr(memory, "start_server", deaf)
    with pytest.raises(ConnectionFailed):
        await start_store("memory://localhost:1")
    assert [server.stops for server in memory.servers] == [1]


async def test_a_backend_that_cannot_be_started_says_so(bare, monkeypatch):
    async def ping(self):
        raise ConnectionFailed("nobody answers")

    monkeypatch.setattr(BareStore, "ping", ping)
    with pytest.raises(Unsupported, match="bare does not support start: start the server by hand"):
        await start_store("bare://localhost")


@pytest.mark.parametrize("hosts", ["", "localhost", "LOCALHOST:1", "127.0.0.1", "127.8.8.8:2", "[::1]:3", ":4"])
def test_this_machine_is_local(hosts):
    assert is_local(DSN.parse(f"memory://{hosts}"))


@pytest.mark.parametrize("hosts", ["example.org", "10.0.0.1", "0.0.0.0", "[2001:db8::1]", "localhost,example.org"])
def test_another_machine_is_not_local(hosts):
    assert not is_local(DSN.parse(f"memory://{hosts}"))


def test_a_command_is_named_by_its_first_word_and_never_by_what_may_be_secret():
    assert Command(("GET", "a")).name == Command((b"GET", "a")).name == "GET"
    assert Command((" INSERT INTO users VALUES ('secret')",)).name == "INSERT"
    assert "secret" not in repr(Command(("INSERT INTO users VALUES ('secret')",)))
    assert Command(()).name == Command(("",)).name == ""
