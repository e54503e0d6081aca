"""``client.pipeline()``: redis-py's pipelines and transactions, on the store's connections.

What was collected goes out in one write: through ``store.execute_transaction`` between MULTI and EXEC, else through
``store.execute_pipeline``. WATCH takes a dedicated connection of the store's until the pipeline is reset. Replies,
errors, their annotations ("Command # 1 (…) of pipeline caused error: …") and when they are raised are redis-py's.

One difference is on purpose: a transaction that was sent, and whose connection was lost, raises ``ConnectionError`` and
not ``WatchError``: it may have run, and ``client.transaction()`` would run it again.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from redis.asyncio.client import Pipeline
from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.exceptions import ResponseError

from store_core import Command, ConnectionFailed, ConnectionLost, ReplyError, StoreClosed, Timeout, TransactionAborted
from store_redis.commands import REFUSED, route, upper
from store_redis.connection import RedisConnection, until_writable
from store_redis.encoding import decoded, split_name
from store_redis.errors import in_redis_pys_words, make
from store_redis.multiplexed import PLAIN

if TYPE_CHECKING:
    from store_redis.client import StoreRedis
    from store_redis.store import RedisStore
    from store_redis.watch import RedisWatch

#: What was collected: the arguments and redis-py's options of each command.
Stack = list[tuple[tuple[Any, ...], dict[str, Any]]]

#: Commands after which the connection of a watch is as it was.
_PASSING = frozenset({"UNWATCH", "WATCH"})


class StorePipeline(Pipeline):
    """A redis-py pipeline on a store."""

    def __init__(self, client: StoreRedis, transaction: bool, shard_hint: str | None) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client
        self._watch: RedisWatch | None = None

    def __del__(self) -> None:  # type: ignore[override]
        # One that was never executed nor reset would keep a dedicated connection for ever.
        watch = getattr(self, "_watch", None)
        if watch is not None:
            watch.forget()

    def set(self, name: Any, value: Any, *args: Any, **options: Any) -> Any:
        # Without options redis-py's method does nothing but look at each of them.
        if args or options:
            return super().set(name, value, *args, **options)
        return self.execute_command("SET", name, value)

    @property
    def store(self) -> RedisStore:
        """The store that it belongs to."""
        return self._client.store

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> StorePipeline:
        return StorePipeline(self._client, transaction, shard_hint)

    async def reset(self) -> None:  # type: ignore[override]
        """Forget what was collected, and stop watching."""
        self.command_stack = []
        self.scripts = set()
        self.watching = False
        self.explicit_transaction = False
        watch, self._watch = self._watch, None
        if watch is not None:
            await watch.release()

    # Before MULTI: commands that run at once, on the connection that watches.

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        sent = split_name(args)
        name = upper(sent[0])
        if self._watch is None and name != "WATCH":
            return await self._client.execute_command(*args, **options)
        try:
            reply = await self._immediately(name, sent, options)
        except ReplyError as error:
            if EMPTY_RESPONSE in options:
                return options[EMPTY_RESPONSE]
            raise in_redis_pys_words(error) from error.__cause__
        value = await self._client.parsed(args[0], reply, options)
        if name in self.UNWATCH_COMMANDS:
            self.watching = False
        elif name == "WATCH":
            self.watching = True
        return value

    async def _immediately(self, name: str, sent: tuple[Any, ...], options: dict[str, Any]) -> Any:
        watch = self._watch
        if watch is None:
            self._watch = await self.store.watch(*sent[1:])
            return "OK"
        if NEVER_DECODE in options and self.store.params["decode_responses"]:
            # On another connection, but after the watch began: what changes since then is noticed all the same.
            return await self.store.execute_undecoded(sent)
        if name not in _PASSING and route(sent) == REFUSED:
            watch.changed = True
        try:
            return await RedisConnection(self.store, watch.link).execute(*sent)
        except (ConnectionFailed, StoreClosed, Timeout) as error:
            await self.reset()
            raise _watch_lost(error) from error

    # At the end: everything in one write.

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack: Stack = self.command_stack  # type: ignore[assignment]
        if not stack and not self.watching:
            return []
        try:
            if self.scripts:
                await self.load_scripts()
            if self.is_transaction or self.explicit_transaction:
                replies = await self._in_transaction(stack)
            else:
                replies = await self._in_pipeline(stack) if stack else []
            return await self._results(stack, replies, raise_on_error)
        finally:
            await self.reset()

    async def load_scripts(self) -> None:
        """Load the scripts that are about to run and that the server does not have."""
        scripts = list(self.scripts)
        for script, exists in zip(
            scripts, await self._client.script_exists(*(script.sha for script in scripts)), strict=True
        ):
            if not exists:
                script.sha = await self._client.script_load(script.script)

    async def _in_transaction(self, stack: Stack) -> list[Any]:
        if any(EMPTY_RESPONSE in options for _, options in stack):
            return await self._with_empty_responses(stack)
        undecoded = await self._leave_bytes(stack)
        try:
            replies = await self.store.execute_transaction(
                [Command(split_name(args)) for args, _ in stack], self._watch
            )
        except TransactionAborted as error:
            raise make(TransactionAborted, "Watched variable changed.") from error
        except ConnectionFailed as error:
            if self._watch is None or isinstance(error, ConnectionLost):
                raise
            raise _watch_lost(error) from error  # nothing was sent, so it may be tried again
        except ReplyError as error:
            refused = in_redis_pys_words(error)
            if error.index is not None:
                at_fault = stack[error.index]
                place = next(place for place, entry in enumerate(self.command_stack, 1) if entry is at_fault)
                self.annotate_exception(refused, place, at_fault[0])
            raise refused from error.__cause__
        self.watching = False
        return self._decoded(stack, replies) if undecoded else replies

    async def _with_empty_responses(self, stack: Stack) -> list[Any]:
        """As redis-py has it: a command with a reply for nothing (MGET of no keys) is not sent."""
        replies = iter(await self._in_transaction([entry for entry in stack if EMPTY_RESPONSE not in entry[1]]))
        return [options[EMPTY_RESPONSE] if EMPTY_RESPONSE in options else next(replies) for _, options in stack]

    async def _in_pipeline(self, stack: Stack) -> list[Any]:
        commands = [split_name(args) for args, _ in stack]
        if not await self._leave_bytes(stack):
            return await self.store.execute_pipeline([Command(command) for command in commands])
        assert self._watch is not None
        link = self._watch.link
        prepared = [await self.store.prepare(command) for command in commands]
        await until_writable(link, link.timeout)
        replies = await link.send_batch(prepared)
        restored = [self.store.restore(args, reply) for args, reply in zip(commands, replies, strict=True)]
        return self._decoded(stack, restored)

    async def _leave_bytes(self, stack: Stack) -> bool:
        """Whether the connection leaves replies as bytes, because some of them must not be decoded."""
        if not self.store.params["decode_responses"] or not any(NEVER_DECODE in options for _, options in stack):
            return False
        if self._watch is None:
            self._watch = await self.store.take_undecoded()
        else:
            self._watch.link.leave_bytes()
            self._watch.changed = True
        return True

    def _decoded(self, stack: Stack, replies: list[Any]) -> list[Any]:
        return [
            reply if NEVER_DECODE in options else decoded(reply, self.store.encoding)
            for (_, options), reply in zip(stack, replies, strict=True)
        ]

    async def _results(self, stack: Stack, replies: list[Any], raise_on_error: bool) -> list[Any]:
        """What redis-py makes of the replies: its errors, its callbacks."""
        if any(isinstance(reply, Exception) for reply in replies):
            replies = self._in_redis_pys_words(stack, replies)
            if raise_on_error:
                self.raise_first_error(self.command_stack, replies)
        parse = self._client.parse
        values = [
            reply if isinstance(reply, Exception) else parse(args[0], reply, options)
            for (args, options), reply in zip(stack, replies, strict=True)
        ]
        return [value if type(value) in PLAIN or not inspect.isawaitable(value) else await value for value in values]

    def _in_redis_pys_words(self, stack: Stack, replies: list[Any]) -> list[Any]:
        answers = [in_redis_pys_words(reply) if isinstance(reply, ReplyError) else reply for reply in replies]
        for index, (answer, (_, options)) in enumerate(zip(answers, stack, strict=True)):
            if isinstance(answer, ResponseError) and EMPTY_RESPONSE in options:
                answers[index] = options[EMPTY_RESPONSE]
            elif isinstance(answer, Exception) and not isinstance(answer, ResponseError):
                raise answer  # a server that is loading, or wants a password: no reply to the command
        return answers


def _watch_lost(error: Exception) -> TransactionAborted:
    # The watch ended with the connection. redis-py says so with its own names of errors.
    kind = "TimeoutError" if isinstance(error, Timeout) else "ConnectionError"
    return make(TransactionAborted, f"A {kind} occurred while watching one or more keys")
