"""Store: the one API over many data stores, and the functions that make one.

A backend is a subclass that implements what it can and declares it in ``capabilities``; whatever it leaves out raises
``Unsupported``. Creating a store does no I/O. One store serves any number of tasks of one event loop at once.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self

from store_core.capabilities import Capabilities, Capability
from store_core.channels import Channels
from store_core.command import Command, Pipeline, Transaction, Watch
from store_core.connection import Connection
from store_core.dsn import DSN, MASK, sounds_secret
from store_core.errors import (
    ConnectionFailed,
    DSNError,
    LoopError,
    ReplyError,
    StoreClosed,
    TransactionAborted,
    Unsupported,
)
from store_core.extensions import extend
from store_core.parameters import Parameter, Params, resolve, secret_names
from store_core.pubsub import DEFAULT_LIMIT, Codec, PubSub
from store_core.registry import data_stores

logger = logging.getLogger(__name__)


class Server(Protocol):
    """A server that a backend started."""

    dsn: DSN

    async def stop(self) -> None:
        """Stop it and wait until it is gone."""


class Store:
    """A data store behind a connection string; made by ``create_store``.

    Attributes:
        name: The backend's name, as in ``redis``.
        database: The database, as text; empty where the backend has only one, or the connection string names none.
        encoding: How ``str`` arguments are encoded.
        namespace: The prefix before every key; empty for none.
        params: Every parameter of the connection string, typed, defaults included.
        capabilities: What this store can do.
    """

    #: Major and minor of the hook spec that the class was written for.
    store_spec: ClassVar[tuple[int, int]] = (1, 0)
    #: The parameters of its connection strings.
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    #: The parameter that names the database, if there are several.
    database_parameter: ClassVar[str] = ""
    #: Whether a connection string may name several hosts.
    several_hosts: ClassVar[bool] = False
    #: How the conformance kit speaks to it: ``module:Object``, a ``store_core.testing.Dialect``; empty for Redis's.
    conformance_dialect: ClassVar[str] = ""

    name: str = ""
    capabilities: Capabilities = frozenset()

    def __init__(self, dsn: DSN, params: Params) -> None:
        self._dsn = dsn
        self.params = params
        self.name = self.name or dsn.scheme
        self.encoding: str = params.get("encoding", "utf-8")
        self.namespace: str = params.get("namespace", "")
        database = params[self.database_parameter] if self.database_parameter else None
        self.database = "" if database is None else str(database)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._on_close: list[Callable[[], None]] = []
        self._server: Server | None = None

    # What a backend class says of itself.

    @classmethod
    def for_dsn(cls, dsn: DSN) -> type[Store]:
        """The class that serves this connection string, where a backend has several forms."""
        return cls

    @classmethod
    def path_parameters(cls, dsn: DSN) -> Mapping[str, str]:
        """What the path of the connection string means, as parameters: the database, unless a backend says more.

        Raises:
            DSNError: The path means nothing.
        """
        path = dsn.path.strip("/")
        if not path:
            return {}
        if not cls.database_parameter:
            raise DSNError(f"{dsn.scheme}://… takes no path")
        return {cls.database_parameter: path}

    @classmethod
    async def start_server(cls, dsn: DSN, params: Params) -> Server:
        """Start a server that answers at the connection string; port 0 means a free one. For ``start_store``."""
        raise Unsupported(cls.name or dsn.scheme, Capability.START, "start the server by hand and use create_store")

    # The four operations.

    async def connect(self) -> Connection:
        """Open a connection of the caller's own; close it after use.

        Raises:
            ConnectionFailed: Nobody answers.
            Timeout: No answer within ``timeout``.
        """
        raise Unsupported(self.name, Capability.CONNECT)

    async def execute(self, *args: Any, **options: Any) -> Any:
        """Run one command and return its reply.

        Args:
            args: The command in the data store's own language: its name and its arguments, or a statement and its
                parameters. Redis: ``str`` is encoded with ``encoding``, ``int`` and ``float`` as decimal text,
                ``bytes`` as they are.
            options: ``timeout`` in seconds, over the store's own (0: none).

        Returns:
            The reply in Python types, as the backend documents it. Redis: ``bytes`` (``str`` with
            ``decode_responses``), ``int``, ``float``, ``list``, ``dict``, ``None``.

        Raises:
            ReplyError: The data store refused the command.
            ConnectionFailed: No connection; the command was not sent.
            ConnectionLost: The connection broke; the command may or may not have run.
            Timeout: No reply in time; the command may or may not have run.
        """
        raise Unsupported(self.name, Capability.EXECUTE)

    async def execute_transaction(self, commands: Sequence[Command], watch: Watch | None = None) -> list[Any]:
        """Run commands all or nothing; returns their replies. ``transaction()`` is built on it.

        A data store that goes on after a command that failed (Redis) returns its error in place. One that rolls back
        raises it, with a note saying which command it answers.

        Raises:
            TransactionAborted: The transaction gave way to another; nothing was run.
        """
        raise Unsupported(self.name, Capability.TRANSACTIONS)

    def pubsub(self, protocol: str | Codec | None = None, *, limit: int = DEFAULT_LIMIT) -> PubSub:
        """Open a PubSub; close it after use.

        Args:
            protocol: None for bytes as they are, ``"json"``, or an object with ``encode`` and ``decode``.
            limit: Messages that one reader may leave unread before it loses the oldest.
        """
        raise Unsupported(self.name, Capability.PUBSUB)

    # What is built on them.

    async def execute_pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands in order; returns their replies, errors in place. ``pipeline()`` is built on it."""
        results: list[Any] = []
        for command in commands:
            try:
                results.append(await self.execute(*command.args, **command.options))
            except ReplyError as error:
                results.append(error)
        return results

    async def watch(self, *keys: Any) -> Watch:
        """Watch keys for ``execute_transaction``; ``transaction(watch=…)`` is built on it."""
        raise Unsupported(self.name, Capability.WATCH)

    def transaction(self, watch: Sequence[Any] | str | bytes = (), *, raise_on_error: bool = True) -> Transaction:
        """An ``async with`` block that collects commands and runs them all or nothing at its end.

        Args:
            watch: Keys that must not change between the start of the block and its end.
            raise_on_error: Whether the first error among the replies is raised; else it stays in ``results``.
        """
        self.check_open()
        return Transaction(self, watch, raise_on_error)

    def pipeline(self, *, raise_on_error: bool = True) -> Pipeline:
        """An ``async with`` block that collects commands and sends them together at its end."""
        self.check_open()
        return Pipeline(self, raise_on_error)

    async def transact(
        self, function: Callable[[Transaction], Any], *, watch: Sequence[Any] | str | bytes = (), retries: int = 16
    ) -> list[Any]:
        """Run ``function(transaction)`` in a transaction, again whenever it gave way to another.

        Args:
            function: Reads what it needs through the store, adds commands to the transaction; may be a coroutine
                function. It is called once for each attempt.
            watch: The keys that it reads.
            retries: Attempts after the first one.

        Returns:
            The replies of the commands.

        Raises:
            TransactionAborted: It gave way at every attempt.
        """
        for left in range(retries, -1, -1):
            try:
                async with self.transaction(watch) as transaction:
                    waiting = function(transaction)
                    if inspect.isawaitable(waiting):
                        await waiting
                return transaction.results or []
            except TransactionAborted:
                if not left:
                    raise
        raise ValueError(f"retries is {retries}; it counts from 0")

    def channels(self, namespace: str | None = None, protocol: str | Codec | None = "json") -> Channels:
        """Events by channel over a PubSub of its own; close it after use."""
        return Channels(self, self.pubsub(protocol), namespace)

    def client(self) -> Any:
        """The backend's own rich client, on this store's connections."""
        raise Unsupported(self.name, Capability.CLIENT)

    async def ping(self) -> bool:
        """Whether the data store answers; connects if need be.

        Raises:
            ConnectionFailed: Nobody answers.
        """
        raise Unsupported(self.name, "ping")

    async def flush(self) -> None:
        """Delete all data in the database; with a namespace, only what is in the namespace."""
        raise Unsupported(self.name, Capability.FLUSH)

    async def create_database(self, name: str) -> str:
        """Make a database usable; returns its name, for ``create_store``."""
        raise Unsupported(self.name, Capability.DATABASES)

    async def delete_database(self, name: str) -> None:
        """Delete a database with everything in it."""
        raise Unsupported(self.name, Capability.DATABASES)

    def _objects(self) -> dict[str, Any]:
        """The parameters that were given and have no text."""
        given = {each.name: self.params.get(each.name) for each in self.parameters if each.keyword_only}
        return {name: value for name, value in given.items() if value is not None}

    # Life.

    @property
    def dsn(self) -> str:
        """The whole connection string, secrets included: ``create_store(store.dsn)`` makes the same store.

        A parameter that is an object is not in it: pass its keyword again.
        """
        return str(self._dsn)

    @property
    def masked_dsn(self) -> str:
        """The connection string for people: every secret is ``***``."""
        # An object shows as given, so that a pickle says what it lacks.
        shown = self._dsn.with_query(dict.fromkeys(self._objects(), MASK))
        return shown.masked(secret_names(self.parameters))

    @property
    def started(self) -> bool:
        """Whether ``start_store`` started the server; ``close`` will stop it."""
        return self._server is not None

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    async def close(self) -> None:
        """Close every connection, and stop the server if ``start_store`` started it. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._close()
        finally:
            await self._finish_close()

    async def _close(self) -> None:
        """What a backend does to close."""

    async def _finish_close(self) -> None:
        server, self._server = self._server, None
        try:
            if server is not None:
                await server.stop()
        finally:
            for callback in self._on_close:
                try:
                    callback()
                except Exception:
                    logger.exception("%r: %r failed after the store was closed", self, callback)

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call ``callback()`` once the store has been closed."""
        self._on_close.append(callback)

    def check_open(self) -> None:
        """Raise ``StoreClosed`` if the store was closed."""
        if self._closed:
            raise StoreClosed(f"{self!r} is closed; create another")

    def bind_loop(self) -> bool:
        """Tie the store to the running event loop; True when it is another one than before.

        Raises:
            StoreClosed: The store was closed.
            LoopError: The loop that it is tied to still lives.
        """
        self.check_open()
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return False
        if self._loop is not None and not self._loop.is_closed():
            raise LoopError(f"{self!r} is in use on another event loop that still lives; create a store for each loop")
        self._loop = loop
        return True

    async def __aenter__(self) -> Self:
        self.check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.masked_dsn}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle crosses processes and files: it carries no secret, and create_store says so where one is missing.
        return create_store, (self.masked_dsn,)


def create_store(url: str | DSN | Store, *, extensions: Iterable[Any] = (), **params: Any) -> Store:
    """Create a store; no I/O, the first command connects.

    Args:
        url: A connection string, or a store, which is returned as it is.
        extensions: Extensions (pluggy plugins) for this store, after the installed ones.
        params: Parameters, over those in the connection string.

    Raises:
        DSNError: The string, or a parameter, is wrong.
        BackendError: No backend serves the scheme, or it cannot be loaded.
    """
    if isinstance(url, Store):
        if params or extensions:
            raise TypeError("create_store(store) returns the store as it is and takes no parameters")
        return url
    dsn = DSN.parse(url) if not isinstance(url, DSN) else url
    kind = data_stores[dsn.scheme].load().for_dsn(dsn)
    store = kind(*_settle(kind, dsn, params))
    extend(store, extensions)
    return store


async def start_store(url: str | DSN, *, extensions: Iterable[Any] = (), **params: Any) -> Store:
    """``create_store``, except that a server is started where the url is local and nobody answers there.

    ``store.close()`` stops what was started. Port 0 picks a free port, and ``store.dsn`` has it.

    Raises:
        ConnectionFailed: Nobody answers and the url is not local.
        Unsupported: Nobody answers and the backend cannot start a server.
    """
    extensions = list(extensions)
    store = create_store(url, extensions=extensions, **params)
    dsn = store._dsn
    try:
        if all(host.port != 0 for host in dsn.hosts):
            await store.ping()
            return store
        if not is_local(dsn):
            raise DSNError(f"{store!r}: port 0 picks a free port on this machine, and the host is another")
    except ConnectionFailed:
        if not is_local(dsn):
            await store.close()
            raise
    except BaseException:
        await store.close()
        raise
    await store.close()
    server = await type(store).start_server(dsn, store.params)
    try:
        store = create_store(server.dsn, extensions=extensions, **store._objects())
    except BaseException:
        await server.stop()
        raise
    store._server = server
    try:
        await store.ping()
    except BaseException:
        await store.close()
        raise
    return store


def is_local(dsn: DSN) -> bool:
    """Whether the connection string names this machine by a loopback address, or no host at all."""
    from ipaddress import ip_address  # only start_store asks

    for host in dsn.hosts:
        try:
            loopback = ip_address(host.name).is_loopback
        except ValueError:
            loopback = host.name.lower() in ("", "localhost")
        if not loopback:
            return False
    return True


def _settle(kind: type[Store], dsn: DSN, overrides: Mapping[str, Any]) -> tuple[DSN, Params]:
    """The final connection string and its parameters: the string's own, then the keywords over them."""
    backend = kind.name or dsn.scheme
    if len(dsn.hosts) > 1 and not kind.several_hosts:
        raise DSNError(f"{backend} takes one host, not {len(dsn.hosts)}")
    given: dict[str, Any] = dict(dsn.query)
    userinfo = {"username": dsn.username, "password": dsn.password}
    path = kind.path_parameters(dsn)
    for source, where in ((userinfo, "before the '@'"), (path, "as the path")):
        for name, value in source.items():
            if value is None or value == given.get(name):
                continue
            if name in given:
                raise DSNError(f"{backend}: '{name}' is given {where} and, differently, as a parameter")
            given[name] = value
    given.update(overrides)
    params = resolve(kind.parameters, given, backend)
    _refuse_masked(kind, params, backend)
    return _overridden(kind, dsn, params, overrides, path), params


def _refuse_masked(kind: type[Store], params: Params, backend: str) -> None:
    secrets = secret_names(kind.parameters)
    # A pickled DSN does not know what the backend declares, and masks what sounds secret too.
    masked = [name for name, value in params.items() if value == MASK and (name in secrets or sounds_secret(name))]
    if masked:
        found, remedy = (", ".join(form.format(name) for name in masked) for form in ("'{}' is masked", "{}=…"))
        raise DSNError(f"{backend}: {found} (a repr or a pickle leaves it out); pass {remedy}")


def _overridden(
    kind: type[Store], dsn: DSN, params: Params, overrides: Mapping[str, Any], path: Mapping[str, str]
) -> DSN:
    declared = {parameter.name: parameter for parameter in kind.parameters}
    changes = {
        name: None if value is None or declared[name].keyword_only else declared[name].text(params[name])
        for name, value in overrides.items()
    }
    if any(name in path for name in changes):
        dsn = replace(dsn, path="").with_query({name: changes.get(name, value) for name, value in path.items()})
    if "username" in changes or "password" in changes:
        dsn = replace(dsn, username=params.get("username") or None, password=params.get("password"))
        dsn = dsn.with_query({"username": None, "password": None})
    return dsn.with_query({name: text for name, text in changes.items() if name not in ("username", "password")})
