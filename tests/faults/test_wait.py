"""``WAIT`` and ``WAITAOF`` from any caller: they wait for every write that was answered before, whoever made it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Killable

from store_core import ReplyError, Store, create_store

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def replicated(tmp_path: Path) -> AsyncIterator[tuple[Store, Killable]]:
    """A store on a primary, and its replica."""
    folders = [tmp_path / name for name in ("primary", "replica")]
    for folder in folders:
        folder.mkdir()
    primary, replica = (Killable("redis", folder) for folder in folders)
    primary.start()
    replica.start()
    try:
        async with create_store(primary.url) as store, create_store(replica.url) as other:
            await other.execute("REPLICAOF", "127.0.0.1", primary.port)
            await eventually(lambda: _is_online(store), 30)
            yield store, replica
    finally:
        replica.kill()
        primary.kill()


async def _is_online(store: Store) -> bool:
    return b"state=online" in await store.execute("INFO", "replication")


async def test_wait_counts_the_replicas_that_have_what_was_written_before(
    replicated: tuple[Store, Killable],
) -> None:
    store, replica = replicated
    await store.execute("SET", "a", 1)
    assert await store.execute("WAIT", 1, 10_000) == 1
    replica.send_signal(signal.SIGSTOP)
    await store.execute("SET", "a", 2)
    for _ in range(3):  # on a connection that has waited before, too
        assert await store.execute("WAIT", 1, 50) == 0
    waiting = asyncio.create_task(store.execute("WAIT", 1, 10_000))
    await asyncio.sleep(0.1)
    assert await store.ping(), "others are not held up"
    assert not waiting.done()
    replica.send_signal(signal.SIGCONT)
    assert await waiting == 1


async def test_wait_disturbs_no_subscriber(replicated: tuple[Store, Killable]) -> None:
    store, _ = replicated
    async with store.pubsub() as pubsub:
        await pubsub.psubscribe("*")
        await store.execute("WAIT", 1, 1000)
        await store.execute("PUBLISH", "channel", "x")
        assert (await anext(aiter(pubsub))).channel == "channel"


async def test_waitaof_waits_for_the_disk(replicated: tuple[Store, Killable]) -> None:
    store, _ = replicated
    await store.execute("CONFIG", "SET", "appendonly", "yes")
    await store.execute("SET", "a", 1)
    assert await store.execute("WAITAOF", 1, 0, 20_000) == [1, 0]


async def test_a_user_who_may_not_mark_the_place_is_told_and_gets_no_number(
    replicated: tuple[Store, Killable],
) -> None:
    store, _ = replicated
    await store.execute("ACL", "SETUSER", "weak", "on", ">pw", "~*", "+@all", "resetchannels")
    async with create_store(store.dsn, username="weak", password="pw", namespace="n.") as weak:
        with pytest.raises(ReplyError, match="NOPERM") as caught:
            await weak.execute("WAIT", 1, 100)
        assert "store.connect()" in caught.value.__notes__[0]
        await store.execute("ACL", "SETUSER", "weak", "&n.*")
        assert await weak.execute("WAIT", 1, 10_000) == 1
