"""Every shape of reply, broken at every byte: the callers before the fault have their replies, no one has another's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.faults.conftest import Through
from tests.faults.proxy import Fault

from store_core import ConnectionFailed, ConnectionLost, ReplyError, Store, StoreClosed, create_store

BIG = bytes(range(256)) * 400

#: A question for each shape of reply, those of RESP3 among them.
QUESTIONS = {
    "simple string": ("SET", "shape:text", "hello"),
    "bulk": ("ECHO", "one"),
    "bulk with line ends": ("ECHO", "\r\n$3\r\n"),
    "empty bulk": ("ECHO", ""),
    "nil": ("GET", "shape:nothing"),
    "error": ("STRLEN", "shape:hash"),
    "integer": ("STRLEN", "shape:text"),
    "array": ("MGET", "shape:text", "shape:nothing"),
    "empty array": ("LRANGE", "shape:nothing", 0, -1),
    "map": ("HGETALL", "shape:hash"),
    "set": ("SMEMBERS", "shape:set"),
    "double": ("ZSCORE", "shape:sorted", "m"),
    "nested": ("ZRANGE", "shape:sorted", 0, -1, "WITHSCORES"),
    "last": ("ECHO", "last"),
}

#: No reply begins like this, and it is longer than any reply: where it stands in one, what follows it is no reply.
GARBAGE = b"\xff" * 100


class Replies:
    """The replies of QUESTIONS on one store, and where each ends in the server's stream."""

    def __init__(self) -> None:
        self.expected: list[Any] = []
        self.ends: list[int] = []

    async def learn(self, store: Store, proxy: Through) -> None:
        await store.execute("DEL", "shape:nothing", "shape:hash", "shape:set", "shape:sorted")
        await store.execute("HSET", "shape:hash", "f", "v")
        await store.execute("SADD", "shape:set", "m")
        await store.execute("ZADD", "shape:sorted", 1.5, "m")
        start = proxy.connections[-1].passed
        for question in QUESTIONS.values():
            self.expected += await asyncio.gather(store.execute(*question), return_exceptions=True)
            self.ends.append(proxy.connections[-1].passed - start)
        assert isinstance(self.expected[list(QUESTIONS).index("error")], ReplyError)

    def check(self, outcomes: list[Any], offset: int, fault: str) -> None:
        start = 0
        for name, expected, outcome, end in zip(QUESTIONS, self.expected, outcomes, self.ends, strict=True):
            if fault == "end":
                right = same(outcome, expected) if end <= offset else isinstance(outcome, ConnectionLost)
            elif fault == "reset" or end <= offset or start > offset:
                # A reset may overtake what was said before it; a text with garbage in it may end as it should.
                right = isinstance(outcome, ConnectionLost) or same(outcome, expected)
            else:
                right = True  # the garbage is within this reply, and a text may be anything
            assert right, (offset, name, outcome)
            start = end


def same(one: Any, other: Any) -> bool:
    if isinstance(one, ReplyError):
        return isinstance(other, ReplyError) and str(one) == str(other)
    return bool(one == other)


async def ask(store: Store) -> list[Any]:
    async with asyncio.timeout(30):
        return await asyncio.gather(*(store.execute(*each) for each in QUESTIONS.values()), return_exceptions=True)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("fault", ["end", "reset", "garbage"])
async def test_whatever_breaks_at_any_byte_of_any_shape_each_caller_has_its_own_reply_or_connection_lost(
    proxy: Through, protocol: int, fault: str
) -> None:
    async with create_store(proxy.url, protocol=protocol) as store:
        assert await store.ping()
        replies = Replies()
        await replies.learn(store, proxy)
        for offset in range(replies.ends[-1]):
            assert await store.ping()
            connection = proxy.connections[-1]
            if fault == "garbage":
                connection.spoil_after(offset, GARBAGE)
            else:
                connection.cut_after(offset, reset=fault == "reset")
            replies.check(await ask(store), offset, fault)
            assert await store.execute("ECHO", offset) == b"%d" % offset


@pytest.mark.parametrize("fault", ["end", "reset", "garbage"])
async def test_a_big_reply_that_breaks_is_nobodys(proxy: Through, fault: str) -> None:
    async with create_store(proxy.url) as store:
        await store.execute("SET", "shape:big", BIG)
        for offset in (0, 1, 5, 8, 9, 10, 4096, 65536, len(BIG), len(BIG) + 8, len(BIG) + 9):
            assert await store.ping()
            connection = proxy.connections[-1]
            if fault == "garbage":
                connection.spoil_after(offset, GARBAGE)
            else:
                connection.cut_after(offset, reset=fault == "reset")
            async with asyncio.timeout(30):
                big, after = await asyncio.gather(
                    store.execute("GET", "shape:big"), store.execute("ECHO", "after"), return_exceptions=True
                )
            assert isinstance(after, ConnectionLost)
            if fault != "garbage":
                assert isinstance(big, ConnectionLost)
            assert await store.execute("GET", "shape:big") == BIG
        await store.execute("DEL", "shape:big")


@pytest.mark.parametrize("fault", ["end", "reset", "garbage"])
async def test_a_push_message_that_breaks_takes_no_reply_with_it(servers: Any, fault: str) -> None:
    valkey = servers.url("valkey-tcp")
    message = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$10\r\nshape:text\r\n"
    async with Through(valkey) as proxy, create_store(valkey) as other, create_store(proxy.url) as store:
        for offset in range(len(message) + 1):
            async with await store.connect() as connection:
                await connection.execute("CLIENT", "TRACKING", "ON", "BCAST")
                line = proxy.connections[-1]
                if fault == "garbage":
                    line.spoil_after(offset, GARBAGE)
                else:
                    line.cut_after(offset, reset=fault == "reset")
                await other.execute("SET", "shape:text", "hello")
                with pytest.raises((ConnectionFailed, StoreClosed)):
                    async with asyncio.timeout(30):
                        await connection.execute("ECHO", "behind the message")


async def test_replies_that_come_a_byte_at_a_time_are_whole(proxy: Through) -> None:
    proxy.default = Fault(drip=True)
    for protocol in (2, 3):
        async with create_store(proxy.url, protocol=protocol) as store:
            replies = Replies()
            await replies.learn(store, proxy)
            for _ in range(3):
                assert all(map(same, await ask(store), replies.expected))
            await store.execute("SET", "shape:big", BIG[:1000])
            assert await store.execute("GET", "shape:big") == BIG[:1000]
            async with store.pubsub() as pubsub:
                await pubsub.subscribe("drip")
                await store.execute("PUBLISH", "drip", "message")
                assert (await anext(aiter(pubsub))).data == b"message"
            async with store.transaction() as transaction:
                transaction.execute("SET", "shape:big", "small")
                transaction.execute("GET", "shape:big")
            assert transaction.results == [b"OK", b"small"]
            assert await store.execute("BLPOP", "never", 0.01) is None


async def test_a_handshake_spoiled_at_any_byte_is_one_error_and_the_next_one_works(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        assert await store.ping()
        size = proxy.connections[-1].passed - len(b"+PONG\r\n")
    for offset in range(0, size, 3):
        proxy.next(Fault(garbage=GARBAGE, spoil_after=offset))
        async with create_store(proxy.url) as store:
            async with asyncio.timeout(30):
                outcome = (await asyncio.gather(store.execute("ECHO", "x"), return_exceptions=True))[0]
            # Within a text (the server's version) garbage is not seen; anywhere else it is not RESP.
            assert outcome == b"x" or "RESP" in str(outcome), (offset, outcome)
            assert outcome == b"x" or type(outcome).__name__ == "ConnectionFailed", (offset, outcome)
            assert await store.execute("ECHO", "again") == b"again"
