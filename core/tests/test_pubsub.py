"""PubSub: queues that lose the oldest and say so, clients that cannot hurt each other, and the bookkeeping beneath."""

from __future__ import annotations

import asyncio
import json

import pytest

from store_core import ArgumentError, Capability, Message, PubSub, ReplyError, StoreClosed, StoreError, create_store
from store_core.pubsub import JsonCodec, Kind, Mailbox, RawCodec, Subscriptions, make_codec

pytestmark = pytest.mark.usefixtures("memory")


@pytest.fixture
def store():
    return create_store("memory://")


async def settle():
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


def message(text):
    return Message("c", text)


# Mailbox.


async def test_a_mailbox_gives_messages_in_order_then_ends():
    mailbox = Mailbox(10)
    mailbox.put(message(1))
    mailbox.put(message(2))
    mailbox.close()
    assert [await mailbox.get() for _ in range(4)] == [message(1), message(2), None, None]


async def test_a_full_mailbox_loses_the_oldest_and_the_next_message_says_how_many():
    mailbox = Mailbox(2)
    for number in range(5):
        mailbox.put(message(number))
    assert await mailbox.get() == Message("c", 3, lost=3)
    assert await mailbox.get() == Message("c", 4, lost=0)
    mailbox.put(message(5))
    assert await mailbox.get() == Message("c", 5, lost=0)


async def test_a_reader_waits_for_a_message_and_for_the_end():
    mailbox = Mailbox(2)
    reader = asyncio.create_task(mailbox.get())
    await settle()
    assert not reader.done()
    mailbox.put(message(1))
    assert await reader == message(1)
    reader = asyncio.create_task(mailbox.get())
    await settle()
    mailbox.close()
    assert await reader is None


async def test_a_reader_that_is_cancelled_takes_no_message_with_it():
    mailbox = Mailbox(2)
    reader = asyncio.create_task(mailbox.get())
    await settle()
    mailbox.put(message(1))
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await mailbox.get() == message(1)


async def test_iteration_goes_on_after_a_wait_that_was_cancelled():
    mailbox = Mailbox(2)
    messages = aiter(mailbox)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await anext(messages)
    mailbox.put(message(1))
    assert await anext(messages) == message(1)


async def test_what_was_added_is_bounded_once_it_is_settled():
    mailbox = Mailbox(1)
    for number in range(4):
        mailbox.append(message(number))
    mailbox.settle()
    mailbox.put(message(4))
    assert await mailbox.get() == Message("c", 4, lost=4)


async def test_two_readers_of_one_mailbox_are_refused():
    mailbox = Mailbox(2)
    reader = asyncio.create_task(mailbox.get())
    await settle()
    with pytest.raises(StoreError, match="two tasks read one PubSub at once"):
        await mailbox.get()
    mailbox.put(message(1))
    assert await reader == message(1)


async def test_what_is_discarded_is_not_read():
    mailbox = Mailbox(2)
    mailbox.put(message(1))
    mailbox.discard()
    assert await mailbox.get() is None


# Codecs.


@pytest.mark.parametrize(
    ("data", "wire"), [("é", b"\xc3\xa9"), (b"\xff", b"\xff"), (bytearray(b"a"), b"a"), (memoryview(b"a"), b"a")]
)
def test_raw_payloads_are_bytes_as_they_are(data, wire):
    assert RawCodec().encode(data) == wire
    assert RawCodec().decode(wire) == wire


def test_raw_payloads_may_be_decoded():
    assert RawCodec("latin-1", decode=True).decode(b"\xe9") == "é"
    assert RawCodec().encode(1.5) == b"1.5"


@pytest.mark.parametrize("data", [None, True, [1], {"a": 1}, object()])
def test_what_has_no_raw_form_is_refused_with_a_way_out(data):
    with pytest.raises(ArgumentError, match="use protocol='json'"):
        RawCodec().encode(data)


@pytest.mark.parametrize("data", [None, True, [1, "é"], {"a": {"b": 1.5}}, "text"])
def test_json_payloads_come_back_as_they_went(data):
    assert JsonCodec().decode(JsonCodec().encode(data)) == data
    assert b" " not in JsonCodec().encode(data)
    assert json.loads(JsonCodec().encode(data)) == data


def test_a_protocol_is_a_known_name_or_a_codec():
    codec = JsonCodec()
    assert make_codec(codec) is codec
    assert isinstance(make_codec("json"), JsonCodec)
    assert isinstance(make_codec(None), RawCodec)
    with pytest.raises(ValueError, match="no pub/sub protocol 'jsn'"):
        make_codec("jsn")


# PubSub: iteration.


async def test_messages_arrive_in_order_and_closing_ends_the_iteration(store):
    async with store.pubsub("json") as pubsub:
        await pubsub.subscribe("a", "b")
        for number in range(3):
            assert await pubsub.publish("a" if number % 2 else "b", {"n": number}) == 1
        seen = []
        async for received in pubsub:
            seen.append(received)
            if len(seen) == 3:
                await pubsub.close()
    assert seen == [Message("b", {"n": 0}), Message("a", {"n": 1}), Message("b", {"n": 2})]


async def test_closing_wakes_a_reader_that_waits(store):
    pubsub = store.pubsub()
    await pubsub.subscribe("a")

    async def read():
        return [received async for received in pubsub]

    reader = asyncio.create_task(read())
    await settle()
    await pubsub.close()
    assert await reader == []


async def test_a_pattern_tells_which_pattern_matched(store):
    async with store.pubsub() as pubsub:
        await pubsub.psubscribe("news.*")
        await pubsub.publish("news.art", "x")
        await pubsub.publish("sport", "y")
        pubsub.end()
        assert [received async for received in pubsub] == [Message("news.art", b"x", "news.*")]


async def test_a_slow_reader_loses_its_own_oldest_messages_only(store):
    slow, quick = store.pubsub(limit=2), store.pubsub(limit=100)
    await slow.subscribe("a")
    await quick.subscribe("a")
    for number in range(10):
        await quick.publish("a", number)
    slow.end()
    quick.end()
    assert [(received.data, received.lost) async for received in slow] == [(b"8", 8), (b"9", 0)]
    assert [received.lost async for received in quick] == [0] * 10


async def test_a_limit_below_one_is_refused(store):
    with pytest.raises(ValueError, match="limit is 0"):
        store.pubsub(limit=0)


async def test_a_payload_that_is_not_in_the_protocol_is_dropped_and_told_of(store, caplog):
    async with store.pubsub("json") as pubsub:
        await pubsub.subscribe("a")
        await store.subscriber.publish("a", b"{hunter2", kind=Kind.CHANNEL)
        await pubsub.publish("a", "fine")
        pubsub.end()
        assert [received.data async for received in pubsub] == ["fine"]
    assert "dropped a message on 'a'" in caplog.text
    assert "hunter2" not in caplog.text


async def test_what_is_not_confirmed_is_not_subscribed(store):
    async with store.pubsub() as pubsub:
        with pytest.raises(ReplyError):
            await pubsub.subscribe("forbidden")
        assert await pubsub.channels() == []


async def test_shard_channels_are_a_space_of_their_own(store):
    async with store.pubsub() as pubsub:
        await pubsub.ssubscribe("a", "b")
        await pubsub.publish("a", "for all")
        await pubsub.spublish("a", "for the shard")
        await pubsub.sunsubscribe("a")
        await pubsub.spublish("a", "too late")
        await pubsub.spublish("b", "still here")
        pubsub.end()
        assert [received async for received in pubsub] == [Message("a", b"for the shard"), Message("b", b"still here")]


def test_a_kind_knows_the_capability_that_it_takes():
    assert {kind: kind.capability for kind in Kind} == {
        Kind.CHANNEL: Capability.PUBSUB,
        Kind.PATTERN: Capability.PATTERNS,
        Kind.SHARD: Capability.SHARDED,
    }


async def test_who_wants_to_know_hears_that_messages_may_have_been_missed(store, caplog):
    heard = []

    def bad():
        raise ZeroDivisionError

    async def coroutine():
        raise AssertionError

    async with store.pubsub() as pubsub:
        pubsub.on_resubscribed(bad)
        pubsub.on_resubscribed(lambda: heard.append("back"))
        with pytest.raises(TypeError, match="plain function"):
            pubsub.on_resubscribed(coroutine)
        pubsub.resubscribed()
        pubsub.resubscribed()
    assert heard == ["back"] * 2
    assert caplog.text.count("failed after a subscription came back") == 2


async def test_counts_and_channels_come_from_the_data_store(store):
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("a", "b")
        assert await pubsub.channels() == ["a", "b"]
        assert await pubsub.count("a", "c") == {"a": 1, "c": 0}
        await pubsub.unsubscribe("a")
        assert await pubsub.channels() == ["b"]
        await pubsub.unsubscribe()
        assert await pubsub.channels() == []


async def test_a_closed_pubsub_refuses_everything_and_closing_twice_is_harmless(store):
    pubsub = store.pubsub()
    await pubsub.subscribe("a")
    await pubsub.psubscribe("b*")
    await pubsub.close()
    await pubsub.close()
    assert store.subscriber.calls[2:] == [("unsubscribe",), ("punsubscribe",), ("sunsubscribe",)]
    assert store.subscriber.subscriptions.pubsubs() == []
    for use in (pubsub.publish("a", "x"), pubsub.subscribe("a"), pubsub.psubscribe("a"), pubsub.unsubscribe()):
        with pytest.raises(StoreClosed, match=r"open another with store\.pubsub"):
            await use
    with pytest.raises(StoreClosed):
        pubsub.add_client(print)


# PubSub: clients.


async def test_every_client_gets_every_message_in_order(store):
    plain, slow = [], []

    async def client(received):
        await asyncio.sleep(0)
        slow.append(received.data)

    async with store.pubsub() as pubsub:
        pubsub.add_client(lambda received: plain.append(received.data))
        pubsub.add_client(client)
        pubsub.add_client(client)
        await pubsub.subscribe("a")
        for number in range(5):
            await pubsub.publish("a", number)
        await settle()
    assert plain == slow == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_client_that_raises_is_logged_and_removed_and_the_others_go_on(store, caplog):
    good, calls = [], []

    def bad(received):
        calls.append(received)
        raise ZeroDivisionError

    async def worse(received):
        calls.append(received)
        raise LookupError

    async with store.pubsub() as pubsub:
        pubsub.add_client(bad)
        pubsub.add_client(worse)
        pubsub.add_client(good.append)
        await pubsub.subscribe("a")
        for number in range(3):
            await pubsub.publish("a", number)
            await settle()
    assert len(calls) == 2
    assert len(good) == 3
    assert "ZeroDivisionError" in caplog.text
    assert "LookupError" in caplog.text
    assert caplog.text.count("removed the pub/sub client") == 2


async def test_a_slow_client_loses_its_own_messages_and_is_told_how_many(store):
    seen, go = [], asyncio.Event()

    async def slow(received):
        await go.wait()
        seen.append((received.data, received.lost))

    quick = []
    async with store.pubsub(limit=2) as pubsub:
        pubsub.add_client(slow)
        pubsub.add_client(quick.append)
        await pubsub.subscribe("a")
        await pubsub.publish("a", 0)
        await settle()
        for number in range(1, 6):
            await pubsub.publish("a", number)
        go.set()
        await settle()
    assert seen == [(b"0", 0), (b"4", 3), (b"5", 0)]
    assert len(quick) == 6


@pytest.mark.parametrize("protocol", [None, "json"])
async def test_readers_that_come_and_go_between_messages_get_each_what_came_meanwhile(store, protocol):
    plain, later = [], []

    async def coroutine(received):
        later.append(received.data)

    async with store.pubsub(protocol) as pubsub, store.pubsub(protocol) as other:
        await pubsub.subscribe("a")
        await other.subscribe("a")
        await other.publish("a", 1)
        pubsub.add_client(coroutine)
        await other.publish("a", 2)
        await settle()
        pubsub.add_client(plain.append)
        await other.publish("a", 3)
        await settle()
        pubsub.remove_client(coroutine)
        await other.publish("a", 4)
        messages = aiter(pubsub)
        await other.publish("a", 5)
        pubsub.remove_client(plain.append)
        await other.publish("a", 6)
        pubsub.end()
        other.end()
        decoded = [int(received.data) async for received in messages]
        everything = [int(received.data) async for received in other]
    assert decoded == [1, 5, 6], "iteration gets what came while there was no client, or after it began"
    assert [int(data) for data in later] == [2, 3]
    assert [int(received.data) for received in plain] == [3, 4, 5]
    assert everything == [1, 2, 3, 4, 5, 6]


async def test_two_readers_never_share_a_value_that_one_may_change(store):
    async with store.pubsub("json") as one, store.pubsub("json") as two:
        await one.subscribe("a")
        await two.subscribe("a")
        await one.publish("a", [1])
        (await anext(aiter(one))).data.append(2)
        assert (await anext(aiter(two))).data == [1]


async def test_each_reader_gets_text_or_bytes_as_it_asked_for():
    table = Subscriptions()
    pubsubs = [PubSub(None, RawCodec(decode=decode)) for decode in (True, False, True)]
    pubsubs.append(PubSub(None, RawCodec("latin-1", decode=True)))
    for pubsub in pubsubs:
        table.add(pubsub, [(b"a", "a")], kind=Kind.CHANNEL)
    table.deliver(b"a", "é".encode())
    assert [(await anext(aiter(pubsub))).data for pubsub in pubsubs] == ["é", "é".encode(), "é", "Ã©"]


async def test_iteration_goes_on_beside_clients(store):
    seen = []
    async with store.pubsub() as pubsub:
        pubsub.add_client(seen.append)
        await pubsub.subscribe("a")
        iterator = aiter(pubsub)
        await pubsub.publish("a", 1)
        assert (await anext(iterator)).data == b"1"
    assert len(seen) == 1


async def test_clients_alone_fill_no_queue(store):
    async with store.pubsub(limit=1) as pubsub:
        pubsub.add_client(lambda received: None)
        await pubsub.subscribe("a")
        await pubsub.publish("a", 1)
        await pubsub.publish("a", 2)
        pubsub.end()
        assert [received async for received in pubsub] == []


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_removed_client_is_called_no_more(store, is_async):
    seen = []

    async def slow(received):
        seen.append(received.data)

    client = slow if is_async else (lambda received: seen.append(received.data))
    async with store.pubsub() as pubsub:
        pubsub.remove_client(client)
        pubsub.add_client(client)
        await pubsub.subscribe("a")
        await pubsub.publish("a", 1)
        await settle()
        pubsub.remove_client(client)
        await pubsub.publish("a", 2)
        await settle()
    assert seen == [b"1"]


async def test_an_async_client_that_removes_itself_ends_and_leaves_no_task(store):
    seen = []
    before = asyncio.all_tasks()
    pubsub = store.pubsub()

    async def once(received):
        seen.append(received.data)
        pubsub.remove_client(once)

    pubsub.add_client(once)
    await pubsub.subscribe("a")
    await pubsub.publish("a", 1)
    await pubsub.publish("a", 2)
    await settle()
    assert seen == [b"1"]
    assert asyncio.all_tasks() == before
    await pubsub.close()


async def test_an_async_client_that_is_removed_and_added_again_is_called_again(store):
    seen = []

    async def client(received):
        seen.append(received.data)

    async with store.pubsub() as pubsub:
        pubsub.add_client(client)
        await pubsub.subscribe("a")
        await settle()
        pubsub.remove_client(client)
        pubsub.add_client(client)
        await settle()
        await pubsub.publish("a", 1)
        await settle()
    assert seen == [b"1"]


async def test_closing_ends_the_tasks_of_clients_even_from_within_one(store):
    before = asyncio.all_tasks()
    pubsub = store.pubsub()
    stuck = asyncio.Event()

    async def closer(received):
        await pubsub.close()

    async def waiter(received):
        await stuck.wait()

    pubsub.add_client(waiter)
    pubsub.add_client(closer)
    await pubsub.subscribe("a")
    await pubsub.publish("a", 1)
    await settle()
    assert asyncio.all_tasks() == before


async def test_an_object_with_an_async_call_is_an_async_client(store):
    seen = []

    class Client:
        async def __call__(self, received):
            await asyncio.sleep(0)
            seen.append(received.data)

    async with store.pubsub() as pubsub:
        pubsub.add_client(Client())
        await pubsub.subscribe("a")
        await pubsub.publish("a", 1)
        await settle()
    assert seen == [b"1"]


def test_a_client_can_be_removed_after_its_event_loop_has_gone(store):
    async def client(received):
        raise AssertionError

    async def use():
        pubsub = store.pubsub()
        pubsub.add_client(client)
        return pubsub

    asyncio.run(use()).remove_client(client)


# Subscriptions: pure.


class Reader(PubSub):
    """A PubSub that writes down what it receives."""

    def __init__(self):
        self.seen = []

    def receive(self, channel, data, pattern=None):
        self.seen.append((channel, data, pattern))


def test_only_the_first_subscription_to_a_name_is_left_to_do():
    table, one, two = Subscriptions(), Reader(), Reader()
    assert table.add(one, [(b"n.a", "a"), (b"n.b", "b"), (b"n.a", "a")], kind=Kind.CHANNEL) == [b"n.a", b"n.b"]
    assert table.add(two, [(b"n.a", "a"), (b"n.c", "c")], kind=Kind.CHANNEL) == [b"n.c"]
    assert table.add(two, [(b"n.a", "a")], kind=Kind.PATTERN) == [b"n.a"]
    assert table.names(kind=Kind.CHANNEL) == [b"n.a", b"n.b", b"n.c"]
    assert table.names(kind=Kind.PATTERN) == [b"n.a"]
    assert table.pubsubs() == [one, two]


def test_only_the_last_one_gone_is_left_to_do():
    table, one, two = Subscriptions(), Reader(), Reader()
    table.add(one, [(b"a", "a"), (b"b", "b")], kind=Kind.CHANNEL)
    table.add(two, [(b"a", "a")], kind=Kind.CHANNEL)
    assert table.remove(one, [b"a", b"zzz"], kind=Kind.CHANNEL) == []
    assert table.remove(one, [b"a"], kind=Kind.CHANNEL) == []
    assert table.remove(two, [b"a"], kind=Kind.CHANNEL) == [b"a"]
    assert table.pubsubs() == [one]
    assert table.remove(one, [], kind=Kind.PATTERN) == []
    assert table.remove(one, [], kind=Kind.CHANNEL) == [b"b"]
    assert table.pubsubs() == []


def test_a_message_goes_to_the_subscribers_of_its_channel_and_patterns_under_their_names():
    table, one, two = Subscriptions(), Reader(), Reader()
    table.add(one, [(b"n.a", "a")], kind=Kind.CHANNEL)
    table.add(two, [(b"n.*", "*")], kind=Kind.PATTERN)
    table.deliver(b"n.a", b"1")
    table.deliver(b"n.zzz", b"2")
    table.deliver_pattern(b"n.*", "a", b"1")
    table.deliver_pattern(b"x*", "a", b"1")
    assert one.seen == [("a", b"1", None)]
    assert two.seen == [("a", b"1", "*")]
    table.clear()
    table.deliver(b"n.a", b"3")
    assert len(one.seen) == 1


def test_a_subscriber_that_leaves_while_a_message_is_delivered_keeps_nobody_from_it():
    table, two = Subscriptions(), Reader()

    class Leaver(Reader):
        def receive(self, channel, data, pattern=None):
            table.remove(self, [b"a"], kind=Kind.CHANNEL)

    one = Leaver()
    table.add(one, [(b"a", "a")], kind=Kind.CHANNEL)
    table.add(two, [(b"a", "a")], kind=Kind.CHANNEL)
    table.deliver(b"a", b"1")
    assert len(two.seen) == 1
    assert table.pubsubs() == [two]


def names_of(table, pubsub):
    return [wire for wire in table.names(kind=Kind.CHANNEL) if pubsub in table.pubsubs(lambda kind, wire=wire: [wire])]


def test_a_call_that_failed_takes_back_what_it_added_and_nothing_else():
    table, one, two = Subscriptions(), Reader(), Reader()
    table.add(one, [(b"had", "had")], kind=Kind.CHANNEL)
    table.add(two, [(b"others", "others")], kind=Kind.CHANNEL)
    attempt = table.begin(one, [(b"had", "had"), (b"others", "others"), (b"new", "new")], kind=Kind.CHANNEL)
    assert attempt.fresh == [b"new"]
    assert names_of(table, one) == [b"had", b"others", b"new"]
    assert table.undo(attempt) == [b"new"]
    assert names_of(table, one) == [b"had"]
    assert names_of(table, two) == [b"others"]


@pytest.mark.parametrize("first_ends", ["undo", "settle"])
@pytest.mark.parametrize("second_ends", ["undo", "settle"])
@pytest.mark.parametrize("in_order", [True, False])
def test_a_name_stays_when_one_of_two_calls_for_it_succeeds(first_ends, second_ends, in_order):
    table, one = Subscriptions(), Reader()
    first = table.begin(one, [(b"a", "a")], kind=Kind.CHANNEL)
    second = table.begin(one, [(b"a", "a")], kind=Kind.CHANNEL)
    assert (first.fresh, second.fresh) == ([b"a"], [])
    ends = [(first_ends, first), (second_ends, second)]
    for end, attempt in ends if in_order else reversed(ends):
        getattr(table, end)(attempt)
    assert names_of(table, one) == ([] if first_ends == second_ends == "undo" else [b"a"])


def test_a_call_that_fails_late_takes_nothing_from_a_subscription_made_since():
    table, one = Subscriptions(), Reader()
    late = table.begin(one, [(b"a", "a")], kind=Kind.CHANNEL)
    table.remove(one, [b"a"], kind=Kind.CHANNEL)
    table.settle(table.begin(one, [(b"a", "a")], kind=Kind.CHANNEL))
    assert table.undo(late) == []
    assert names_of(table, one) == [b"a"]
