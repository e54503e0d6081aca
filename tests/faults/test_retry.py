"""What is sent again, and what is not: by default only what certainly did not run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Killable, Through
from tests.faults.proxy import Fault

from store_core import (
    Command,
    ConnectionFailed,
    ConnectionLost,
    DSNError,
    ReplyError,
    Store,
    StoreError,
    Timeout,
    create_store,
)
from store_redis import node, retry

pytestmark = pytest.mark.timeout(120)

#: So large that a server which loads it looks at its clients after each.
VALUE = bytes(2000)

MODES = ("never", "reads", "all")


@pytest.fixture
async def counter(server_url: str) -> AsyncIterator[Store]:
    """A store on the server itself, to see what ran; emptied."""
    async with create_store(server_url) as direct:
        await direct.flush()
        yield direct


# The connection is lost after the command was written.


@pytest.mark.parametrize("mode", MODES)
async def test_a_write_whose_connection_was_lost_is_repeated_only_when_all_are(
    proxy: Through, counter: Store, mode: str
) -> None:
    async with create_store(proxy.url, retry=mode) as store:
        await store.ping()
        proxy.connections[-1].cut_after(0)  # it runs, and its reply is cut off
        if mode == "all":
            assert await store.execute("INCR", "count") == 2
        else:
            with pytest.raises(ConnectionLost):
                await store.execute("INCR", "count")
        assert await counter.execute("GET", "count") == (b"2" if mode == "all" else b"1")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("namespace", ["", "n."])
async def test_a_read_whose_connection_was_lost_is_repeated_when_reads_are(
    proxy: Through, counter: Store, mode: str, namespace: str
) -> None:
    await counter.execute("SET", f"{namespace}key", "value")
    async with create_store(proxy.url, retry=mode, namespace=namespace) as store:
        assert await store.execute("GET", "key") == b"value"
        for read in (("GET", "key"), ("OBJECT", "ENCODING", "key"), ("strlen", "key")):
            await store.ping()
            proxy.cut_all_after(0)
            if mode == "never":
                with pytest.raises(ConnectionLost):
                    await store.execute(*read)
            else:
                assert await store.execute(*read) in (b"value", b"embstr", 5)


async def test_a_read_of_redis_pys_client_is_repeated_too(proxy: Through, counter: Store) -> None:
    await counter.execute("SET", "key", "value")
    async with create_store(proxy.url, retry="reads") as store:
        client = store.client()
        await client.ping()
        proxy.cut_all_after(0)
        assert await client.get("key") == b"value"
        proxy.cut_all_after(0)
        with pytest.raises(ConnectionLost):
            await client.set("key", "other")


@pytest.mark.parametrize("transaction", [False, True], ids=["pipeline", "transaction"])
async def test_commands_that_travel_together_are_repeated_together_or_not_at_all(
    proxy: Through, counter: Store, transaction: bool
) -> None:
    async def run(store: Store, *commands: Command) -> list[Any]:
        await store.ping()
        proxy.cut_all_after(0)
        return await (store.execute_transaction if transaction else store.execute_pipeline)(commands)

    await counter.execute("SET", "key", "value")
    get, incr = Command(("GET", "key")), Command(("INCR", "count"))
    async with create_store(proxy.url, retry="reads") as store:
        assert await run(store, get, get) == [b"value", b"value"]
        with pytest.raises(ConnectionLost):
            await run(store, get, incr)
        assert await counter.execute("GET", "count") == b"1"
    async with create_store(proxy.url, retry="all") as store:
        assert await run(store, get, incr) == [b"value", 3]


async def test_a_transaction_that_watches_is_never_repeated(proxy: Through, counter: Store) -> None:
    async with create_store(proxy.url, retry="all") as store:
        with pytest.raises(ConnectionLost):
            async with store.transaction(watch=["watched"]) as transaction:
                transaction.execute("INCR", "count")
                proxy.cut_all_after(0)
        assert await counter.execute("GET", "count") == b"1"


async def test_nothing_is_repeated_on_a_connection_of_ones_own(proxy: Through, counter: Store) -> None:
    async with create_store(proxy.url, retry="all") as store, await store.connect() as connection:
        proxy.cut_all_after(0)
        with pytest.raises(ConnectionLost):
            await connection.execute("GET", "key")


async def test_a_command_that_may_have_run_is_never_reported_as_not_sent(proxy: Through, counter: Store) -> None:
    async with create_store(proxy.url, retry="all", retries=2) as store:
        await store.ping()
        proxy.deafen()
        proxy.connections[-1].cut_after(0)
        with pytest.raises(ConnectionLost) as caught:
            await store.execute("INCR", "count")
        assert "cannot connect" in "".join(caught.value.__notes__)
    assert await counter.execute("GET", "count") == b"1"


async def test_a_timeout_is_not_repeated(proxy: Through, counter: Store) -> None:
    async with create_store(proxy.url, retry="all", timeout=0.2) as store:
        await store.ping()
        proxy.connections[-1].hold(to_server=False)
        with pytest.raises(Timeout):
            await store.execute("INCR", "count")
        assert await counter.execute("GET", "count") == b"1"


async def test_a_server_that_tells_no_flags_has_nothing_repeated(valkey_url: str) -> None:
    async with create_store(valkey_url) as admin, Through(valkey_url) as proxy:
        await admin.execute("ACL", "SETUSER", "blind", "on", ">pw", "~*", "+@all", "-command")
        async with create_store(proxy.url, retry="reads", username="blind", password="pw") as store:
            await store.ping()
            proxy.cut_all_after(0)
            with pytest.raises(ConnectionLost):
                await store.execute("GET", "key")
        await admin.execute("ACL", "DELUSER", "blind")


async def test_closing_the_store_repeats_nothing(proxy: Through, counter: Store) -> None:
    store = create_store(proxy.url, retry="all", retries=1000, timeout=60)
    await store.ping()
    proxy.connections[-1].hold()
    waiting = asyncio.create_task(store.execute("INCR", "count"))
    await asyncio.sleep(0.02)
    await store.close()
    with pytest.raises(ConnectionLost):
        await waiting


async def test_what_fills_the_cache_and_what_empties_it_is_repeated_too(valkey_url: str) -> None:
    async with create_store(valkey_url) as direct, Through(valkey_url) as proxy:
        await direct.flush()
        await direct.execute("SET", "key", "value")
        async with create_store(proxy.url, retry="reads", cache=100) as store:
            await store.ping()
            proxy.cut_all_after(0)
            assert await store.execute("GET", "key") == b"value"
            assert await store.execute("GET", "key") == b"value"
            proxy.cut_all_after(0)
            with pytest.raises(ConnectionLost):
                await store.execute("SET", "key", "other")
            assert await store.execute("GET", "key") == b"other"
            waiting = asyncio.create_task(store.execute("SET", "key", "third"))
            await asyncio.sleep(0)
            assert store._node.links[0]._unsent
            store._node.links[0].close()
            assert await waiting == b"OK"
            assert await store.execute("GET", "key") == b"third"


# Nobody answers.


@pytest.mark.parametrize(("mode", "attempts"), [("never", 1), ("reads", 4), ("all", 4)])
async def test_a_server_that_is_away_is_called_as_often_as_the_policy_says(
    proxy: Through, mode: str, attempts: int
) -> None:
    proxy.default = Fault(refuse=True)
    async with create_store(proxy.url, retry=mode, retries=3) as store:
        with pytest.raises(ConnectionFailed):
            await store.execute("SET", "key", 1)
        assert proxy.accepted == attempts


async def test_callers_who_come_during_an_outage_are_served_after_it(proxy: Through, counter: Store) -> None:
    async with create_store(proxy.url, retry="reads", retries=50) as store:
        await store.ping()
        proxy.deafen()
        proxy.cut_all()
        await eventually(lambda: not store._node.links)
        waiting = [asyncio.create_task(store.execute("INCR", "count")) for _ in range(50)]
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in waiting)
        await proxy.listen()
        assert sorted(await asyncio.gather(*waiting)) == list(range(1, 51))


async def test_the_time_of_a_call_covers_its_repetitions(proxy: Through) -> None:
    proxy.default = Fault(refuse=True)
    async with create_store(proxy.url, retry="all", retries=1000) as store:
        with pytest.raises(Timeout):
            await store.execute("GET", "key", timeout=0.3)
    async with create_store(proxy.url, retry="all", retries=1000, timeout=0.3) as store:
        async with asyncio.timeout(20):
            with pytest.raises(ConnectionFailed):
                await store.execute("GET", "key")


# The connection was good, and broke before the command was written.


@pytest.mark.parametrize("connections", [1, 2])
async def test_what_was_queued_and_not_written_is_sent_on_the_next_connection(
    proxy: Through, counter: Store, connections: int
) -> None:
    async with create_store(proxy.url, connections=connections) as store:
        await store.ping()
        waiting: list[asyncio.Task[Any]] = [
            asyncio.create_task(store.execute("INCR", "count")),
            asyncio.create_task(store.execute_pipeline([Command(("INCR", "count"))] * 3)),
            asyncio.create_task(store.execute_transaction([Command(("INCR", "count"))] * 3)),
        ]
        await asyncio.sleep(0)
        assert sum(link.load() for link in store._node.links) == 1 + 3 + 5
        for link in tuple(store._node.links):
            assert not link.load() or link._unsent
            link.close()
        await asyncio.gather(*waiting)
        assert await counter.execute("GET", "count") == b"7"


async def test_what_was_not_written_when_the_store_closes_is_not_sent_again(server_url: str, counter: Store) -> None:
    store = create_store(server_url)
    await store.ping()
    waiting = asyncio.create_task(store.execute("INCR", "count"))
    await asyncio.sleep(0)
    assert store._node.links[0]._unsent
    closing = asyncio.create_task(store.close())
    with pytest.raises(ConnectionFailed):
        await waiting
    await closing
    assert await counter.execute("GET", "count") in (None, b"1")


# The server refuses for now.


@pytest.fixture
def loading(tmp_path: Path) -> Iterator[Loading]:
    """A server whose data takes about a second to load."""
    with Loading(tmp_path) as server:
        yield server


class Loading:
    """Starts a Valkey that loads slowly."""

    def __init__(self, directory: Path) -> None:
        self._server = Killable("redis", directory)
        self._slow = [
            *self._server._command,
            "--key-load-delay",
            "3000",
            "--loading-process-events-interval-bytes",
            "1024",
        ]
        self.url = self._server.url

    def __enter__(self) -> Loading:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()

    def restart(self) -> None:
        """Kill it and start it again; it loads its data for a while."""
        self._server.kill()
        self._server._command = self._slow
        self._server.start()


async def test_callers_wait_while_the_server_loads_its_data(loading: Loading) -> None:
    async with create_store(loading.url, timeout=30) as store:
        await _fill(store)
        loading.restart()
        async with create_store(loading.url, timeout=0.5) as hasty:
            with pytest.raises(ReplyError, match=r"^LOADING"):
                await hasty.execute("GET", "key:1")
        results = await asyncio.gather(
            store.execute("GET", "key:1"),
            store.execute_pipeline([Command(("GET", "key:2")), Command(("INCR", "count"))]),
            store.execute_transaction([Command(("GET", "key:3")), Command(("INCR", "count"))]),
            store.execute("BLPOP", "list", 1),
            store.client().get("key:4"),
        )
        assert results[0] == results[4] == VALUE
        assert {results[1][1], results[2][1]} == {1, 2}
        assert results[3] == [b"list", b"element"]


async def _fill(store: Store) -> None:
    await store.execute("CONFIG", "SET", "rdbcompression", "no")
    await store.execute_pipeline([Command(("SET", f"key:{number}", VALUE)) for number in range(700)])
    await store.execute("RPUSH", "list", "element")
    await store.execute("SAVE")


async def test_a_pipeline_of_which_anything_ran_is_not_sent_again(valkey_url: str) -> None:
    refused = ("EVAL", "return redis.error_reply('LOADING soon')", 0)
    async with create_store(valkey_url, retry="all", timeout=0.2) as store:
        await store.flush()
        results = await store.execute_pipeline([Command(refused), Command(("INCR", "count"))])
        assert isinstance(results[0], ReplyError)
        assert results[1] == 1
        all_refused = await store.execute_pipeline([Command(refused)] * 2)
        assert [result.code for result in all_refused] == ["LOADING"] * 2


@pytest.fixture
async def pair(
    valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Through, Store, Store]]:
    """A proxy that leads to the first of two servers, and both of them; links may be given up at any age."""
    monkeypatch.setattr(node, "KEPT", 0.0)
    other = Killable("redis", tmp_path)
    other.start()
    try:
        async with Through(other.url) as proxy, create_store(other.url) as old, create_store(valkey_url) as new:
            await new.flush()
            yield proxy, old, new
    finally:
        other.kill()


async def _fail_over(proxy: Through, old: Store, new: Store) -> None:
    host = new._dsn.hosts[0]
    await old.execute("REPLICAOF", host.name, host.port)
    await old.execute("CONFIG", "SET", "replica-serve-stale-data", "yes")
    proxy._target = (host.name, host.port)


async def test_after_a_failover_the_new_primary_is_found(pair: tuple[Through, Store, Store]) -> None:
    proxy, old, new = pair
    async with create_store(proxy.url) as store:
        await store.execute("SET", "a", 0)
        await asyncio.gather(*(store.execute("BLPOP", "none", 0.01) for _ in range(3)))
        await _fail_over(proxy, old, new)
        before = proxy.accepted
        assert await asyncio.gather(*(store.execute("INCR", "count") for _ in range(100))) == list(range(1, 101))
        assert proxy.accepted == before + 1
        await store.execute("RPUSH", "list", 1, 2)
        assert await store.execute("BLPOP", "list", 0) == [b"list", b"1"]
        assert (await store.execute_transaction([Command(("INCR", "count"))])) == [101]
        assert await new.execute("GET", "count") == b"101"
        await eventually(lambda: not store._node._leaving)


async def test_callers_on_a_connection_that_is_given_up_are_served(pair: tuple[Through, Store, Store]) -> None:
    proxy, old, new = pair
    async with create_store(proxy.url) as store:
        await store.execute("ECHO", "x")
        await _fail_over(proxy, old, new)
        proxy.connections[-1].hold()
        early = [asyncio.create_task(store.execute("ECHO", number)) for number in range(20)]
        writes = [asyncio.create_task(store.execute("INCR", "count")) for _ in range(20)]
        late = [asyncio.create_task(store.execute("ECHO", number)) for number in range(20)]
        await asyncio.sleep(0.02)
        proxy.connections[-1].release()
        assert await asyncio.gather(*early, *late) == [b"%d" % number for number in range(20)] * 2
        assert sorted(await asyncio.gather(*writes)) == list(range(1, 21))


async def test_a_server_that_is_a_replica_on_purpose_says_so(
    pair: tuple[Through, Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, old, new = pair
    host = new._dsn.hosts[0]
    await old.execute("REPLICAOF", host.name, host.port)
    async with create_store(proxy.url) as store:
        with pytest.raises(ReplyError, match=r"^READONLY"):
            await store.execute("SET", "a", 1)
        monkeypatch.setattr(node, "KEPT", 3600.0)
        before = proxy.accepted
        for _ in range(20):
            with pytest.raises(ReplyError, match=r"^READONLY"):
                await store.execute("SET", "a", 1)
        assert proxy.accepted == before


async def test_a_busy_server_is_the_callers_to_judge_unless_retry_says_to_try_again(tmp_path: Path) -> None:
    server = Killable("redis", tmp_path)
    server.start()
    try:
        async with (
            create_store(server.url, timeout=30) as store,
            create_store(server.url, retry="reads", retries=1000, timeout=30) as trying,
        ):
            await store.execute("CONFIG", "SET", "busy-reply-threshold", 1)
            await trying.ping()
            running = asyncio.create_task(_script(store))
            await eventually(lambda: _is_busy(store))
            with pytest.raises(ReplyError, match=r"^BUSY"):
                await store.execute("GET", "a")
            waiting = asyncio.create_task(trying.execute("INCR", "count"))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            assert await store.execute("SCRIPT", "KILL") == b"OK"
            assert await waiting == 1
            await running
    finally:
        server.kill()


async def _script(store: Store) -> None:
    async with await store.connect() as connection:
        with suppress(ReplyError):
            await connection.execute("EVAL", "while true do end", 0)


async def _is_busy(store: Store) -> bool:
    try:
        await store.execute("GET", "a")
    except ReplyError as error:
        return error.code == "BUSY"
    return False


@pytest.mark.parametrize("code", ["TRYAGAIN", "CLUSTERDOWN"])
async def test_what_the_server_could_not_do_now_is_tried_again_only_if_asked_for(valkey_url: str, code: str) -> None:
    script = f"if redis.call('INCR', 'tries') < 3 then return redis.error_reply('{code} later') end return 'done'"
    async with create_store(valkey_url) as store:
        await store.flush()
        with pytest.raises(ReplyError, match=f"^{code}"):
            await store.execute("EVAL", script, 0)
        assert await store.execute("GET", "tries") == b"1"
    async with create_store(valkey_url, retry="reads") as store:
        assert await store.execute("EVAL", script, 0) == b"done"
        assert await store.execute("GET", "tries") == b"3"


@pytest.mark.parametrize("code", ["MOVED", "ASK"])
async def test_a_redirection_says_that_the_server_is_a_clusters(valkey_url: str, code: str) -> None:
    async with create_store(valkey_url, retry="all") as store:
        await store.ping()
        with pytest.raises(ReplyError, match=f"^{code} 3999") as caught:
            await store.execute("EVAL", f"return redis.error_reply('{code} 3999 127.0.0.1:6381')", 0)
        assert "redis+cluster://" in caught.value.__notes__[0]


async def test_an_ordinary_error_is_not_repeated(valkey_url: str) -> None:
    async with create_store(valkey_url, retry="all") as store:
        await store.flush()
        with pytest.raises(ReplyError, match=r"^MINE"):
            await store.execute("EVAL", "redis.call('INCR', 'tries') return redis.error_reply('MINE alone')", 0)
        assert await store.execute("GET", "tries") == b"1"


async def test_a_server_killed_again_and_again_costs_readers_nothing(killable: Killable) -> None:
    """With ``retry=reads`` and enough attempts every read is answered, whatever happens to the server."""
    done = False
    answered = 0

    async def read(store: Store) -> None:
        nonlocal answered
        while not done:
            assert await store.execute("GET", "none") is None
            answered += 1

    async with create_store(killable.url, retry="reads", retries=1000, timeout=60) as store:
        readers = [asyncio.create_task(read(store)) for _ in range(20)]
        for _ in range(3):
            before = answered
            await eventually(lambda before=before: answered > before + 100, 30)
            await asyncio.to_thread(killable.kill)
            await asyncio.to_thread(killable.start)
        before = answered
        await eventually(lambda: answered > before + 100, 30)
        done = True
        await asyncio.gather(*readers)


def test_a_policy_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DSNError, match="never, reads, all"):
        create_store("redis://127.0.0.1?retry=sometimes")


async def test_pauses_grow_and_differ(monkeypatch: pytest.MonkeyPatch, server_url: str) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(retry.asyncio, "sleep", noted)
    async with create_store("redis://127.0.0.1:1", retry="all", retries=9) as store:
        with pytest.raises(StoreError):
            await store.ping()
    monkeypatch.undo()
    assert len(pauses) == 8  # the first repetition follows at once
    assert all(pause <= retry.LONGEST_PAUSE for pause in pauses)
    assert retry.LONGEST_PAUSE / 2 <= pauses[-1] != pauses[-2]
    assert pauses[0] <= retry.FIRST_PAUSE < pauses[3]
