"""Credentials: who a new connection says it is.

They stand in the connection string, or ``credentials=`` is a callable that is asked anew at each connect, for a
password that changes or a token that expires. redis-py's ``CredentialProvider`` objects do as well, by their methods.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from store_core import ConnectionFailed, DSNError
from store_core.parameters import Params
from store_redis.errors import make

_SHAPES = "(username, password) or a password"


class Login(NamedTuple):
    """A user and a password; None where there is none."""

    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Login({self.username!r}, ***)"


def what_is_wrong(source: Any) -> str:
    """What keeps an object from being a source of credentials; empty when nothing does."""
    return "" if _question(source) is not None else "neither a callable nor a credential provider"


def check(params: Params) -> None:
    """Refuse a password beside a callable that gives one.

    Raises:
        DSNError: Both are given.
    """
    if params["credentials"] is not None and params["password"] is not None:
        raise DSNError("'credentials' and 'password' are both given; the password comes from one of them")


async def login(params: Params, address: str) -> Login:
    """Who a connection that is made now says it is; asks the callable, if there is one.

    Args:
        params: The store's parameters.
        address: Where the connection leads, for the message of an error.

    Raises:
        ConnectionFailed: The callable failed, or returned something else; no message repeats its words, which may be
            secret.
    """
    source = params["credentials"]
    if source is None:
        return Login(params["username"], params["password"])
    ask = _question(source)
    assert ask is not None  # what_is_wrong has seen it
    try:
        answer = ask()
        if inspect.isawaitable(answer):
            answer = await answer
    except Exception as error:
        raise make(
            ConnectionFailed, f"cannot connect to {address}: credentials raised {type(error).__name__}"
        ) from error
    return _login(answer, params["username"], address)


def _question(source: Any) -> Callable[[], Any] | None:
    for name in ("get_credentials_async", "get_credentials"):
        method = getattr(source, name, None)
        if callable(method):
            return method  # type: ignore[no-any-return]
    return source if callable(source) else None


def _login(answer: Any, username: str | None, address: str) -> Login:
    parts = (answer,) if isinstance(answer, str) else answer
    if isinstance(parts, tuple | list):
        if len(parts) == 1 and isinstance(parts[0], str):
            return Login(username, parts[0])
        if len(parts) == 2 and isinstance(parts[0], str | None) and isinstance(parts[1], str):
            return Login(parts[0] or username, parts[1])
    kind = type(answer).__name__
    raise make(ConnectionFailed, f"cannot connect to {address}: credentials returned {kind}, not {_SHAPES}")
