"""Connection: what ``Store.connect`` returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self


class Connection(ABC):
    """A connection of the caller's own: its state (database, transaction, watches) touches nobody else.

    Commands run in the order in which they were called. Close it, or use it in ``async with``.
    """

    @abstractmethod
    async def execute(self, *args: Any, **options: Any) -> Any:
        """Run one command on this connection; see ``Store.execute``."""

    @abstractmethod
    async def close(self) -> None:
        """Close it; callers that wait get ``ConnectionLost``. Closing twice is harmless."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it was closed or has broken."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
