"""Every method of redis-py answers through ``store.client()`` what it answers through redis-py's own client.

Both clients call one real Valkey, one after the other, each on the same preparation; replies are compared with their
types, errors with their classes and texts. For RESP2, RESP3 and redis-py's default, with replies as bytes and as text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions
from tests.client.cases import Call, Family, typed
from tests.client.data_cases import DATA
from tests.client.server_cases import SERVER

from store_core import create_store

FAMILIES = DATA + SERVER

Client = redis.asyncio.Redis

pytestmark = [
    pytest.mark.filterwarnings("ignore:Call to deprecated"),
    pytest.mark.filterwarnings("ignore:.*experimental"),
]


@pytest.fixture(params=[None, 2, 3], ids=["default", "RESP2", "RESP3"])
def protocol(request: pytest.FixtureRequest) -> int | None:
    return request.param


@pytest.fixture(params=[False, True], ids=["bytes", "text"])
def decode(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
async def clients(own_valkey: str, protocol: int | None, decode: bool) -> AsyncIterator[tuple[Client, Client]]:
    """redis-py's own client and the store's."""
    named = {} if protocol is None else {"protocol": protocol}
    async with (
        create_store(own_valkey, decode_responses=decode, **named) as store,
        redis.asyncio.Redis.from_url(own_valkey, decode_responses=decode, **named) as theirs,
    ):
        yield theirs, store.client()


async def outcome(client: Client, call: Call) -> Any:
    """The reply, with its types, or the error."""
    try:
        reply = getattr(client, call.method)(*call.args, **call.options)
        reply = [part async for part in reply] if hasattr(reply, "__aiter__") else await reply
    except (redis.exceptions.RedisError, NotImplementedError) as error:
        return error
    return call.normal(reply) if call.normal else typed(reply)


async def prepared(client: Client, given: list[Call], call: Call) -> Any:
    await client.flushall()
    for step in given:
        result = await outcome(client, step)
        assert not isinstance(result, Exception), f"{step}: {result}"
    return await outcome(client, call)


def differs(theirs: Any, ours: Any) -> bool:
    if isinstance(theirs, Exception):
        return not isinstance(ours, type(theirs)) or str(ours) != str(theirs) or ours.args != theirs.args
    return bool(theirs != ours)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
async def test_every_method_answers_the_same(clients: tuple[Client, Client], family: Family) -> None:
    theirs, ours = clients
    differences = []
    for call in family.calls:
        expected, got = await prepared(theirs, family.given, call), await prepared(ours, family.given, call)
        if differs(expected, got):
            differences.append(f"{call}\n  redis-py: {expected!r}\n  store:    {got!r}")
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("family", DATA, ids=lambda family: family.name)
async def test_a_cache_changes_no_answer(own_valkey: str, family: Family) -> None:
    differences = []
    async with (
        create_store(own_valkey, protocol=3, cache=1000) as store,
        redis.asyncio.Redis.from_url(own_valkey, protocol=3) as theirs,
    ):
        for call in family.calls:
            expected = await prepared(theirs, family.given, call), await outcome(theirs, call)
            got = await prepared(store.client(), family.given, call), await outcome(store.client(), call)
            differences += [f"{call}: {pair}" for pair in zip(expected, got, strict=True) if differs(*pair)]
    assert not differences, "\n".join(differences)


async def test_there_are_more_than_two_hundred_and_fifty_methods_and_they_answer(
    own_valkey: str, record_property: Callable[[str, object], None]
) -> None:
    answered, tried = set(), set()
    async with create_store(own_valkey) as store:
        for family in FAMILIES:
            for call in family.calls:
                tried.add(call.method)
                if call.method not in answered:
                    result = await prepared(store.client(), family.given, call)
                    if not isinstance(result, Exception):
                        answered.add(call.method)
    record_property("methods", f"{len(answered)} answered, {len(tried)} tried")
    assert len(answered) >= 250, f"only {len(answered)}; refused: {sorted(tried - answered)}"
