"""ClusterStore: a Redis or Valkey Cluster behind the Store API.

There is one multiplexed connection to each node. ``execute`` is the hot path: one look-up gives the position of the
command's first key, the key gives the slot, the slot the node, and the node's link does the rest. Everything else is
the slow path beside it: a name not seen before, a namespace, a command that is split or goes to several nodes, and
whatever the cluster redirects (``following.py``).
"""

from __future__ import annotations

import asyncio
from binascii import crc_hqx
from collections.abc import Sequence
from contextvars import ContextVar
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar

from store_core import (
    DSN,
    Capability,
    Command,
    ConnectionFailed,
    ReplyError,
    Store,
    StoreError,
    Timeout,
    Unsupported,
)
from store_core.command import Watch
from store_core.dsn import Host
from store_core.parameters import Parameter, Params
from store_redis.cluster.cluster import Cluster
from store_redis.cluster.connection import ClusterConnection
from store_redis.cluster.following import GONE, follow, run_pieces, send_asking
from store_redis.cluster.node import ClusterNode
from store_redis.cluster.redirects import REDIRECTING, ClusterRetry, Patience, destination
from store_redis.cluster.routing import OWN_WAY, Piece, Plan, Router
from store_redis.cluster.scan import Cursor, scan_step
from store_redis.cluster.slots import slot_at, tagged_slot
from store_redis.cluster.subscriber import ClusterSubscriber
from store_redis.cluster.topology import Address, node_dsn
from store_redis.cluster.transactions import ClusterWatch, crossing, moved_away, queue
from store_redis.collected import check_collected
from store_redis.commands import BLOCKING, SHARED, route, upper
from store_redis.connection import RedisConnection, send
from store_redis.dial import DEFAULT_HOST, Dialer
from store_redis.errors import make
from store_redis.keyspecs import read_table
from store_redis.link import Link
from store_redis.namespace import Namespace
from store_redis.parameters import PARAMETERS
from store_redis.retry import FAILURES
from store_redis.store import RedisStore

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from store_core.store import Server
    from store_redis.cluster.client import ClusterRedis

READ_FROM = ("primary", "replica", "any")

# The node that connect() is to connect to, for a link of the store's own: extensions wrap connect(), which has no
# argument for it.
_destination: ContextVar[ClusterNode | None] = ContextVar("destination", default=None)


class ClusterStore(RedisStore):
    """A Redis or Valkey Cluster."""

    several_hosts: ClassVar[bool] = True
    parameters: ClassVar[tuple[Parameter, ...]] = (
        # Client-side caching is for one server.
        *(parameter for parameter in PARAMETERS if parameter.name != "cache"),
        Parameter(
            "read_from",
            str,
            "primary",
            "who answers commands that only read: the primary, a replica (the primary where none answers), any of them",
            choices=READ_FROM,
        ),
    )
    conformance_dialect: ClassVar[str] = "store_redis.cluster.conformance:ClusterDialect"

    name = "redis-cluster"
    capabilities = RedisStore.capabilities - {Capability.RECEIVERS}

    def __init__(self, dsn: DSN, params: Params) -> None:
        super().__init__(dsn, params)
        hosts = dsn.hosts or (Host(DEFAULT_HOST),)
        seeds = [Address(host.name or DEFAULT_HOST, host.port or self.default_port) for host in hosts]
        self.dialer = _SeedsDialer(self._dsn_of(seeds[0]), params, seeds)
        self.cluster = Cluster(seeds, self._make_node, self._ask, params["read_from"], params["timeout"])
        self._slots = self.cluster.slots
        self._retry = ClusterRetry(params, self._only_read, self.redial)
        self._router: Router | None = None
        #: Names of commands and where their first key is, when nothing stands between a caller and a link.
        self._positions: dict[Any, int] = {}

    @classmethod
    async def start_server(cls, dsn: DSN, params: Params) -> Server:
        from store_redis.cluster.server import start_cluster  # processes are rarely started

        return await start_cluster(dsn, params)

    # The four operations.

    async def connect(self, *, key: Any = None, address: str | None = None) -> RedisConnection:
        """Open a connection of the caller's own; close it after use.

        Without an argument, it begins at any node, and has a connection to each further node that its commands need.

        Args:
            key: Connect to the node that serves this key, and stay there.
            address: Connect to this node (``host:port``), and stay there.

        Raises:
            ConnectionFailed: Nobody answers.
            Timeout: No answer within ``timeout``.
        """
        self.bind()
        node = _destination.get()
        if node is not None:
            return RedisConnection(self, await node.dialer.dial())
        if address is not None:
            place = Address.parse(address)
            return ClusterConnection(self, await self._dialer(place).dial(), place, tied=True)
        if key is not None:
            slot = await self.slot_of(await self.prepare(("GET", key)))
            return await follow(self.cluster, slot, self._connect_to, self._patience(None))
        return await self._connect_anywhere()

    async def execute(self, *args: Any, timeout: float | None = None) -> Any:
        try:
            key = args[self._positions[args[0]]]
            wire = key if type(key) is bytes else key.encode()
            link = self._slots[tagged_slot(wire) if b"{" in wire else crc_hqx(wire, 0) & 0x3FFF].direct
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            # A name not seen before, no key, or one that is no text: the slow path knows which.
            link = None
        if (
            link is not None
            and timeout is None
            and link.writable is None
            and link.thread == get_ident()
            and link.loop_runs()
        ):
            try:
                return await link.send(args)
            except FAILURES as error:
                if not isinstance(error, ReplyError) or error.code not in REDIRECTING:
                    return await self.go_on(error, args)
                if error.code == "MOVED":
                    self.cluster.moved(*destination(error, Address.parse(link.address)))
            except Timeout:
                self.cluster.read_soon()
                raise
        return await self._execute(args, timeout)

    async def execute_transaction(self, commands: Sequence[Command], watch: Watch | None = None) -> list[Any]:
        self.bind()
        for command in commands:
            check_collected(command, "a transaction")
        prepared = await self._prepare_all(commands)
        slot = await self._one_slot(commands, prepared)
        if isinstance(watch, ClusterWatch):
            return self._restore_all(commands, self._executed(commands, await watch.run(prepared, slot)))

        async def attempt(node: ClusterNode, asking: bool) -> list[Any]:
            replies = await queue(await node.shared(), prepared, asking)
            redirected = moved_away(replies)
            if redirected is not None:
                raise redirected
            return replies

        async def run() -> list[Any]:
            return self._executed(commands, await follow(self.cluster, slot, attempt, self._patience(None)))

        return self._restore_all(commands, await self._retry.run(run, prepared))

    def _make_subscriber(self) -> ClusterSubscriber:
        return ClusterSubscriber(self)

    # What is built on them.

    async def execute_pipeline(self, commands: Sequence[Command]) -> list[Any]:
        # An extension that wraps execute sees every command, so each goes through it.
        plain = "execute" not in self.__dict__ and not any(command.options for command in commands)
        if not plain or any(_goes_alone(command.args) for command in commands):
            for command in commands:
                check_collected(command, "a pipeline")
            return await Store.execute_pipeline(self, commands)
        self.bind()
        prepared = await self._prepare_all(commands)
        return self._restore_all(commands, await self._retry.run(partial(self._run_pipeline, prepared), prepared))

    async def _run_pipeline(self, prepared: list[tuple[Any, ...]]) -> list[Any]:
        plans = [await self._plan(args, SHARED) for args in prepared]
        pieces = [piece for plan in plans for piece in plan.pieces]
        replies = iter(await run_pieces(self.cluster, pieces, self._patience(None), None))
        return [_combined(plan, [next(replies) for _ in plan.pieces]) for plan in plans]

    async def watch(self, *keys: Any) -> ClusterWatch:
        self.bind()
        prepared = await self.prepare(("WATCH", *keys))
        slots = {slot_at(prepared, position) for position in range(1, len(prepared))}
        if len(slots) > 1:
            raise crossing("the watched keys of a transaction are in one slot: give them a common {hash tag}")
        slot = slots.pop() if slots else None

        async def attempt(node: ClusterNode, asking: bool) -> ClusterWatch:
            return await ClusterWatch.begin(node, slot, prepared, asking)

        return await follow(self.cluster, slot, attempt, self._patience(None))

    async def flush(self) -> None:
        if not self.namespace:
            await super().flush()
            return
        self.bind()
        await self._ready()
        for slot in self.cluster.primaries():
            await follow(self.cluster, slot, self._flush_node, self._patience(None))

    async def _flush_node(self, node: ClusterNode, asking: bool) -> None:
        link = await self.open_link_to(node)
        try:
            link.leave_bytes()
            await self._flush_server(link)
        finally:
            link.close()

    def _make_client(self) -> ClusterRedis:
        from store_redis.cluster.client import make_cluster_client  # redis-py takes 0.2 s to import

        return make_cluster_client(self)

    async def delete_database(self, name: str) -> None:
        """Delete everything in the database of that number, on every primary."""
        self.bind()
        topology = await self.cluster.known()
        for address in topology.shards:
            async with await self.connect(address=str(address)) as connection:
                await connection.execute("SELECT", name)
                await send(connection.link, ("FLUSHDB",))

    async def _close(self) -> None:
        await super()._close()
        await self.cluster.close()
        await self._learn.settled()

    # What the other modules of this package use.

    async def open_link(self) -> Link:
        """A new link to any node that answers."""
        failure: StoreError | None = None
        for address in self.cluster.likely():
            try:
                return await self.open_link_to(self.cluster.node(address))
            except ConnectionFailed as error:
                failure = error
        assert failure is not None
        raise failure

    async def execute_raw(self, *args: Any) -> Any:
        self.bind()
        return await self._retry.run(partial(self._dispatch, SHARED, args, None), (args,))

    async def run_blocking(self, link: Link, args: tuple[Any, ...], timeout: float | None) -> Any:
        node = self.cluster.node(Address.parse(link.address))
        return await node.blocking.run_on(link, args, timeout, lambda: None)

    def redial(self) -> None:
        """Look who serves what: a primary that is one no longer is left for the one that is."""
        self.cluster.read_soon()

    async def _run_undecoded(self, args: tuple[Any, ...]) -> Any:
        prepared = await self.prepare(args)
        slot = await self.slot_of(prepared)

        async def attempt(node: ClusterNode, asking: bool) -> Any:
            return await _undecoded(node, prepared, asking)

        return self.restore(args, await follow(self.cluster, slot, attempt, self._patience(None)))

    async def take_undecoded(self, slot: int | None = None) -> ClusterWatch:
        """A connection of one's own to the node of a slot, whose replies stay bytes; release it, and it is closed."""
        self.bind()

        async def attempt(node: ClusterNode, asking: bool) -> ClusterWatch:
            link = await node.dedicated.take()
            link.leave_bytes()
            return ClusterWatch(node, slot, link, asking, changed=True)

        return await follow(self.cluster, slot, attempt, self._patience(None))

    def redis_connection(self) -> tuple[type[AbstractConnection], dict[str, Any]]:
        from store_redis.cluster.client import connection_anywhere

        return connection_anywhere(self)

    async def live_address(self) -> Address:
        """A node that can be reached."""
        self.bind()

        async def attempt(node: ClusterNode, asking: bool) -> Address:
            await node.shared()
            return node.address

        return await follow(self.cluster, None, attempt, self._patience(None))

    async def slot_of(self, args: tuple[Any, ...]) -> int | None:
        """The slot of a prepared command; None where it has no key.

        Raises:
            Unsupported: Its keys cannot be known.
        """
        self.bind()
        router = await self._ready()
        return router.slot(args) if router.keys_known(args) else await self._ask_slot(args)

    # The slow path.

    async def _execute(self, args: tuple[Any, ...], timeout: float | None) -> Any:
        try:
            return await super()._execute(args, timeout)
        except Timeout:
            # A node that hangs keeps its connection, and never says MOVED: the others know when it is replaced.
            self.cluster.read_soon()
            raise

    async def _run(self, kind: int, args: tuple[Any, ...], timeout: float | None = None) -> Any:
        return self.restore(args, await self._dispatch(kind, await self.prepare(args), timeout))

    async def _dispatch(self, kind: int, args: tuple[Any, ...], timeout: float | None) -> Any:
        """Run a command as it goes on the wire, on whatever nodes it is for."""
        await self._ready()
        if kind == SHARED and upper(args[0]) in OWN_WAY:
            return await (self._scan(args, timeout) if upper(args[0]) == "SCAN" else self._random_key(args, timeout))
        plan = await self._plan(args, kind)
        if plan.combine is None:
            return await self._run_piece(plan.pieces[0], kind, timeout)
        if kind == SHARED:
            replies = await run_pieces(self.cluster, plan.pieces, self._patience(timeout), timeout)
        else:
            replies = await asyncio.gather(*(self._run_piece(piece, kind, timeout) for piece in plan.pieces))
        reply = _combined(plan, replies)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _run_piece(self, piece: Piece, kind: int, timeout: float | None) -> Any:
        patience = self._patience(timeout)

        async def attempt(node: ClusterNode, asking: bool) -> Any:
            link = await node.shared()
            return await (send_asking if asking else send)(link, piece.args, timeout)

        async def attempt_blocking(node: ClusterNode, asking: bool) -> Any:
            try:
                return await node.blocking.run(piece.args, timeout, self.namespace, ("ASKING",) if asking else None)
            except ReplyError:
                # The slot moved, or its primary failed, after any time at all: patience begins now.
                patience.restart()
                raise

        return await follow(
            self.cluster, piece.slot, attempt_blocking if kind == BLOCKING else attempt, patience, piece.read
        )

    async def _plan(self, args: tuple[Any, ...], kind: int) -> Plan:
        router = await self._ready()
        if not router.keys_known(args):
            return Plan([Piece(args, await self._ask_slot(args))])
        slot = router.slot(args)
        plan = (
            router.spread(args, self.cluster.primaries, self.cluster.replicas) if slot is None else router.split(args)
        )
        if plan is not None:
            return plan
        router.remember(args)
        return Plan([Piece(args, slot, read=kind == SHARED and router.reads(args))])

    async def _ready(self) -> Router:
        """The router, once the topology and the server's commands are known."""
        if self._router is None:
            await self._learn()
        if self.cluster.topology is None:
            await self.cluster.known()
        assert self._router is not None
        return self._router

    async def _learn_table(self) -> None:
        async def attempt(node: ClusterNode, asking: bool) -> Any:
            return await self._ask(node, ("COMMAND",))

        self._table = read_table(await follow(self.cluster, None, attempt, self._patience(None)))
        self._router = Router(self._table, self.params["read_from"] != "primary")
        if self.namespace:
            self._keys = Namespace(self.namespace, self.encoding, self._table)
        elif self.encoding == "utf-8":
            self._positions = self._router.positions

    async def _ask_slot(self, args: tuple[Any, ...]) -> int | None:
        """The slot of a command that the table does not know, as the server finds its keys."""
        try:
            keys = await self._run_piece(Piece(("COMMAND", "GETKEYS", *args)), SHARED, None)
        except ReplyError as error:
            if error.code == "ERR":
                return None  # it has no keys, or it is no command at all: whoever is asked says so
            detail = f"the server does not tell where its keys are: {error}"
            raise Unsupported("a cluster", upper(args[0]), detail) from error
        return tagged_slot(keys[0] if isinstance(keys[0], bytes) else keys[0].encode(self.encoding))

    async def _one_slot(self, commands: Sequence[Command], prepared: Sequence[tuple[Any, ...]]) -> int | None:
        found: int | None = None
        for index, args in enumerate(prepared):
            slot = await self.slot_of(args)
            if found is not None and slot is not None and slot != found:
                where = f"in command {index + 1} of {len(prepared)} ({commands[index].name})"
                raise crossing(f"{where}: the keys of a transaction are in one slot: give them a common {{hash tag}}")
            found = slot if slot is not None else found
        return found

    async def _scan(self, args: tuple[Any, ...], timeout: float | None) -> Any:
        try:
            cursor = Cursor.parse(args[1])
        except (IndexError, ValueError, TypeError):
            return await self._run_piece(Piece(args), SHARED, timeout)  # refused in the server's own words

        async def scan(slot: int, own: int) -> list[Any]:
            reply: list[Any] = await self._run_piece(Piece((args[0], own, *args[2:]), slot), SHARED, timeout)
            return reply

        after, keys = await scan_step(await self.cluster.known(), cursor, scan)
        text = str(after)
        return [text if self.params["decode_responses"] else text.encode(), keys]

    async def _random_key(self, args: tuple[Any, ...], timeout: float | None) -> Any:
        for slot in self.cluster.shuffled_primaries():
            key = await self._run_piece(Piece(args, slot), SHARED, timeout)
            if key is not None:
                return key
        return None

    # Connecting.

    def _patience(self, timeout: float | None) -> Patience:
        return Patience(self.params["timeout"] if timeout is None else timeout)

    def _dsn_of(self, address: Address) -> DSN:
        return node_dsn(self._dsn, address)

    def _dialer(self, address: Address, readonly: bool = False) -> Dialer:
        kind = _ReplicaDialer if readonly else Dialer
        return kind(self._dsn_of(address), self.params, self.default_port)

    def _make_node(self, address: Address, readonly: bool) -> ClusterNode:
        return ClusterNode(
            address,
            self._dialer(address, readonly),
            self.open_link_to,
            readonly=readonly,
            connections=self.params["connections"],
            dedicated=self.params["dedicated"],
            on_lost=self.cluster.read_soon,
        )

    async def open_link_to(self, node: ClusterNode) -> Link:
        """A new link to a node."""
        if node.retired:
            raise make(ConnectionFailed, f"{node.address} has left the cluster; the command was not sent")
        token = _destination.set(node)
        try:
            return await super().open_link()
        finally:
            _destination.reset(token)

    async def _connect_to(self, node: ClusterNode, asking: bool) -> RedisConnection:
        return ClusterConnection(self, await node.dialer.dial(), node.address, tied=True)

    async def _connect_anywhere(self) -> RedisConnection:
        failure: StoreError | None = None
        for address in self.cluster.likely():
            try:
                return ClusterConnection(self, await self._dialer(address).dial(), address)
            except ConnectionFailed as error:
                failure = error
        assert failure is not None
        raise failure

    async def _ask(self, node: ClusterNode, args: tuple[Any, ...]) -> Any:
        return await send(await node.shared(), args)

    def _make_tracking(self, params: Params) -> None:
        return None

    def _abandon(self) -> None:
        super()._abandon()
        self.cluster.abandon()


class _SeedsDialer(Dialer):
    """Says where the cluster is, for people."""

    def __init__(self, dsn: DSN, params: Params, seeds: Sequence[Address]) -> None:
        super().__init__(dsn, params, seeds[0].port)
        self._seeds = ",".join(map(str, seeds))

    @property
    def address(self) -> str:
        return self._seeds


class _ReplicaDialer(Dialer):
    """Asks a replica to answer reads itself, within the handshake."""

    def _introduction(self) -> list[tuple[Any, ...]]:
        return [*super()._introduction(), ("READONLY",)]


def _combined(plan: Plan, replies: list[Any]) -> Any:
    there = [reply for reply in replies if reply is not GONE]
    return replies[0] if plan.combine is None else plan.combine(there)


def _goes_alone(args: tuple[Any, ...]) -> bool:
    return not args or route(args) != SHARED or upper(args[0]) in OWN_WAY


async def _undecoded(node: ClusterNode, args: tuple[Any, ...], asking: bool) -> Any:
    async with node.dedicated.lend() as link:
        link.leave_bytes()
        try:
            if asking:
                link.send(("ASKING",)).cancel()
            return await send(link, args)
        finally:
            # The next caller of this link may want its replies decoded.
            link.close()
