"""The error tree: everything that this library raises on purpose.

::

    StoreError
    ├── DSNError               a connection string or one of its parameters is wrong   (also ValueError)
    ├── BackendError           finding or loading a backend went wrong
    │   ├── UnknownBackend     no installed distribution offers the scheme             (also LookupError)
    │   ├── BackendConflict    several distributions offer it and none is pinned
    │   ├── BackendBlocked     STORE_BLOCK hides the distribution that offers it       (also LookupError)
    │   ├── BackendLoadError   its module or class could not be imported
    │   └── IncompatibleBackend  it was written for another major of the hook spec
    ├── ExtensionError         an extension could not be loaded or composed
    ├── Unsupported            the backend lacks the capability                        (also NotImplementedError)
    ├── ArgumentError          an argument of a command cannot be sent                 (also TypeError)
    ├── StoreClosed            the store or the connection was closed by its owner
    ├── LoopError              one store used from two live event loops
    ├── ConnectionFailed       no connection: nothing was sent                         (also ConnectionError)
    │   └── ConnectionLost     it broke while a reply was due: the command may have run
    ├── Timeout                no reply in time: the command may have run              (also TimeoutError)
    │   └── ConnectionTimeout  no connection in time; is a ConnectionFailed as well    (also ConnectionError)
    ├── ReplyError             the data store refused the command, in its own words
    └── TransactionAborted     it gave way to another, which changed a watched key; nothing was run

A backend translates the errors of its library into these at one boundary and chains the cause. No message carries
a password, nor the value of a parameter that a backend declares secret.
"""

from __future__ import annotations


class StoreError(Exception):
    """Root of the tree."""


class DSNError(StoreError, ValueError):
    """A connection string, or a parameter in it, is wrong."""


class BackendError(StoreError):
    """Finding or loading a backend went wrong.

    Args:
        message: What is wrong and what to do about it, in one line.
        scheme: The scheme that was asked for.
        target: The entry point's value, ``module:Class``, where one was found.
        distribution: The distribution that offers it.
        version: That distribution's version.
        remedy: What to do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        scheme: str = "",
        target: str = "",
        distribution: str = "",
        version: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(message)
        self.scheme = scheme
        self.target = target
        self.distribution = distribution
        self.version = version
        self.remedy = remedy


class UnknownBackend(BackendError, KeyError):
    """No installed distribution offers the scheme."""

    # KeyError quotes its argument; the message is a sentence.
    __str__ = Exception.__str__


class BackendConflict(BackendError):
    """Several distributions offer the scheme and none is pinned."""


class BackendBlocked(BackendError, KeyError):
    """``STORE_BLOCK`` hides every distribution that offers the scheme."""

    __str__ = Exception.__str__


class BackendLoadError(BackendError):
    """The backend's module or class could not be imported, or is not a Store class."""


class IncompatibleBackend(BackendError):
    """The backend was written for another major of the hook spec."""


class ExtensionError(StoreError):
    """An extension could not be loaded, or what it returned cannot be composed."""


class Unsupported(StoreError, NotImplementedError):
    """The backend lacks a capability.

    Args:
        store: The store's name.
        capability: The missing capability.
        detail: What the caller can do instead.
    """

    def __init__(self, store: str, capability: str, detail: str = "") -> None:
        super().__init__(f"{store} does not support {capability}" + (f": {detail}" if detail else ""))
        self.store = store
        self.capability = capability
        self.detail = detail

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.store, self.capability, self.detail), self.__dict__


class ArgumentError(StoreError, TypeError):
    """An argument of a command is of a type that has no form on the wire; nothing was sent."""


class StoreClosed(StoreError):
    """The store, or the connection, was closed by its owner."""


class LoopError(StoreError):
    """One store was used from two live event loops."""


class ConnectionFailed(StoreError, ConnectionError):
    """No connection: the command was not sent."""


class ConnectionLost(ConnectionFailed):
    """The connection broke while a reply was due; the command may or may not have run."""


class Timeout(StoreError, TimeoutError):
    """No connection, or no reply, in time; a command that was sent may or may not have run."""


class ConnectionTimeout(Timeout, ConnectionFailed):
    """No connection in time; nothing was sent."""


class ReplyError(StoreError):
    """The data store refused a command; the message is its own.

    Args:
        message: The data store's words.
        code: Its code for what is wrong, where that is not the first word of the message.

    Attributes:
        index: Which command of a transaction it answers, counted from 0, where nothing was run because of it.
    """

    _code = ""
    index: int | None = None

    def __init__(self, *message: object, code: str = "") -> None:
        super().__init__(*message)
        if code:
            self._code = code

    @property
    def code(self) -> str:
        """The data store's code: the first word of Redis's messages (``WRONGTYPE``), an SQLSTATE (``23505``), …"""
        return self._code or str(self).partition(" ")[0]


class TransactionAborted(StoreError):
    """The transaction gave way to another (which changed a watched key); none of its commands ran."""
