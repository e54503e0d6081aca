"""Whether this is the compiled form: where a loop over bytes is fast, and the detours that Python needs are not."""

from __future__ import annotations

from types import FunctionType
from typing import Final


def _probe() -> None:
    """A function of this package, compiled or not."""


COMPILED: Final = type(_probe) is not FunctionType
