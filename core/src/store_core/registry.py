"""The registry: which backend serves which scheme.

Backends are found through entry points of the group ``store_core.backends`` (name = scheme, value = ``module:Class``).
Nothing is scanned before the first look-up or listing, the scan happens once, and listing imports no backend.

Who wins: ``register_store``, then the user's pin ``STORE_BACKEND_<SCHEME>=<distribution>``, then the entry point. Two
distributions that offer one scheme are an error, but only when that scheme is used. ``STORE_BLOCK=dist,…`` hides
distributions. A backend that is broken costs the others nothing.
"""

from __future__ import annotations

import importlib
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from store_core.errors import (
    BackendBlocked,
    BackendConflict,
    BackendError,
    BackendLoadError,
    IncompatibleBackend,
    UnknownBackend,
)
from store_core.installed import Claim, normalized, scan

if TYPE_CHECKING:
    from store_core.store import Store

BACKENDS_GROUP = "store_core.backends"
EXTENSIONS_GROUP = "store_core.extensions"

#: Major and minor of the hook spec that this core offers.
SPEC = (1, 0)

#: Schemes that a known distribution serves: only these earn a ``pip install`` hint.
KNOWN_DISTRIBUTIONS: Mapping[str, str] = {
    "redis": "store-redis",
    "rediss": "store-redis",
    "unix": "store-redis",
    "valkey": "store-redis",
    "valkeys": "store-redis",
    "redis+cluster": "store-redis",
    "rediss+cluster": "store-redis",
    "valkey+cluster": "store-redis",
    "valkeys+cluster": "store-redis",
    "redis+sentinel": "store-redis",
    "rediss+sentinel": "store-redis",
    "valkey+sentinel": "store-redis",
    "valkeys+sentinel": "store-redis",
    "pulsards": "store-pulsards",
    "pulsards+unix": "store-pulsards",
    "postgres": "store-postgres",
    "postgresql": "store-postgres",
}

_ErrorT = TypeVar("_ErrorT", bound=BackendError)
_BLOCK_KEY = os.environ.encodekey("STORE_BLOCK")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


@dataclass(frozen=True, slots=True)
class Backend:
    """Who serves a scheme, and how it came to be known; ``str(backend)`` is its dotted target.

    Attributes:
        scheme: The connection strings' scheme.
        target: ``module:Class``.
        distribution: The distribution's name; empty for one registered at run time.
        version: The distribution's version; empty likewise.
        origin: ``register_store``, ``pin`` or ``entry point``.
        conflict: Why nobody serves the scheme although it is offered; empty when all is well. ``load`` raises it.
    """

    scheme: str
    target: str
    distribution: str = ""
    version: str = ""
    origin: str = "entry point"
    conflict: str = ""
    _class: Any = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return self.target

    def load(self) -> type[Store]:
        """Import the Store class.

        Raises:
            BackendConflict: Several distributions offer the scheme and none is pinned, or the pin names none of them.
            BackendLoadError: The module or the class cannot be imported, or it is no Store class.
            IncompatibleBackend: It was written for another major of the hook spec.
        """
        if self.conflict:
            raise self._error(BackendConflict, self.conflict)
        return self._checked(self._class or self._import())

    def _import(self) -> Any:
        module_name, _, path = self.target.partition(":")
        try:
            found: Any = importlib.import_module(module_name)
            for attribute in path.split("."):
                found = getattr(found, attribute)
        except (Exception, SystemExit) as error:
            remedy = (
                f"reinstall or remove {self.distribution}, or hide it with STORE_BLOCK={self.distribution}"
                if self.distribution
                else "register a target that can be imported"
            )
            cause = f"{type(error).__name__}: {error}"
            raise self._broken(BackendLoadError, f"cannot be loaded ({cause})", remedy) from error
        return found

    def _checked(self, found: Any) -> type[Store]:
        from store_core.store import Store  # store.py imports this module

        if not (isinstance(found, type) and issubclass(found, Store)):
            raise self._broken(BackendLoadError, "is not a subclass of store_core.Store", "report it to its author")
        spec = getattr(found, "store_spec", None)
        if not (isinstance(spec, tuple) and len(spec) == 2 and all(isinstance(number, int) for number in spec)):
            raise self._broken(IncompatibleBackend, f"declares store_spec = {spec!r}, not (major, minor)", "upgrade it")
        if spec[0] != SPEC[0] or spec[1] > SPEC[1]:
            remedy = "upgrade store-core" if spec > SPEC else f"upgrade {self.distribution or 'the backend'}"
            problem = f"was written for hook spec {spec[0]}.{spec[1]}; this store-core has {SPEC[0]}.{SPEC[1]}"
            raise self._broken(IncompatibleBackend, problem, remedy)
        return found

    def _broken(self, kind: type[_ErrorT], problem: str, remedy: str) -> _ErrorT:
        source = f" of {self.distribution} {self.version}" if self.distribution else ""
        return self._error(kind, f"the backend {self.target}{source} {problem}; {remedy}", remedy)

    def _error(self, kind: type[_ErrorT], message: str, remedy: str = "") -> _ErrorT:
        return kind(
            message,
            scheme=self.scheme,
            target=self.target,
            distribution=self.distribution,
            version=self.version,
            remedy=remedy or message.rpartition("; ")[2],
        )


class _Settled(NamedTuple):
    """A look-up's outcome, and the settings under which it holds, as ``os.environ`` keeps them."""

    backend: Backend
    block: Any
    pin_key: Any
    pin: Any


class DataStores(Mapping[str, Backend]):
    """Live mapping of scheme to ``Backend``; the module's ``data_stores`` is the one that is used."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._registered: dict[str, Backend] = {}
        self._claims: dict[str, list[Claim]] | None = None
        self._extensions: list[Claim] = []
        # Replaced, never emptied: what a look-up under way still adds to the old one is gone with it.
        self._settled: dict[str, _Settled] = {}

    def __getitem__(self, scheme: str) -> Backend:
        backend = self._find(scheme)
        if backend is None:
            raise self._unknown(scheme.lower())
        return backend

    def __iter__(self) -> Iterator[str]:
        claimed = (scheme for scheme, claims in self._scanned().items() if any(map(is_allowed, claims)))
        return iter(sorted({*self._registered, *claimed}))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, scheme: object) -> bool:
        # Mapping's own would build the error of a miss, near misses and all, only to drop it.
        return isinstance(scheme, str) and self._find(scheme) is not None

    def __repr__(self) -> str:
        return f"data_stores({', '.join(self)})"

    def refresh(self) -> None:
        """Scan the installed distributions again, at the next look-up."""
        with self._lock:
            importlib.invalidate_caches()
            self._claims = None
            self._settled = {}

    def register(self, scheme: str, target: str | type[Store]) -> Backend:
        """What ``register_store`` does."""
        scheme = scheme.lower()
        if not is_scheme(scheme):
            raise ValueError(f"{scheme!r} is not a scheme: a letter, then letters, digits, '+', '-' and '.'")
        if isinstance(target, str):
            backend = Backend(scheme, _with_colon(target), origin="register_store")
        else:
            dotted = f"{target.__module__}:{target.__qualname__}"
            backend = Backend(scheme, dotted, origin="register_store", _class=target)
        with self._lock:
            self._registered[scheme] = backend
            self._settled = {}
        return backend

    def unregister(self, scheme: str) -> None:
        """Forget what ``register_store`` added; an installed backend of that scheme is seen again.

        Raises:
            UnknownBackend: Nothing was registered under that scheme.
        """
        with self._lock:
            if self._registered.pop(scheme.lower(), None) is None:
                raise UnknownBackend(f"no store was registered for the scheme {scheme!r}", scheme=scheme)
            self._settled = {}

    def blocked(self) -> dict[str, list[Claim]]:
        """Schemes to the entry points that ``STORE_BLOCK`` hides."""
        hidden = {
            scheme: [claim for claim in claims if not is_allowed(claim)] for scheme, claims in self._scanned().items()
        }
        return {scheme: claims for scheme, claims in sorted(hidden.items()) if claims}

    def claims(self) -> dict[str, list[Claim]]:
        """Schemes to every entry point that offers them, those that ``STORE_BLOCK`` hides too."""
        return {scheme: list(claims) for scheme, claims in sorted(self._scanned().items())}

    def extensions(self) -> list[Claim]:
        """Installed extensions that are not blocked (group ``store_core.extensions``), by name."""
        return [claim for claim in self.extension_claims() if is_allowed(claim)]

    def extension_claims(self) -> list[Claim]:
        """Installed extensions by name, those that ``STORE_BLOCK`` hides too."""
        self._scanned()
        return list(self._extensions)

    def _scanned(self) -> dict[str, list[Claim]]:
        claims = self._claims
        if claims is None:
            with self._lock:
                if self._claims is None:
                    found, self._extensions = _scan()
                    self._claims = found
                claims = self._claims
        return claims

    def _find(self, scheme: str) -> Backend | None:
        # A hot path: os.environ encodes, decodes and raises at each question, so its own dictionary is asked.
        settled = self._settled
        found = settled.get(scheme)
        environ = getattr(os.environ, "_data", None)
        if (
            found is not None
            and environ is not None
            and environ.get(_BLOCK_KEY) == found.block
            and environ.get(found.pin_key) == found.pin
        ):
            return found.backend
        scheme = scheme.lower()
        if scheme not in self._registered and scheme not in self._scanned():
            return None
        key = os.environ.encodekey(pin_variable(scheme)) if environ is not None else None
        # Asked before the look-up: where a setting changes meanwhile, the outcome is of no use to the next.
        block, pin = (environ.get(_BLOCK_KEY), environ.get(key)) if environ is not None else (None, None)
        backend = self._registered.get(scheme) or self._from_claims(scheme)
        if backend is not None and environ is not None:
            settled[scheme] = _Settled(backend, block, key, pin)
        return backend

    def _from_claims(self, scheme: str) -> Backend | None:
        claims = [claim for claim in self._scanned().get(scheme, ()) if is_allowed(claim)]
        if not claims:
            return None
        pin = os.environ.get(pin_variable(scheme))
        if pin:
            pinned = [claim for claim in claims if normalized(claim.distribution) == normalized(pin)]
            return _backend(scheme, pinned, "pin") if pinned else _badly_pinned(scheme, pin, claims)
        return _backend(scheme, claims, "entry point")

    def _unknown(self, scheme: str) -> UnknownBackend | BackendBlocked:
        hidden = self._scanned().get(scheme)
        if hidden:
            names = ", ".join(claim.distribution for claim in hidden)
            remedy = "take it out of STORE_BLOCK"
            return BackendBlocked(
                f"the scheme {scheme!r} is offered by {names}, which STORE_BLOCK hides; {remedy}",
                scheme=scheme,
                target=hidden[0].value,
                distribution=hidden[0].distribution,
                version=hidden[0].version,
                remedy=remedy,
            )
        remedy = self._remedy(scheme)
        return UnknownBackend(f"no backend for the scheme {scheme!r}; {remedy}", scheme=scheme, remedy=remedy)

    def _remedy(self, scheme: str) -> str:
        if scheme in KNOWN_DISTRIBUTIONS:
            return f"pip install {KNOWN_DISTRIBUTIONS[scheme]}"
        from difflib import get_close_matches  # slow to import, and only an error needs it

        installed = list(self)
        near = get_close_matches(scheme, installed, n=1)
        if near:
            return f"did you mean {near[0]!r}?"
        near = get_close_matches(scheme, KNOWN_DISTRIBUTIONS, n=1)
        if near:
            return f"did you mean {near[0]!r}? pip install {KNOWN_DISTRIBUTIONS[near[0]]}"
        return f"installed: {', '.join(installed) or 'none'}"


def is_scheme(text: str) -> bool:
    """Whether a connection string can begin with it."""
    return _SCHEME.fullmatch(text) is not None


def pin_variable(scheme: str) -> str:
    """Name of the environment variable that pins a scheme: ``STORE_BACKEND_REDIS_CLUSTER`` for ``redis+cluster``."""
    return "STORE_BACKEND_" + re.sub(r"[^A-Z0-9]", "_", scheme.upper())


def _scan() -> tuple[dict[str, list[Claim]], list[Claim]]:
    groups = scan()
    found: dict[str, list[Claim]] = {}
    for claim in groups.get(BACKENDS_GROUP, ()):
        found.setdefault(claim.name.lower(), []).append(claim)
    return found, sorted(groups.get(EXTENSIONS_GROUP, ()))


def _backend(scheme: str, claims: list[Claim], origin: str) -> Backend:
    first, *rivals = sorted(claims, key=lambda claim: (normalized(claim.distribution), claim.value))
    conflict = ""
    names = list(dict.fromkeys(claim.distribution for claim in (first, *rivals)))
    if len(names) > 1:
        pin = f"{pin_variable(scheme)}={first.distribution}"
        conflict = f"the scheme {scheme!r} is offered by {' and '.join(names)}; pin one with {pin}"
    elif rivals:
        targets = " and ".join(claim.value for claim in (first, *rivals))
        conflict = f"{first.distribution} offers the scheme {scheme!r} twice, as {targets}; report it to its author"
    return Backend(scheme, first.value, first.distribution, first.version, origin, conflict)


def _badly_pinned(scheme: str, pin: str, claims: list[Claim]) -> Backend:
    first = claims[0]
    names = ", ".join(sorted(claim.distribution for claim in claims))
    conflict = (
        f"{pin_variable(scheme)}={pin}, but no such distribution is installed, not blocked, and offers {scheme!r}; "
        f"set {pin_variable(scheme)} to one of: {names}"
    )
    return Backend(scheme, first.value, first.distribution, first.version, "pin", conflict)


def is_allowed(claim: Claim) -> bool:
    """Whether ``STORE_BLOCK`` leaves the entry point's distribution alone."""
    block = os.environ.get("STORE_BLOCK")
    if not block:
        return True
    return normalized(claim.distribution) not in {normalized(name.strip()) for name in block.split(",")}


def _with_colon(target: str) -> str:
    if ":" in target:
        module, _, name = target.partition(":")
    else:
        module, _, name = target.rpartition(".")
    if not module or not name or not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise ValueError(f"{target!r} is not a dotted path: write 'package.module:Class'")
    return f"{module}:{name}"


data_stores = DataStores()


def register_store(scheme: str, target: str | type[Store]) -> Backend:
    """Add a backend at run time; it wins over an installed one of the same scheme.

    Args:
        scheme: The connection strings' scheme, as in ``acme`` for ``acme://…``.
        target: The Store class, or its dotted path ``package.module:Class``, imported at the first use.

    Raises:
        ValueError: The scheme or the path is malformed.
    """
    return data_stores.register(scheme, target)
