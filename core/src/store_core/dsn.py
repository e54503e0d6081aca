"""Connection strings: parse, build, mask. Pure: nothing is looked up, opened or resolved.

::

    <scheme>://<username>:<password>@<host>/<path>?param1=...&param2=...

Every part may be percent-encoded; ``+`` means ``+``. Several hosts are separated by commas, IPv6 stands in brackets,
an embedded store has no host. ``DSN.parse(str(dsn)) == dsn`` holds for every DSN whose parts are as its attributes say.
Messages of ``DSNError`` never repeat text that could be a password in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from store_core.errors import DSNError

MASK = "***"

# What a string that no backend has claimed yet is taken to hide: better masked once too often.
_SOUNDS_SECRET = ("pass", "secret", "token", "credential", "private", "auth", "pwd", "key")

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Host:
    """One host of a connection string; ``name`` may be empty (``redis://:6380``), ``port`` None (the backend's own)."""

    name: str
    port: int | None = None

    def __str__(self) -> str:
        # The zone of an IPv6 address (fe80::1%eth0) has a percent sign of its own.
        name = f"[{_quote(self.name, ':')}]" if ":" in self.name else _quote(self.name)
        return name if self.port is None else f"{name}:{self.port}"


@dataclass(frozen=True, slots=True, repr=False)
class DSN:
    """A parsed connection string.

    Attributes:
        scheme: Lower case.
        username: Decoded, or None.
        password: Decoded, or None.
        hosts: In the order written; empty for an embedded store.
        path: Decoded, with its leading ``/``; empty where there is none.
        query: (name, value) pairs, decoded, in the order written; a name occurs once.
    """

    scheme: str
    username: str | None = None
    password: str | None = None
    hosts: tuple[Host, ...] = ()
    path: str = ""
    query: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> DSN:
        """Parse a connection string.

        Raises:
            DSNError: It is malformed; the message says where.
        """
        if not isinstance(text, str):
            raise DSNError(f"a connection string is a str, not {type(text).__name__}")
        scheme, separator, rest = text.partition("://")
        scheme = scheme.lower()
        if not separator or not _SCHEME.fullmatch(scheme):
            raise DSNError("a connection string starts with '<scheme>://', as in 'redis://127.0.0.1:6379'")
        _refuse_raw_characters(scheme, rest)
        head, _, query = rest.partition("?")
        authority, slash, path = head.partition("/")
        userinfo, at, hosts = authority.rpartition("@")
        if "@" in path and ":" in authority:
            # 'redis://user:12/34@host': read as a port and a path, a piece of the password would show in every repr.
            raise DSNError(f"{scheme}://…: a '/' in a password is written %2F, an '@' in a path %40")
        if not at and "@" in query and ":" in authority:
            # 'redis://user:pa?ss@host': the port would be a piece of the password, so it is not quoted back.
            hosts = _checked_hosts(scheme, hosts, "a '?' in a password is written %3F")
        username, colon, password = userinfo.partition(":")
        return cls(
            scheme=scheme,
            username=_decode(scheme, username, "username") or None,
            password=_decode(scheme, password, "password") if colon else None,
            hosts=_parse_hosts(scheme, hosts),
            path=_decode(scheme, slash + path, "path"),
            query=_parse_query(scheme, query),
        )

    def __str__(self) -> str:
        """The whole string, password and all: ``DSN.parse`` reads it back."""
        userinfo = "" if self.username is None else _quote(self.username)
        if self.password is not None:
            userinfo += ":" + _quote(self.password)
        return self._build(userinfo, self.query)

    def masked(self, secrets: Collection[str] | None = None) -> str:
        """The string for logs, errors and reprs.

        Args:
            secrets: Names of the parameters to mask beside the password; None masks those that sound secret.
        """
        userinfo = "" if self.username is None else _quote(self.username)
        if self.password is not None:
            userinfo += f":{MASK}"
        query = tuple((name, MASK if _is_secret(name, secrets) else value) for name, value in self.query)
        return self._build(userinfo, query)

    def mask(self, secrets: Collection[str] | None = None) -> DSN:
        """The same DSN with ``***`` in place of every secret."""
        query = tuple((name, MASK if _is_secret(name, secrets) else value) for name, value in self.query)
        return replace(self, password=None if self.password is None else MASK, query=query)

    def with_query(self, changes: Mapping[str, str | None]) -> DSN:
        """The same DSN with parameters set, or taken away where the value is None."""
        query = [(name, value) for name, value in self.query if name not in changes]
        query += [(name, value) for name, value in changes.items() if value is not None]
        return replace(self, query=tuple(query))

    def _build(self, userinfo: str, query: Iterable[tuple[str, str]]) -> str:
        authority = (f"{userinfo}@" if userinfo else "") + ",".join(map(str, self.hosts))
        pairs = "&".join(f"{_quote(name)}={_quote(value, _QUERY_SAFE)}" for name, value in query)
        return f"{self.scheme}://{authority}{_quote(self.path, _PATH_SAFE)}" + (f"?{pairs}" if pairs else "")

    def __repr__(self) -> str:
        return f"DSN({self.masked()!r})"

    def __reduce__(self) -> tuple[object, ...]:
        # A pickle crosses processes and files: it never carries a secret.
        masked = self.mask()
        return DSN, (masked.scheme, masked.username, masked.password, masked.hosts, masked.path, masked.query)

    def __copy__(self) -> DSN:
        # copy would go through the pickle, and lose the password.
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> DSN:
        return self


_PATH_SAFE = "/:,=*"
_QUERY_SAFE = "/:,.*"


def sounds_secret(name: str) -> bool:
    """Whether a parameter that no backend has declared is masked, to be on the safe side."""
    name = name.lower()
    return any(word in name for word in _SOUNDS_SECRET)


def _is_secret(name: str, secrets: Collection[str] | None) -> bool:
    return sounds_secret(name) if secrets is None else name in secrets


def _quote(text: str, safe: str = "") -> str:
    from urllib.parse import quote  # a tenth of what `import store_core` would cost

    return quote(text, safe=safe)


def _refuse_raw_characters(scheme: str, rest: str) -> None:
    if _UNPRINTABLE.search(rest):
        raise DSNError(f"{scheme}://…: a space or control character is written %XX")
    try:
        rest.encode()
    except UnicodeEncodeError:
        raise DSNError(f"{scheme}://…: a lone surrogate is not text") from None
    if "#" in rest:
        raise DSNError(f"{scheme}://…: '#' is written %23")


def _decode(scheme: str, text: str, part: str) -> str:
    if "%" not in text:
        return text
    if _BAD_PERCENT.search(text):
        raise DSNError(f"{scheme}://…: in the {part}, '%' is followed by two hexadecimal digits, or written %25")
    from urllib.parse import unquote  # as in _quote

    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        # The cause would repeat the bytes of what may be a password.
        raise DSNError(f"{scheme}://…: the {part} is not UTF-8 after percent-decoding") from None


def _checked_hosts(scheme: str, hosts: str, remedy: str) -> str:
    try:
        _parse_hosts(scheme, hosts)
    except DSNError as error:
        raise DSNError(f"{error}; {remedy}") from None
    return hosts


def _parse_hosts(scheme: str, hosts: str) -> tuple[Host, ...]:
    if not hosts:
        return ()
    parts = hosts.split(",")
    if len(parts) > 1 and not all(parts):
        raise DSNError(f"{scheme}://…: an empty host between commas")
    return tuple(_parse_host(scheme, part) for part in parts)


def _parse_host(scheme: str, text: str) -> Host:
    if text.startswith("["):
        name, bracket, after = text[1:].partition("]")
        if not bracket or (after and not after.startswith(":")) or ":" not in name:
            raise DSNError(f"{scheme}://…: an IPv6 address stands in brackets, as in [::1]:6379")
        colon, port = after[:1], after[1:]
    else:
        name, colon, port = text.partition(":")
        if ":" in port:
            raise DSNError(f"{scheme}://…: more than one ':' in a host; an IPv6 address stands in brackets")
    if not colon:
        return Host(_decode_host(scheme, name))
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise DSNError(f"{scheme}://…: a port is a number from 0 to 65535")
    return Host(_decode_host(scheme, name), int(port))


def _decode_host(scheme: str, name: str) -> str:
    name = _decode(scheme, name, "host")
    if "]" in name or "[" in name:
        raise DSNError(f"{scheme}://…: a bracket in a host; an IPv6 address stands in brackets, as in [::1]:6379")
    return name


def _parse_query(scheme: str, text: str) -> tuple[tuple[str, str], ...]:
    pairs: dict[str, str] = {}
    for item in text.split("&") if text else ():
        name, equals, value = item.partition("=")
        name = _decode(scheme, name, "parameters")
        if not equals or not name:
            raise DSNError(f"{scheme}://…: parameters are written ?name=value&name=value")
        if name in pairs:
            raise DSNError(f"{scheme}://…: the parameter {name!r} is given twice")
        pairs[name] = _decode(scheme, value, f"parameter {name!r}")
    return tuple(pairs.items())
