"""Backends broken on purpose: each differs from the reference by one mistake, and names the test meant to catch it."""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import Any, ClassVar, NamedTuple

from reference import DATABASES, SUBSCRIBERS, Data, ReferenceConnection, ReferenceStore, ReferenceSubscriber

from store_core import Capability, ConnectionFailed, PubSub, Store, StoreError
from store_core.parameters import Params
from store_core.pubsub import DEFAULT_LIMIT, Kind, make_codec


class Mutation(NamedTuple):
    """A broken backend, the section and the test that are meant to catch it."""

    kind: type[ReferenceStore]
    section: str
    test: str

    @property
    def suite(self) -> str:
        """The name of the generated test class."""
        return f"Test{self.kind.__name__}"


MUTATIONS: list[Mutation] = []


def caught_by(section: str, test: str) -> Any:
    """Say which test is meant to catch a mutation."""

    def decorate(kind: type[ReferenceStore]) -> type[ReferenceStore]:
        MUTATIONS.append(Mutation(kind, section, test))
        return kind

    return decorate


# Life.


@caught_by("LifeCycleTests", "test_a_closed_store_says_so_at_every_use")
class AnswersAfterClose(ReferenceStore):
    def check_open(self) -> None:
        pass


@caught_by("LifeCycleTests", "test_who_asked_is_told_of_the_close_once")
class ForgetsWhoAsked(ReferenceStore):
    def on_close(self, callback: Any) -> None:
        pass


@caught_by("LifeCycleTests", "test_two_stores_of_one_string_close_apart")
class ClosesItsSiblings(ReferenceStore):
    living: ClassVar[list[Store]] = []

    def __init__(self, dsn: Any, params: Any) -> None:
        super().__init__(dsn, params)
        self.living.append(self)

    async def _close(self) -> None:
        for store in self.living:
            store._closed = True


# Connection strings.


@caught_by("ConnectionStringTests", "test_a_store_is_created_where_no_event_loop_runs")
class NeedsALoop(ReferenceStore):
    def __init__(self, dsn: Any, params: Any) -> None:
        super().__init__(dsn, params)
        self.made_in = asyncio.get_running_loop()


@caught_by("ConnectionStringTests", "test_the_stores_own_string_makes_the_same_store")
class LosesItsParameters(ReferenceStore):
    @property
    def dsn(self) -> str:
        return "losesitsparameters://?db=4"


@caught_by("ConnectionStringTests", "test_a_keyword_wins_over_the_string")
class IgnoresKeywords(ReferenceStore):
    def __init__(self, dsn: Any, params: Any) -> None:
        super().__init__(dsn, Params({**params, "timeout": 5.0}))


# Connections.


@caught_by("ConnectionTests", "test_a_closed_one_says_so_and_the_store_goes_on")
class ClosedConnectionsAnswer(ReferenceStore):
    async def connect(self) -> ReferenceConnection:
        connection = await super().connect()
        connection.execute = self.execute  # type: ignore[method-assign]
        return connection


# Commands.


@caught_by("ExecuteTests", "test_a_refused_command_is_a_reply_error_and_harms_nobody")
class RefusesInItsOwnWords(ReferenceStore):
    def is_known(self, args: Any) -> bool:
        if not super().is_known(args):
            raise StoreError("something went wrong")
        return True


@caught_by("ExecuteTests", "test_bytes_come_back_as_they_are[binary]")
class ThinksBytesAreText(ReferenceStore):
    def do_set(self, name: bytes, value: bytes) -> bytes:
        return super().do_set(name, value.decode("utf-8", "replace").encode())


@caught_by("ExecuteTests", "test_no_increment_of_many_tasks_is_lost")
class LosesIncrements(ReferenceStore):
    async def execute(self, *args: Any, **options: Any) -> Any:
        if args[:1] != ("INCR",):
            return await super().execute(*args, **options)
        value = int(await super().execute("GET", args[1]) or 0) + 1
        await super().execute("SET", args[1], value)
        return value


@caught_by("ExecuteTests", "test_many_tasks_at_once_get_their_own_replies")
class MixesReplies(ReferenceStore):
    args: Any = ()

    async def run(self, args: Any, options: Any) -> Any:
        self.args = args
        await asyncio.sleep(0)
        return await super().run(self.args, options)


# Pipelines and transactions.


@caught_by("PipelineTests", "test_an_error_is_named_and_stops_nothing")
class StopsAtTheFirstError(ReferenceStore):
    async def execute_pipeline(self, commands: Any) -> list[Any]:
        return [await self.execute(*command.args) for command in commands]


@caught_by("PipelineTests", "test_replies_are_in_order")
class ShufflesPipelines(ReferenceStore):
    async def execute_pipeline(self, commands: Any) -> list[Any]:
        return (await super().execute_pipeline(commands))[::-1]


class NotAtOnce(ReferenceStore):
    async def execute_transaction(self, commands: Any, watch: Any = None) -> list[Any]:
        self.check_watch(watch)
        return await self.execute_pipeline(commands)


@caught_by("TransactionTests", "test_nobodys_commands_come_between")
class LetsOthersBetween(NotAtOnce):
    pass


@caught_by("TransactionTests", "test_nobody_sees_one_half_done")
class ShowsTheMiddle(NotAtOnce):
    pass


@caught_by("TransactionTests", "test_one_refused_command_and_none_has_run")
class RunsTheOthers(ReferenceStore):
    async def execute_transaction(self, commands: Any, watch: Any = None) -> list[Any]:
        for command in commands:
            if self.is_known(self.encoded(command.args)):
                self.apply(self.encoded(command.args))
        return await super().execute_transaction(commands, watch)


@caught_by("WatchTests", "test_a_watched_key_that_changed_aborts_and_nothing_has_run")
class WatchesNothing(ReferenceStore):
    def check_watch(self, watch: Any) -> None:
        pass


@caught_by("WatchTests", "test_a_watched_key_that_did_not_change_lets_it_run")
class WatchesEverything(ReferenceStore):
    async def watch(self, *keys: Any) -> Any:
        watch = await super().watch(*keys)
        watch.versions[b"all"] = sum(self.data.versions.values())
        return watch

    def check_watch(self, watch: Any) -> None:
        if watch is not None:
            total = watch.versions.pop(b"all")
            super().check_watch(watch)
            watch.versions[b"never"] = int(total != sum(self.data.versions.values()))
            super().check_watch(watch)


# Pub/sub.


class _Mutated(ReferenceStore):
    subscriber_kind: type[ReferenceSubscriber] = ReferenceSubscriber

    def pubsub(self, protocol: Any = None, *, limit: int = DEFAULT_LIMIT) -> PubSub:
        self.check_open()
        if self.subscriber is None:
            self.subscriber = self.subscriber_kind(self.namespace)
        return PubSub(self.subscriber, make_codec(protocol), limit)


class _Everywhere(ReferenceSubscriber):
    def receive(self, wire: bytes, data: bytes) -> int:
        names = self.subscriptions.names(kind=Kind.CHANNEL)
        return sum(super(_Everywhere, self).receive(each, data) for each in names)


@caught_by("PubSubTests", "test_other_channels_are_silent")
class PublishesEverywhere(_Mutated):
    subscriber_kind = _Everywhere


class _Backwards(ReferenceSubscriber):
    held: tuple[bytes, bytes] | None = None

    def receive(self, wire: bytes, data: bytes) -> int:
        if self.held is None:
            self.held = (wire, data)
            return 1
        earlier, self.held = self.held, None
        return super().receive(wire, data) + super().receive(*earlier)


@caught_by("PubSubTests", "test_every_message_after_subscribe_arrives_in_order")
class SwapsMessages(_Mutated):
    subscriber_kind = _Backwards


@caught_by("PubSubTests", "test_closing_the_store_ends_every_reader")
class LeavesReadersWaiting(ReferenceStore):
    async def _close(self) -> None:
        self.subscriber = None


class _Countless(ReferenceSubscriber):
    async def publish(self, channel: str, data: bytes, *, kind: Kind) -> int:
        return await super().publish(channel, data, kind=kind) and 7


@caught_by("ReceiverTests", "test_publish_says_how_many_received")
class InventsReceivers(_Mutated):
    subscriber_kind = _Countless


class _OnlyChannels(ReferenceSubscriber):
    async def unsubscribe(self, pubsub: PubSub, names: Any, *, kind: Kind) -> None:
        if kind is not Kind.PATTERN:
            await super().unsubscribe(pubsub, names, kind=kind)


@caught_by("PatternTests", "test_an_unsubscribed_pattern_is_silent")
class KeepsPatterns(_Mutated):
    subscriber_kind = _OnlyChannels


class _Nameless(ReferenceSubscriber):
    def receive(self, wire: bytes, data: bytes) -> int:
        for pubsub in self.subscriptions.pubsubs():
            pubsub.receive(wire.decode(), data)
        return 1


@caught_by("PatternTests", "test_a_pattern_names_itself_in_its_messages")
class ForgetsThePattern(_Mutated):
    subscriber_kind = _Nameless


class _OneSpace(ReferenceSubscriber):
    async def publish(self, channel: str, data: bytes, *, kind: Kind) -> int:
        return await super().publish(channel, data, kind=Kind.SHARD) + await super().publish(
            channel, data, kind=Kind.CHANNEL
        )


@caught_by("ShardedTests", "test_shard_channels_and_channels_do_not_meet")
class MixesShardChannels(_Mutated):
    subscriber_kind = _OneSpace


class _KeepsShards(ReferenceSubscriber):
    async def unsubscribe(self, pubsub: PubSub, names: Any, *, kind: Kind) -> None:
        if kind is not Kind.SHARD:
            await super().unsubscribe(pubsub, names, kind=kind)


@caught_by("ShardedTests", "test_an_unsubscribed_shard_channel_is_silent_and_the_others_go_on")
class KeepsShardChannels(_Mutated):
    subscriber_kind = _KeepsShards


@caught_by("ChannelsTests", "test_namespaces_do_not_meet")
class ChannelsWithoutNamespace(ReferenceStore):
    def channels(self, namespace: Any = None, protocol: Any = "json") -> Any:
        return super().channels(None, protocol)


# Waiting.


@caught_by("BlockingTests", "test_a_blocked_caller_gets_what_is_pushed_later_and_holds_up_nobody")
class HoldsUpEverybody(ReferenceStore):
    def __init__(self, dsn: Any, params: Any) -> None:
        super().__init__(dsn, params)
        self.turn = asyncio.Lock()

    async def run(self, args: Any, options: Any) -> Any:
        async with self.turn:
            return await super().run(args, options)


@caught_by("BlockingTests", "test_what_is_there_is_taken_at_once_oldest_first")
class NewestFirst(ReferenceStore):
    def do_rpush(self, name: bytes, value: bytes) -> int:
        if not self.data.queues[self.key(name)]:
            return super().do_rpush(name, value)
        self.data.queues[self.key(name)].appendleft(value)
        return 2


# Places.


@caught_by("NamespaceTests", "test_a_namespace_hides_its_keys_from_others_and_theirs_from_it")
class IgnoresItsNamespace(ReferenceStore):
    def key(self, name: bytes) -> bytes:
        return name


@caught_by("NamespaceTests", "test_flushing_it_leaves_everything_else")
class FlushesBeyond(ReferenceStore):
    async def flush(self) -> None:
        self.data.values.clear()


@caught_by("FlushTests", "test_a_flushed_database_is_empty_and_usable")
class FlushesNothing(ReferenceStore):
    async def flush(self) -> None:
        self.bind_loop()


@caught_by("DatabaseTests", "test_a_database_is_created_filled_and_deleted")
class OneDatabaseForAll(ReferenceStore):
    def __init__(self, dsn: Any, params: Any) -> None:
        super().__init__(dsn, params)
        self.data = DATABASES["0"]


@caught_by("DatabaseTests", "test_a_database_is_created_filled_and_deleted")
class KeepsDeletedDatabases(ReferenceStore):
    async def delete_database(self, name: str) -> None:
        pass


@caught_by("ClientTests", "test_a_closed_store_gives_none")
class ClientOfAClosedStore(ReferenceStore):
    def client(self) -> Data:
        return self.data


# Errors and secrets.


@caught_by("ErrorTests", "test_an_argument_that_cannot_be_sent_is_refused_and_nothing_has_run")
class SendsAnything(ReferenceStore):
    def as_bytes(self, value: Any) -> bytes:
        return value if isinstance(value, bytes) else str(value).encode()


@caught_by("ErrorTests", "test_a_reply_that_does_not_come_in_time_is_a_timeout_and_the_store_goes_on")
class NeverTimesOut(ReferenceStore):
    async def run(self, args: Any, options: Any) -> Any:
        options.pop("timeout", None)
        return await super().run(args, options)


@caught_by("SecretTests", "test_no_secret_shows_whether_the_store_answers_or_not")
class ShowsItsPassword(ReferenceStore):
    def __repr__(self) -> str:
        return f"<ShowsItsPassword {self.dsn}>"


@caught_by("SecretTests", "test_no_secret_shows_whether_the_store_answers_or_not")
class LogsItsToken(ReferenceStore):
    async def ping(self) -> bool:
        logging.getLogger("acme").debug("connecting with %s", self.params["token"])
        return await super().ping()


@caught_by("SecretTests", "test_no_secret_shows_whether_the_store_answers_or_not")
class TellsItsPassword(ReferenceStore):
    async def ping(self) -> bool:
        try:
            raise ValueError(f"bad password {self.params['password']!r}")
        except ValueError as error:
            raise ConnectionFailed("cannot connect") from error


@caught_by("SecretTests", "test_a_pickled_store_says_which_secret_is_missing")
class PicklesNothing(ReferenceStore):
    def __reduce__(self) -> Any:
        return pickle.loads, (pickle.dumps(None),)


# Failure.


@caught_by("FailureTests", "test_cancelled_callers_shift_nobodys_reply")
class ShiftsReplies(ReferenceStore):
    def __init__(self, dsn: Any, params: Any) -> None:
        super().__init__(dsn, params)
        self.replies: list[Any] = []

    async def execute(self, *args: Any, **options: Any) -> Any:
        reply = await super().execute(*args, **options)
        self.replies.append(reply)
        await asyncio.sleep(0)
        return self.replies.pop(0)


@caught_by("FailureTests", "test_a_cancelled_transaction_runs_whole_or_not_at_all")
class StopsHalfWay(NotAtOnce):
    pass


@caught_by("FailureTests", "test_closing_while_busy_gives_every_caller_one_outcome")
class LeavesCallersWaiting(ReferenceStore):
    async def _close(self) -> None:
        if self.subscriber is not None:
            self.subscriber.close()


@caught_by("FailureTests", "test_a_second_live_event_loop_is_an_error_that_says_so")
class ServesAnyLoop(ReferenceStore):
    def bind_loop(self) -> bool:
        self.check_open()
        return False


@caught_by("FailureTests", "test_a_store_follows_to_a_new_event_loop_once_the_old_one_is_closed")
class StaysWithItsLoop(ReferenceStore):
    def bind_loop(self) -> bool:
        fresh = self._loop is None
        if super().bind_loop() and not fresh:
            raise RuntimeError("attached to a different loop")
        return fresh


@caught_by("FailureTests", "test_nothing_is_left_after_close")
class LeavesATask(ReferenceStore):
    async def run(self, args: Any, options: Any) -> Any:
        self.watchdog = asyncio.ensure_future(asyncio.sleep(60))
        return await super().run(args, options)


@caught_by("FailureTests", "test_nothing_is_left_after_close")
class LeavesASocket(ReferenceStore):
    left: ClassVar[list[Any]] = []

    async def run(self, args: Any, options: Any) -> Any:
        import socket

        self.left.append(socket.socketpair())
        return await super().run(args, options)


@caught_by("FailureTests", "test_a_slow_subscriber_loses_the_oldest_and_is_told_and_others_lose_nothing")
class LosesSilently(ReferenceStore):
    def pubsub(self, protocol: Any = None, *, limit: int = DEFAULT_LIMIT) -> PubSub:
        return super().pubsub(protocol, limit=DEFAULT_LIMIT)


# Extensions and honesty.


@caught_by("ExtensionTests", "test_execute_is_wrapped_once_for_each_command_and_answers_as_before")
class PipelinesPastExtensions(ReferenceStore):
    async def execute_pipeline(self, commands: Any) -> list[Any]:
        return [self.apply(self.encoded(command.args)) for command in commands]


@caught_by("ExtensionTests", "test_without_one_every_operation_is_the_backends_own_method")
class WrapsItself(ReferenceStore):
    def __init__(self, dsn: Any, params: Any) -> None:
        super().__init__(dsn, params)
        self.execute = super().execute  # type: ignore[method-assign]


@caught_by("ExtensionTests", "test_transaction_is_wrapped_once_for_each")
class TransactsPastExtensions(ReferenceStore):
    def transaction(self, watch: Any = (), *, raise_on_error: bool = True) -> Any:
        transaction = super().transaction(watch, raise_on_error=raise_on_error)
        transaction._run = lambda: type(self).execute_transaction(self, transaction.commands, transaction._watch)
        return transaction


@caught_by("HonestyTests", "test_what_is_declared_works_and_what_works_is_declared[watch]")
class DeclaresTooMuch(ReferenceStore):
    async def watch(self, *keys: Any) -> Any:
        return await Store.watch(self, *keys)


@caught_by("HonestyTests", "test_what_is_declared_works_and_what_works_is_declared[pubsub]")
class DeclaresTooLittle(ReferenceStore):
    capabilities = ReferenceStore.capabilities - {
        Capability.PUBSUB,
        Capability.PATTERNS,
        Capability.SHARDED,
        Capability.RECEIVERS,
    }


@caught_by("HonestyTests", "test_a_capability_is_declared_with_the_one_that_it_rests_on[watch]")
class DeclaresHalf(ReferenceStore):
    capabilities = ReferenceStore.capabilities - {Capability.TRANSACTIONS}


@caught_by("HonestyTests", "test_capabilities_are_a_frozen_set_of_known_ones")
class DeclaresWords(ReferenceStore):
    capabilities = ReferenceStore.capabilities | {"teleport"}  # type: ignore[operator]


assert SUBSCRIBERS == []
