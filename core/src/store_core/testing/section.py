"""Section: what every section of the kit stands on.

A section is a plain class of tests with the capabilities that they need. A backend's author subclasses one, or
``StoreTests``, and says where the data store is. A test whose capability is not declared is skipped, naming it. The
tests of the kit cannot be overridden: one that cannot pass yet is listed in ``expected_failures`` with its reason,
and one that is listed and passes is a failure.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio

from store_core.capabilities import Capability
from store_core.errors import StoreError
from store_core.store import Store, create_store
from store_core.testing.dialect import Dialect, RedisDialect
from store_core.testing.result import STORE, TEST, describe, secrets_of, unknown

# Before the sections are imported: an assert of theirs that fails shows what it compared.
pytest.register_assert_rewrite("store_core.testing.suite")

_ASYNC = pytest.mark.asyncio(loop_scope="function")
#: Where the kit keeps what it knows of a test, on its function.
_ABOUT = "_conformance"


class About(NamedTuple):
    """What the kit knows of one of its tests."""

    section: str
    needs: tuple[Capability, ...]


def needs(*capabilities: Capability) -> Callable[[Any], Any]:
    """Mark a test of the kit with capabilities that it needs beside those of its section."""

    def decorate(test: Any) -> Any:
        test._needs = capabilities
        return test

    return decorate


class Section:
    """Tests to subclass. Define the fixture ``store_url`` (or ``store``) in the subclass.

    Attributes:
        dialect: How the kit speaks to the backend.
        expected_failures: Test name to the reason why it fails; one that passes all the same is a failure.
        may_flush: Whether the kit may empty the database, and create and delete others.
        patience: Seconds after which a test that hangs has failed.
    """

    dialect: Dialect = RedisDialect()
    expected_failures: ClassVar[dict[str, str]] = {}
    may_flush: ClassVar[bool] = True
    patience: ClassVar[float] = 30.0

    def __init_subclass__(cls, section: str = "", needs: Iterable[Capability] = (), **options: Any) -> None:
        super().__init_subclass__(**options)
        own = {name: test for name, test in vars(cls).items() if name.startswith("test")}
        if section:
            for name, test in own.items():
                setattr(cls, name, _prepared(test, section, tuple(needs)))
        else:
            _refuse_overrides(cls, own)
        _refuse_namesakes(cls)
        _check_expected_failures(cls)

    @pytest.fixture
    def store_url(self, request: pytest.FixtureRequest) -> str:
        """The connection string of a running data store; every backend's subclass defines it, or ``store``."""
        if inspect.getattr_static(type(self), "store") is inspect.getattr_static(Section, "store"):
            pytest.fail(f"{type(self).__name__} defines neither the fixture store_url nor store", pytrace=False)
        dsn: str = request.getfixturevalue("store").dsn
        return dsn

    @pytest_asyncio.fixture(loop_scope="function")
    async def store(self, store_url: str) -> AsyncIterator[Store]:
        """A store of the test's own."""
        async with self.opened(store_url) as store:
            yield store

    @pytest_asyncio.fixture(loop_scope="function")
    async def key(self, store_url: str) -> AsyncIterator[Callable[[str], str]]:
        """Makes keys that nobody else has; they are deleted after the test."""
        made: list[str] = []
        together = uuid4().hex[:12]

        def make(name: str = "key") -> str:
            made.append(self.dialect.key(f"conformance-{name}-{uuid4().hex[:12]}", together))
            return made[-1]

        yield make
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(self.patience), self.opened(store_url) as store:
                for each in made if Capability.EXECUTE in store.capabilities else ():
                    await store.execute(*self.dialect.delete(each))

    @pytest.fixture(autouse=True)
    def _conformance(self, request: pytest.FixtureRequest, store_url: str) -> None:
        """Skips what is not declared, marks what is expected to fail, and notes whose test it is."""
        about: About | None = getattr(request.function, _ABOUT, None)
        if about is None:  # a test of the author's own
            return
        request.node.stash[STORE] = unknown(store_url)  # for the result, should this very call fail
        request.node.stash[TEST] = (about.section, frozenset({store_url}))
        store = create_store(store_url)
        request.node.stash[STORE] = describe(store)
        request.node.stash[TEST] = (about.section, secrets_of(store))
        missing = [capability for capability in about.needs if capability not in store.capabilities]
        if missing:
            pytest.skip(f"{store.name} does not declare {', '.join(missing)}")
        reason = self.expected_failures.get(request.function.__name__)
        if reason is not None:
            request.node.add_marker(pytest.mark.xfail(reason=reason, strict=True))

    # What the tests use.

    @asynccontextmanager
    async def opened(self, url: str, **params: Any) -> AsyncIterator[Store]:
        """A store that is set up as the dialect wants it, closed at the end."""
        async with create_store(url, **params) as store:
            if Capability.EXECUTE in store.capabilities:
                for command in self.dialect.setup():
                    await store.execute(*command)
            yield store

    async def write(self, store: Store, key: str, value: Any) -> None:
        """Set a key."""
        await store.execute(*self.dialect.write(key, value))

    async def read(self, store: Store, key: str) -> bytes | None:
        """The value of a key."""
        return self.dialect.read_value(await store.execute(*self.dialect.read(key)))

    async def increment(self, store: Store, key: str) -> int:
        """Add one to the number at a key."""
        return self.dialect.increment_value(await store.execute(*self.dialect.increment(key)))

    def said(self, args: tuple[Any, ...] | None, what: str) -> tuple[Any, ...]:
        """The arguments; skips the test where the dialect has no word for it."""
        if args is None:
            pytest.skip(f"{type(self.dialect).__name__} has no {what}")
        return args


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until ``condition()`` (maybe a coroutine function) is true; the test's patience ends it."""
    while True:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return
        await asyncio.sleep(0.01)


def spawn(work: Awaitable[Any]) -> asyncio.Future[Any]:
    """A task of the test's own; when the test fails before it awaits the task, its error is not also logged."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def _prepared(test: Any, section: str, capabilities: tuple[Capability, ...]) -> Any:
    about = About(section, (*capabilities, *getattr(test, "_needs", ())))
    if inspect.iscoroutinefunction(test):
        test = _ASYNC(_patient(test))
    setattr(test, _ABOUT, about)
    return test


def _patient(test: Any) -> Any:
    @functools.wraps(test)
    async def patient(self: Section, *args: Any, **fixtures: Any) -> None:
        try:
            async with asyncio.timeout(self.patience) as limit:
                await test(self, *args, **fixtures)
        except TimeoutError:
            if limit.expired():
                pytest.fail(f"still not done after {self.patience:g} s")
            raise

    return patient


def _refuse_overrides(cls: type[Section], own: dict[str, Any]) -> None:
    for name in own:
        if any(hasattr(vars(base).get(name), _ABOUT) for base in cls.__mro__[1:]):
            raise TypeError(f"{cls.__name__}.{name} overrides a test of the kit; list it in expected_failures instead")


def _refuse_namesakes(cls: type[Section]) -> None:
    # Of two tests of one name in two sections, a class of both would have only one.
    owners: dict[str, type] = {}
    for kind in cls.__mro__:
        for name, test in vars(kind).items():
            if hasattr(test, _ABOUT) and owners.setdefault(name, kind) is not kind:
                raise TypeError(f"{owners[name].__name__} and {kind.__name__} both have a test {name}")


def _check_expected_failures(cls: type[Section]) -> None:
    for name, reason in vars(cls).get("expected_failures", {}).items():
        if not callable(getattr(cls, name, None)) or not name.startswith("test"):
            raise TypeError(f"{cls.__name__}.expected_failures: there is no test {name!r}")
        if not isinstance(reason, str) or not reason.strip():
            raise TypeError(f"{cls.__name__}.expected_failures[{name!r}] says no reason")
