"""``client.pipeline()``: redis-py's pipelines and transactions, on the store's connections.

What was collected goes out in one write: through ``store.execute_transaction`` between MULTI and EXEC, else through
``store.execute_pipeline``. WATCH takes a dedicated connection of the store's until the pipeline is reset. Replies,
errors, their annotations ("Command # 1 (…) of pipeline caused error: …") and when they are raised are redis-py's.

Where redis-py differs on purpose: a transaction whose EXEC was lost with the connection raises ``ConnectionError``, not
``WatchError``: it may have run, and ``client.transaction()`` would run it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio.client import Pipeline
from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.exceptions import ResponseError

from store_core import Command, ConnectionFailed, ReplyError, StoreClosed, Timeout, TransactionAborted, Unsupported
from store_redis.commands import REFUSED, instead, route, upper
from store_redis.connection import RedisConnection, until_writable
from store_redis.encoding import decoded, split_name
from store_redis.errors import in_redis_pys_words, make

if TYPE_CHECKING:
    from store_redis.client import StoreRedis
    from store_redis.store import RedisStore, RedisWatch

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
            # The watch ended with the connection. redis-py says so with its own names of errors.
            await self.reset()
            kind = "TimeoutError" if isinstance(error, Timeout) else "ConnectionError"
            raise make(TransactionAborted, f"A {kind} occurred while watching one or more keys") from error

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
        # As redis-py has it: a command with a reply for nothing (MGET of no keys) is not sent.
        sent = [index for index, (_, options) in enumerate(stack) if EMPTY_RESPONSE not in options]
        commands = [Command(split_name(stack[index][0])) for index in sent]
        undecoded = await self._leave_bytes(stack)
        try:
            replies = await self.store.execute_transaction(commands, self._watch)
        except TransactionAborted as error:
            raise make(TransactionAborted, "Watched variable changed.") from error
        except ReplyError as error:
            refused = in_redis_pys_words(error)
            if error.index is not None:
                place = sent[error.index]
                self.annotate_exception(refused, place + 1, stack[place][0])
            raise refused from error.__cause__
        self.watching = False
        answers = dict(zip(sent, self._decoded(stack, sent, replies) if undecoded else replies, strict=True))
        return [
            answers[index] if index in answers else options[EMPTY_RESPONSE] for index, (_, options) in enumerate(stack)
        ]

    async def _in_pipeline(self, stack: Stack) -> list[Any]:
        commands = [split_name(args) for args, _ in stack]
        for command in commands:
            if route(command) == REFUSED:
                raise Unsupported(f"a pipeline of {self.store.name}", upper(command[0]), instead(command))
        if not await self._leave_bytes(stack):
            return await self.store.execute_pipeline([Command(command) for command in commands])
        assert self._watch is not None
        link = self._watch.link
        prepared = [await self.store.prepare(command) for command in commands]
        await until_writable(link, link.timeout)
        replies = await link.send_batch(prepared)
        restored = [self.store.restore(args, reply) for args, reply in zip(commands, replies, strict=True)]
        return self._decoded(stack, range(len(stack)), restored)

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

    def _decoded(self, stack: Stack, sent: Any, replies: list[Any]) -> list[Any]:
        return [
            reply if NEVER_DECODE in stack[index][1] else decoded(reply, self.store.encoding)
            for index, reply in zip(sent, replies, strict=True)
        ]

    async def _results(self, stack: Stack, replies: list[Any], raise_on_error: bool) -> list[Any]:
        """What redis-py makes of the replies: its errors, its callbacks."""
        answers = [in_redis_pys_words(reply) if isinstance(reply, ReplyError) else reply for reply in replies]
        for index, (answer, (_, options)) in enumerate(zip(answers, stack, strict=True)):
            if not isinstance(answer, Exception):
                continue
            if EMPTY_RESPONSE in options and isinstance(answer, ResponseError):
                answers[index] = options[EMPTY_RESPONSE]
            elif not isinstance(answer, ResponseError):
                raise answer  # a server that is loading, or wants a password: no reply to the command
        if raise_on_error:
            self.raise_first_error(self.command_stack, answers)
        return [
            answer if isinstance(answer, Exception) else await self._client.parsed(args[0], answer, options)
            for answer, (args, options) in zip(answers, stack, strict=True)
        ]
