"""What programs do with redis-py's client beyond single calls: the same happens through ``store.client()``.

A scenario is a function of a client that returns what it saw; it runs with redis-py's own client and with the store's,
on one real Valkey, and must have seen the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions
from redis.asyncio.lock import Lock
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from tests.client.cases import typed

from store_core import DSN, create_store

Client = redis.asyncio.Redis
Scenario = Callable[[Client], Awaitable[Any]]

pytestmark = [
    pytest.mark.filterwarnings("ignore:Call to deprecated"),
    pytest.mark.filterwarnings("ignore:.*experimental"),
]

SCENARIOS: list[Scenario] = []


def scenario(function: Scenario) -> Scenario:
    SCENARIOS.append(function)
    return function


def said(error: BaseException) -> tuple[str, tuple[Any, ...], str]:
    """An error as redis-py's users see it: its class of redis-py's, its arguments, its text."""
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == "redis.exceptions")
    return kind.__name__, error.args, str(error)


async def failure(awaitable: Awaitable[Any]) -> tuple[str, tuple[Any, ...], str]:
    with pytest.raises(redis.exceptions.RedisError) as caught:
        await awaitable
    return said(caught.value)


# Pipelines and transactions.


def pipelines(transaction: bool) -> None:
    @scenario
    async def replies_are_parsed_in_order(client: Client) -> Any:
        async with client.pipeline(transaction=transaction) as pipe:
            pipe.set("k", 1).incr("k").hset("h", mapping={"f": 1}).hgetall("h").zadd("z", {"m": 1, "n": 2.5})
            pipe.zrange("z", 0, -1, withscores=True, score_cast_func=str).zscore("z", "n").exists("k").ttl("k")
            pipe.config_get("maxmemory").mget([]).xadd("x", {"f": "v"}, id="1-1").xread({"x": "0"}).client_getname()
            return [len(pipe), bool(pipe), await pipe.execute(), len(pipe), await pipe.execute()]

    @scenario
    async def the_first_error_is_raised_with_its_command(client: Client) -> Any:
        await client.set("text", "x")
        async with client.pipeline(transaction=transaction) as pipe:
            pipe.set("a", 1).incr("text").lpush("text", "y" * 200)
            error = await failure(pipe.execute())
            return error, await client.get("a"), len(pipe)

    @scenario
    async def errors_are_replies_where_they_are_asked_for(client: Client) -> Any:
        await client.set("text", "x")
        pipe = client.pipeline(transaction=transaction)
        replies = await pipe.incr("text").get("text").lpush("text", 1).execute(raise_on_error=False)
        return [said(reply) if isinstance(reply, Exception) else reply for reply in replies]

    @scenario
    async def a_refused_command_is_named(client: Client) -> Any:
        pipe = client.pipeline(transaction=transaction)
        pipe.set("a", 1).execute_command("GET").execute_command("NO SUCH", "command")
        return await failure(pipe.execute()), await client.get("a")

    @scenario
    async def scripts_are_loaded_first(client: Client) -> Any:
        script = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        await client.script_flush()
        async with client.pipeline(transaction=transaction) as pipe:
            await script(keys=["k"], args=[5], client=pipe)
            await script(keys=["k"], args=[1], client=pipe)
            return await pipe.execute(), await client.script_exists(script.sha)

    @scenario
    async def callbacks_of_ones_own_are_called(client: Client) -> Any:
        async def slow(response: Any, **options: Any) -> Any:
            await asyncio.sleep(0)
            return ["slow", response]

        client.set_response_callback("GET", lambda response, **options: ["mine", response, sorted(options)])
        client.set_response_callback("strlen", slow)
        await client.set("k", "v")
        pipe = client.pipeline(transaction=transaction).get("k").strlen("k")
        return await client.get("k"), await client.strlen("k"), await pipe.execute()

    for function in SCENARIOS[-6:]:
        function.__name__ += "_in_a_transaction" if transaction else "_in_a_pipeline"


pipelines(transaction=True)
pipelines(transaction=False)


@scenario
async def a_dump_in_a_pipeline_stays_bytes(client: Client) -> Any:
    await client.set("k", "é")
    return await client.pipeline(transaction=False).get("k").dump("k").hgetall("none").execute()


# WATCH.


@scenario
async def a_watched_key_that_moves_aborts(client: Client) -> Any:
    async with client.pipeline() as pipe:
        watching = [pipe.watching, await pipe.watch("k", "l"), pipe.watching, await pipe.get("k")]
        await client.set("k", "moved")
        pipe.multi()
        pipe.set("k", "mine")
        error = await failure(pipe.execute())
        return watching, error, pipe.watching, await client.get("k")


@scenario
async def commands_before_multi_run_at_once(client: Client) -> Any:
    await client.zadd("z", {"m": 1})
    async with client.pipeline() as pipe:
        await pipe.watch("k")
        seen = [
            await pipe.set("l", 1),
            await pipe.zrange("z", 0, -1, withscores=True),
            await pipe.config_get("maxmemory"),
            await pipe.mget([]),
            await pipe.dump("none"),
            await failure(pipe.incr("z")),
            await pipe.blpop("none", timeout=0.01),
            await pipe.watch("m"),
            pipe.watching,
        ]
        pipe.multi()
        pipe.get("l")
        return [*seen, await pipe.execute(), pipe.watching, await pipe.unwatch()]


@scenario
async def unwatch_lets_go(client: Client) -> Any:
    async with client.pipeline() as pipe:
        await pipe.watch("k")
        await client.set("k", 1)
        seen = [await pipe.unwatch(), pipe.watching]
        return [*seen, await pipe.get("k").execute()]


@scenario
async def nothing_to_run_still_says_that_a_key_moved(client: Client) -> Any:
    async with client.pipeline() as pipe:
        await pipe.watch("k")
        quiet = await pipe.execute()
        await pipe.watch("k")
        await client.set("k", 1)
        return quiet, await failure(pipe.execute())


@scenario
async def watch_and_multi_in_the_wrong_order_are_errors(client: Client) -> Any:
    async with client.pipeline() as pipe:
        pipe.multi()
        nested = await failure(asyncio.to_thread(pipe.multi))
        late = await failure(pipe.watch("k"))
    async with client.pipeline() as pipe:
        pipe.set("k", 1)
        return nested, late, await failure(asyncio.to_thread(pipe.multi))


@scenario
async def an_error_while_watching_names_its_command(client: Client) -> Any:
    await client.set("text", "x")
    async with client.pipeline() as pipe:
        await pipe.watch("k")
        pipe.multi()
        pipe.set("k", 1).incr("text")
        return await failure(pipe.execute()), pipe.watching, await client.get("k")


@scenario
async def a_loop_tries_until_it_is_alone(client: Client) -> Any:
    await client.set("n", 0)

    async def increment() -> None:
        async with client.pipeline() as pipe:
            while True:
                try:
                    await pipe.watch("n")
                    number = int(await pipe.get("n"))
                    pipe.multi()
                    pipe.set("n", number + 1)
                    await pipe.execute()
                    return
                except redis.exceptions.WatchError:
                    continue

    await asyncio.gather(*(increment() for _ in range(10)))
    return await client.get("n")


@scenario
async def the_transaction_method_tries_again(client: Client) -> Any:
    await client.set("n", 1)
    tries = []

    async def change(pipe: Any) -> str:
        value = int(await pipe.get("n"))
        tries.append(value)
        if len(tries) == 1:
            await client.set("n", 5)
        pipe.multi()
        pipe.set("n", value * 2)
        return "value"

    return [
        await client.transaction(change, "n"),
        await client.transaction(change, "n", value_from_callable=True),
        await client.transaction(lambda pipe: pipe.get("n").incr("n")),
        tries,
    ]


# Scripts, locks, bit fields, iterators.


@scenario
async def a_script_is_loaded_when_the_server_has_lost_it(client: Client) -> Any:
    script = client.register_script("return {KEYS[1], ARGV[1]}")
    seen = [await script(keys=["k"], args=["é"]), script.sha]
    await client.script_flush()
    return [*seen, await failure(client.evalsha(script.sha, 0)), await script(keys=["k"], args=[1])]


@scenario
async def a_lock_is_held_by_one(client: Client) -> Any:
    Lock.lua_release = Lock.lua_extend = Lock.lua_reacquire = None
    first, second = client.lock("lock", timeout=10), client.lock("lock", timeout=10, sleep=0.01)
    seen = [
        await first.acquire(),
        await second.acquire(blocking=False),
        await second.acquire(blocking_timeout=0.05),
        await first.owned(),
        await second.owned(),
        await first.locked(),
        await first.extend(5),
        9 < await client.ttl("lock") <= 15,
        await first.extend(3, replace_ttl=True),
        0 < await client.ttl("lock") <= 3,
        await first.reacquire(),
        await failure(second.release()),
    ]
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(0.03)
    await first.release()
    return [*seen, await waiting, await second.release(), await failure(first.release()), await client.exists("lock")]


@scenario
async def a_lock_that_was_lost_says_so(client: Client) -> Any:
    lock = client.lock("lock", timeout=10)
    await lock.acquire(token="mine")
    token = await client.get("lock")
    await client.set("lock", "theirs")
    seen = [token, await failure(lock.extend(1)), await failure(lock.reacquire()), await failure(lock.release())]
    async with client.lock("other", timeout=10) as other:
        seen.append(await other.owned())
    with pytest.raises(redis.exceptions.LockError, match="Unable to acquire") as caught:
        async with client.lock("lock", blocking=False):
            pass
    return [*seen, said(caught.value)]


@scenario
async def a_bit_field_is_built_and_executed(client: Client) -> Any:
    field = client.bitfield("b", default_overflow="SAT").set("u8", 0, 200).incrby("u8", 0, 100).get("u4", 0)
    return await field.execute()


@scenario
async def scans_of_many_pages_find_everything(client: Client) -> Any:
    await client.mset({f"k{number}": number for number in range(500)})
    await client.hset("h", mapping={f"f{number}": number for number in range(500)})
    await client.sadd("s", *range(500))
    await client.zadd("z", {f"m{number}": number for number in range(500)})
    return [
        {key async for key in client.scan_iter("k*", count=50)},
        {field async for field, _ in client.hscan_iter("h", count=50)},
        {member async for member in client.sscan_iter("s", count=50)},
        {member async for member, _ in client.zscan_iter("z", count=50)},
    ]


# Connections of its own.


async def messages(pubsub: Any, count: int) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            message = await pubsub.get_message(timeout=1)
            if message:
                found.append(message)
    return found


@scenario
async def subscriptions_of_all_kinds_deliver(client: Client) -> Any:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("c", "é")
        await pubsub.psubscribe("p*")
        await pubsub.ssubscribe("s")
        seen = await messages(pubsub, 4)
        await client.publish("c", "one")
        await client.publish("pp", b"\xf0\x9f\x90\x8d")
        await client.spublish("s", "three")
        seen += await messages(pubsub, 3)
        await pubsub.ping("hello")
        seen += await messages(pubsub, 1)
        await pubsub.unsubscribe()
        await pubsub.punsubscribe("p*")
        await pubsub.sunsubscribe("s")
        seen += sorted(await messages(pubsub, 4), key=repr)
        return seen, pubsub.subscribed, await pubsub.get_message(timeout=0.01)


@scenario
async def handlers_are_called_by_run(client: Client) -> Any:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def slow(message: Any) -> None:
        await heard.put(message)

    async with client.pubsub() as pubsub:
        await pubsub.subscribe(c=heard.put_nowait)
        await pubsub.psubscribe(**{"p*": slow})
        task = asyncio.create_task(pubsub.run(poll_timeout=0.1))
        async with asyncio.timeout(30):
            while await client.publish("c", "first") == 0:
                await asyncio.sleep(0.01)
            while await client.publish("pp", "second") == 0:
                await asyncio.sleep(0.01)
            seen = [await heard.get(), await heard.get()]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return seen


@scenario
async def listen_waits_for_what_comes(client: Client) -> Any:
    async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe("c")
        sender = asyncio.create_task(later(client))
        async with asyncio.timeout(30):
            async for message in pubsub.listen():
                await sender
                return message
    raise AssertionError("no message came")


async def later(client: Client) -> None:
    while not await client.publish("c", "x"):
        await asyncio.sleep(0.02)


@scenario
async def monitor_shows_commands(client: Client) -> Any:
    async with client.monitor() as monitor:
        await client.set("watched", 'a "quoted" value')
        async with asyncio.timeout(30):
            async for command in monitor.listen():
                if "watched" in command["command"]:
                    return command["command"], command["db"], command["client_type"], sorted(command)
    raise AssertionError("nothing was shown")


@scenario
async def blocking_calls_hold_up_nobody(client: Client) -> Any:
    popped = asyncio.create_task(client.blpop(["queue"], timeout=20))
    read = asyncio.create_task(client.xread({"stream": "$"}, block=20_000))
    while len([entry for entry in await client.client_list() if "b" in entry["flags"]]) < 2:
        await asyncio.sleep(0.01)
    await client.rpush("queue", "x")
    await client.xadd("stream", {"f": "v"}, id="1-1")
    return await popped, await read


@scenario
async def one_connection_keeps_its_state(client: Client) -> Any:
    async with client.client() as single:
        seen = [
            await single.client_id() == await single.client_id(),
            await single.select(3),
            await single.set("k", "in 3"),
            (await single.client_info())["db"],
            await single.client_setname("single"),
            await single.client_getname(),
            await single.client_tracking_on(bcast=True),
            (await single.client_trackinginfo()),
            await failure(single.incr("k")),
            await single.blpop("none", timeout=0.01),
            await single.mget([]),
            await single.dump("none"),
            await single.hset("h", "é", "ü"),
            await single.hgetall("h"),
            # redis-py gives the connection back as it is, to whoever comes next.
            await single.client_tracking_off(),
            await single.select(0),
        ]
    return [*seen, await client.get("k"), await client.exists("h")]


# The rest.


@scenario
async def modules_have_their_methods(client: Client) -> Any:
    return [
        await failure(client.json().get("k")),
        await failure(client.json().set("k", "$", {"a": 1})),
        await failure(client.ft("index").info()),
        await failure(client.ft("index").search("words")),
        await failure(client.bf().add("k", 1)),
        await failure(client.cf().add("k", 1)),
        await failure(client.cms().info("k")),
        await failure(client.topk().info("k")),
        await failure(client.tdigest().info("k")),
        await failure(client.ts().get("k")),
        await failure(client.vset().vcard("k")),
    ]


@scenario
async def errors_have_redis_pys_classes_and_words(client: Client) -> Any:
    await client.rpush("list", 1)
    return [
        await failure(client.get("list")),
        await failure(client.evalsha("0" * 40, 0)),
        await failure(client.execute_command("NOSUCH")),
        await failure(client.lset("list", 9, "x")),
        await failure(client.eval("return redis.error_reply('OOM too much')", 0)),
        await failure(client.eval("return redis.error_reply('READONLY not here')", 0)),
        await failure(client.eval("return redis.error_reply('NOPERM not you')", 0)),
        await failure(client.eval("return redis.error_reply('WRONGPASS no')", 0)),
        await failure(client.eval("return redis.error_reply('LOADING wait')", 0)),
        await failure(client.eval("return redis.error_reply('TRYAGAIN later')", 0)),
        await failure(client.eval("return redis.error_reply('CLUSTERDOWN down')", 0)),
        await failure(client.eval("return redis.error_reply('MOVED 3999 127.0.0.1:6381')", 0)),
        await failure(client.eval("return redis.error_reply('ERR invalid password')", 0)),
        await failure(client.eval("return redis.error_reply('ERR max number of clients reached')", 0)),
        await failure(client.eval("return redis.error_reply('lower case')", 0)),
    ]


@scenario
async def a_client_can_be_entered_awaited_and_closed(client: Client) -> Any:
    async with client as entered:
        same = entered is client and await client is client
    await client.aclose()
    return same, await client.ping()


@scenario
async def tools_find_the_encoder_and_the_arguments(client: Client) -> Any:
    encoder, kwargs = client.get_encoder(), client.get_connection_kwargs()
    return [
        encoder.encode("é"),
        encoder.decode(b"x"),
        encoder.encoding,
        encoder.decode_responses,
        [kwargs.get(name) for name in ("host", "port", "protocol", "decode_responses", "username", "password")],
        type(client.connection_pool).__name__,
        client.connection_pool.get_protocol(),
        type(client.get_retry()).__name__,
    ]


@pytest.fixture(params=[None, 2, 3], ids=["default", "RESP2", "RESP3"])
def protocol(request: pytest.FixtureRequest) -> int | None:
    return request.param


@pytest.fixture(params=[False, True], ids=["bytes", "text"])
def decode(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
async def clients(own_valkey: str, protocol: int | None, decode: bool) -> AsyncIterator[tuple[Client, Client]]:
    named = {} if protocol is None else {"protocol": protocol}
    port = DSN.parse(own_valkey).hosts[0].port
    async with (
        create_store(own_valkey, decode_responses=decode, **named) as store,
        # redis-py tries again for twenty seconds where a server says that it is loading.
        redis.asyncio.Redis(
            host="127.0.0.1", port=port, decode_responses=decode, retry=Retry(NoBackoff(), 0), **named
        ) as theirs,
    ):
        yield theirs, store.client()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_the_same_is_seen(clients: tuple[Client, Client], scenario: Scenario) -> None:
    seen = []
    for client in clients:
        await client.flushall()
        await client.script_flush()
        seen.append(await scenario(client))
    theirs, ours = (value if isinstance(value, list | tuple) else [value] for value in seen)
    assert len(ours) == len(theirs)
    for got, expected in zip(ours, theirs, strict=True):
        assert typed(got) == typed(expected)
