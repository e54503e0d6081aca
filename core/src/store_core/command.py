"""Commands, and the two things that collect them: a pipeline (one round trip) and a transaction (all or nothing)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from store_core.errors import StoreError

if TYPE_CHECKING:
    from store_core.store import Store


class Action(Enum):
    """What a command does to the data store."""

    CUSTOM = 0  #: a command in the data store's own language
    INSERT = 1  #: a record that is not there yet
    UPDATE = 2  #: a record that is
    DELETE = 3  #: a record that goes


CUSTOM, INSERT, UPDATE, DELETE = Action


class Command:
    """One command: its arguments, how to run them, and what kind it is.

    Attributes:
        args: The command's name and arguments, or the record for INSERT, UPDATE and DELETE.
        action: What it does.
        options: Options of ``Store.execute``.
    """

    __slots__ = ("action", "args", "options")

    def __init__(self, args: Iterable[Any], action: Action = CUSTOM, options: dict[str, Any] | None = None) -> None:
        self.args = tuple(args)
        self.action = action
        self.options = options or {}

    @property
    def name(self) -> str:
        """The command's name, for messages; never its arguments, nor the rest of a statement: they may hold secrets."""
        first = self.args[0] if self.args else ""
        text = first.decode("ascii", "replace") if isinstance(first, bytes) else str(first)
        return text.split(maxsplit=1)[0] if text.strip() else ""

    def __repr__(self) -> str:
        return f"Command({self.name!r}, {len(self.args)} args, {self.action.name})"


class Watch(Protocol):
    """A backend's hold on watched keys: the connection on which they are watched."""

    async def release(self) -> None:
        """Stop watching; harmless after the transaction ran."""


class _Collector:
    """What a pipeline and a transaction share: commands go in, results come out at the end of the ``with`` block."""

    def __init__(self, store: Store, raise_on_error: bool) -> None:
        self.commands: list[Command] = []
        self.results: list[Any] | None = None
        self._store = store
        self._raise_on_error = raise_on_error
        self._ended = False

    def execute(self, *args: Any, **options: Any) -> Command:
        """Add a command; it runs at the end of the ``with`` block.

        Raises:
            StoreError: The block has ended.
        """
        return self.add(Command(args, options=options))

    def add(self, command: Command) -> Command:
        """Add a command made by the caller."""
        self._check_open()
        self.commands.append(command)
        return command

    def __len__(self) -> int:
        return len(self.commands)

    def _check_open(self) -> None:
        if self._ended:
            raise StoreError(f"this {type(self).__name__.lower()} has ended; open another")

    def _finish(self, results: list[Any]) -> None:
        self.results = results
        if self._raise_on_error:
            raise_first_error(self.commands, results)


class Pipeline(_Collector):
    """Commands that travel together, in one round trip where the backend can; other callers' may come between.

    ``results`` holds the replies in order once the ``async with`` block has ended, errors in place; the first error
    is raised, unless ``raise_on_error`` is false. A block that raises runs nothing.
    """

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended = True
        if error is None:
            self._finish(await self._store.execute_pipeline(self.commands) if self.commands else [])


class Transaction(_Collector):
    """Commands that run all or nothing, with nobody's commands between.

    Where the data store rolls back (SQL), an error is raised whatever ``raise_on_error`` says: nothing was run.

    With ``watch`` the keys are watched before the block is entered, and the block may read them through the store;
    if one of them changes before the end, nothing runs and ``TransactionAborted`` is raised.
    """

    def __init__(self, store: Store, watch: Sequence[Any] = (), raise_on_error: bool = True) -> None:
        super().__init__(store, raise_on_error)
        self._keys = (watch,) if isinstance(watch, str | bytes) else tuple(watch)
        self._watch: Watch | None = None

    async def __aenter__(self) -> Self:
        self._check_open()
        if self._keys:
            self._watch = await self._store.watch(*self._keys)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended = True
        try:
            if error is None:
                self._finish(await self._run())
        finally:
            if self._watch is not None:
                await self._watch.release()

    async def _run(self) -> list[Any]:
        if not self.commands:
            return []
        return await self._store.execute_transaction(self.commands, watch=self._watch)


def raise_first_error(commands: Sequence[Command], results: Sequence[Any]) -> None:
    """Raise the first error among the results, with a note saying which command it answers."""
    for index, result in enumerate(results):
        if isinstance(result, Exception):
            result.add_note(f"in command {index + 1} of {len(results)} ({commands[index].name})")
            raise result
