"""Parameters of a connection string: declared once by a backend, and all else follows.

A backend lists ``Parameter`` objects. From that list come the conversion of text to values, the check of names
(with a near miss), the masking of secrets, and the tables in the docs and in ``store backends NAME``.

A parameter may be an object (a callable, say). It has no text: only a keyword of ``create_store`` gives it, no
connection string carries it, and it is masked like a secret.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from store_core.dsn import MASK
from store_core.errors import DSNError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a connection string.

    Attributes:
        name: As written in the string and as a keyword of ``create_store``.
        type: ``str``, ``int``, ``float`` or ``bool``; ``object`` for what only a keyword can give.
        default: The value when it is not given; may be None, and always is for an object.
        help: One line: what it does, its unit.
        secret: Whether to mask it in reprs, logs, errors and pickles.
        choices: The values allowed; empty for any.
        minimum: The smallest number allowed, or None.
        check: For an object: called with the value, and returns what is wrong with it ("not callable"), or "".
    """

    name: str
    type: type[str] | type[int] | type[float] | type[bool] | type[object] = str
    default: Any = None
    help: str = ""
    secret: bool = False
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    check: Callable[[Any], str] | None = None

    def __post_init__(self) -> None:
        if self.keyword_only and self.default is not None:
            raise TypeError(f"the parameter '{self.name}' is an object, whose default is None")

    @property
    def keyword_only(self) -> bool:
        """Whether it is an object: a keyword of ``create_store`` gives it, a connection string cannot."""
        return self.type is object

    def convert(self, value: Any, backend: str) -> Any:
        """The typed value of text from a connection string, or of a keyword argument.

        Raises:
            DSNError: The value does not fit; a secret one is not repeated.
        """
        if self.keyword_only:
            return self._checked(value, backend)
        try:
            converted = _CONVERTERS[self.type](value)
        except (TypeError, ValueError, OverflowError):
            raise self._error(value, backend, f"not {_NOUNS[self.type]}") from None
        if self.choices and converted not in self.choices:
            raise self._error(value, backend, "not one of " + ", ".join(map(str, self.choices)))
        if self.minimum is not None and converted < self.minimum:
            raise self._error(value, backend, f"less than {self.minimum:g}")
        return converted

    def text(self, value: Any) -> str:
        """How the value is written in a connection string; an object is not."""
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _checked(self, value: Any, backend: str) -> Any:
        if isinstance(value, str):
            if value == MASK:
                return value  # a repr or a pickle left it out, and create_store says so
            remedy = f"pass it to create_store as a keyword, {self.name}=…"
            raise DSNError(f"{backend}: the parameter '{self.name}' cannot stand in a connection string; {remedy}")
        problem = self.check(value) if self.check is not None else ""
        if problem:
            raise DSNError(f"{backend}: the parameter '{self.name}' is of type {type(value).__name__}, {problem}")
        return value

    def _error(self, value: Any, backend: str, problem: str) -> DSNError:
        shown = MASK if self.secret else repr(value)
        return DSNError(f"{backend}: the parameter '{self.name}' is {shown}, which is {problem}")


def _to_str(value: Any) -> str:
    if isinstance(value, str):
        value.encode()  # a lone surrogate is not text, and no connection string could carry it
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise TypeError


def _to_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower() if isinstance(value, int | str) else ""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError


_CONVERTERS: dict[type, Callable[[Any], Any]] = {str: _to_str, int: _to_int, float: _to_float, bool: _to_bool}
_NOUNS: dict[type, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class Params(Mapping[str, Any]):
    """Every parameter of one store, typed, defaults included; secrets are masked in its repr and its pickle."""

    __slots__ = ("_secrets", "_values")

    def __init__(self, values: Mapping[str, Any], secrets: Iterable[str] = ()) -> None:
        self._values = dict(values)
        self._secrets = frozenset(secrets)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def masked(self) -> dict[str, Any]:
        """The values, ``***`` in place of each secret that is set."""
        return {
            name: MASK if name in self._secrets and value not in (None, "") else value
            for name, value in self._values.items()
        }

    def __repr__(self) -> str:
        return f"Params({self.masked()!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return Params, (self.masked(), tuple(self._secrets))

    def __copy__(self) -> Params:
        # copy would go through the pickle, and lose the secrets.
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Params:
        return self


def secret_names(parameters: Iterable[Parameter]) -> frozenset[str]:
    """Names of the parameters declared secret, of those that are objects, and ``password``, which always is."""
    hidden = (parameter.name for parameter in parameters if parameter.secret or parameter.keyword_only)
    return frozenset(hidden) | {"password"}


def resolve(parameters: Iterable[Parameter], given: Mapping[str, Any], backend: str) -> Params:
    """Check names, convert values, fill in defaults.

    Args:
        parameters: What the backend declares.
        given: Text from the connection string and values from keywords; None means the default.
        backend: The backend's name, for messages.

    Raises:
        DSNError: An unknown name (with the nearest known one), or a value that does not fit.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            raise DSNError(f"{backend} has no parameter {name!r}{_near_miss(name, known)}")
    values = {
        name: parameter.default if given.get(name) is None else parameter.convert(given[name], backend)
        for name, parameter in known.items()
    }
    return Params(values, secret_names(known.values()))


def _near_miss(name: str, known: Mapping[str, Parameter]) -> str:
    from difflib import get_close_matches  # slow to import, and only an error needs it

    near = get_close_matches(name.lower(), known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; it has: {', '.join(known) or 'none'}"
