"""A client of a store with a namespace sees what redis-py's own client sees on a server without others.

The calls of ``data_cases`` run through ``store.client()`` in a namespace, and through plain redis-py; every call in
three ways: alone, in a pipeline, and while a key is watched. The replies must be the same, and every key on the server
must have the prefix.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions
from tests.client.cases import Call, Family, typed, unordered
from tests.client.data_cases import DATA

from store_core import Unsupported, create_store

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


WAYS = [alone, in_a_pipeline, in_a_transaction, while_watching]


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
        if call.method in ELSEWHERE or (way is not alone and call.method.endswith("_iter")):
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
