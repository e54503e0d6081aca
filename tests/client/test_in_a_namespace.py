"""A client of a store with a namespace sees what redis-py's own client sees on a server without others.

The calls of ``data_cases`` run through ``store.client()`` in a namespace, and through plain redis-py: alone, in a
pipeline, in a transaction, while a key is watched, and on a connection of its own. The replies must be the same, and
every key on the server must have the prefix.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions
from tests.client.cases import Call, Family, typed, unordered
from tests.client.data_cases import DATA

from store_core import Unsupported, create_store
from store_redis.namespace import BEYOND

Client = redis.asyncio.Redis

PREFIX = "n[s]:"

#: Calls whose replies are about the server as a whole, or measure a key with its name.
ELSEWHERE = {"memory_usage", "migrate", "debug_object"}

#: Calls that a namespace refuses.
REFUSED = {"flushall", "flushdb", "randomkey", "swapdb"}

pytestmark = [
    pytest.mark.filterwarnings("ignore:Call to deprecated"),
    pytest.mark.filterwarnings("ignore:.*experimental"),
]


@pytest.fixture(params=[(2, False), (3, True)], ids=["RESP2-bytes", "RESP3-text"])
async def clients(own_valkey: str, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Client, Client]]:
    """redis-py's own client, and the store's in a namespace."""
    protocol, decode = request.param
    named = {"protocol": protocol, "decode_responses": decode}
    async with (
        create_store(own_valkey, namespace=PREFIX, **named) as store,
        redis.asyncio.Redis.from_url(own_valkey, **named) as theirs,
    ):
        yield theirs, store.client()


async def alone(client: Client, call: Call) -> Any:
    reply = getattr(client, call.method)(*call.args, **call.options)
    return [part async for part in reply] if hasattr(reply, "__aiter__") else await reply


async def in_a_pipeline(client: Client, call: Call) -> Any:
    async with client.pipeline(transaction=False) as pipe:
        getattr(pipe, call.method)(*call.args, **call.options)
        return (await pipe.execute())[0]


async def in_a_transaction(client: Client, call: Call) -> Any:
    async with client.pipeline(transaction=True) as pipe:
        getattr(pipe, call.method)(*call.args, **call.options)
        return (await pipe.execute())[0]


async def while_watching(client: Client, call: Call) -> Any:
    async with client.pipeline() as pipe:
        await pipe.watch("other")
        return await getattr(pipe, call.method)(*call.args, **call.options)


async def on_one_connection(client: Client, call: Call) -> Any:
    async with client.client() as single:
        return await alone(single, call)


WAYS = [alone, in_a_pipeline, in_a_transaction, while_watching, on_one_connection]


async def outcome(client: Client, way: Any, call: Call) -> Any:
    try:
        reply = await way(client, call)
    except (redis.exceptions.ResponseError, redis.exceptions.DataError) as error:
        if "unknown command" in str(error):
            return Unsupported  # in a namespace it is not even sent
        kind = next(kind for kind in type(error).__mro__ if kind.__module__ == "redis.exceptions")
        # The server's words name the key as it knows it.
        return kind, str(error).replace(PREFIX, "")
    except Unsupported:
        return Unsupported
    normal = call.normal
    return normal(reply) if normal else unordered(reply) if isinstance(reply, set) else typed(reply)


async def prepared(plain: Client, client: Client, given: list[Call], way: Any, call: Call) -> Any:
    await plain.flushall()
    for step in given:
        await alone(client, step)
    return await outcome(client, way, call)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("family", DATA, ids=lambda family: family.name)
async def test_the_namespace_is_not_seen(clients: tuple[Client, Client], family: Family, way: Any) -> None:
    theirs, ours = clients
    differences = []
    for call in family.calls:
        if call.method in ELSEWHERE or (way not in (alone, on_one_connection) and call.method.endswith("_iter")):
            continue
        if call.method == "dump" and way is in_a_transaction:
            continue  # redis-py cannot read it where replies are text
        got = await prepared(theirs, ours, family.given, way, call)
        outside = [key for key in await theirs.keys() if key[:5] not in (PREFIX, PREFIX.encode())]
        expected = Unsupported
        if call.method not in REFUSED:
            expected = await prepared(theirs, theirs, family.given, way, call)
        if outside or got != expected:
            differences.append(f"{call}\n  redis-py: {expected!r}\n  store:    {got!r}\n  outside:  {outside}")
    assert not differences, "\n".join(differences)


async def test_keyspace_notifications_are_of_the_namespace(clients: tuple[Client, Client]) -> None:
    theirs, ours = clients
    await theirs.config_set("notify-keyspace-events", "KA")
    try:
        async with ours.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.psubscribe("__keyspace@0__:k*")
            await pubsub.get_message(timeout=10)
            await theirs.set("k1", "outside")
            await ours.set("k2", "inside")
            message = None
            while message is None:
                message = await pubsub.get_message(timeout=1)
            names = (message["pattern"], message["channel"], message["data"])
            assert [name if isinstance(name, str) else name.decode() for name in names] == [
                "__keyspace@0__:k*",
                "__keyspace@0__:k2",
                "set",
            ]
            with pytest.raises(Unsupported, match="every key"):
                await pubsub.subscribe("__keyevent@0__:set")
    finally:
        await theirs.config_set("notify-keyspace-events", "")


def test_the_page_names_what_is_refused() -> None:
    page = (Path(__file__).parents[2] / "docs" / "namespaces.md").read_text()
    assert [name for name in BEYOND if f"`{name}`" not in page] == []
