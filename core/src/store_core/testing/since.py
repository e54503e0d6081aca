"""New tests enter as warnings for one minor version: a failure that is news to an author breaks no build of theirs."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

import store_core

_Test = TypeVar("_Test", bound=Callable[..., Any])

#: The kit ships with the core and has its version.
KIT_VERSION = store_core.__version__


class ConformanceWarning(UserWarning):
    """A new test of the kit fails; with the next minor version of the kit it will be a failure."""


def since(version: str, kit: str = "") -> Callable[[_Test], _Test]:
    """Mark a test as new in a minor version of the kit (``"0.2"``): in that version its failure is a warning.

    Args:
        version: Major and minor of the kit that brought the test.
        kit: The version of the kit that runs; its own by default.
    """

    def decorate(test: _Test) -> _Test:
        return _lenient(test, version) if is_new(version, kit or KIT_VERSION) else test

    return decorate


def is_new(version: str, kit: str) -> bool:
    """Whether a test that came with ``version`` still is a warning in that version of the kit."""
    return _minor(kit) <= _minor(version)


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _lenient(test: Any, version: str) -> Any:
    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def attempt(*args: Any, **options: Any) -> None:
            try:
                await test(*args, **options)
            except Exception as error:  # noqa: BLE001 - whatever a test may fail with
                _warn(test.__name__, version, error)

        return attempt

    @functools.wraps(test)
    def attempt_now(*args: Any, **options: Any) -> None:
        try:
            test(*args, **options)
        except Exception as error:  # noqa: BLE001 - as above
            _warn(test.__name__, version, error)

    return attempt_now


def _warn(name: str, version: str, error: Exception) -> None:
    reason = f"{name} is new in kit {version} and fails ({type(error).__name__}); the next minor version counts it"
    with warnings.catch_warnings():
        # A build that makes errors of warnings is the very one that this must not break.
        warnings.simplefilter("always", ConformanceWarning)
        warnings.warn(reason, ConformanceWarning, stacklevel=3)
    pytest.xfail(reason)
