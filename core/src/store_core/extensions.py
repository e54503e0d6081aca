"""Extensions: found, ordered by pluggy, composed around the operations of one store.

With no extension nothing here imports pluggy, and ``store.execute`` stays the backend's own method. With some, the
composed operation is set on the store object, where it shadows the method.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from store_core.errors import ExtensionError
from store_core.installed import Claim
from store_core.registry import data_stores

if TYPE_CHECKING:
    from pluggy import PluginManager

    from store_core.store import Store

logger = logging.getLogger(__name__)

#: Hook to the name of the store's operation that it wraps.
OPERATIONS = {
    "store_connect": "connect",
    "store_execute": "execute",
    "store_transaction": "execute_transaction",
    "store_pubsub": "pubsub",
}


def extend(store: Store, extensions: Iterable[Any] = ()) -> None:
    """Compose the installed extensions, then those given, around a new store.

    Raises:
        ExtensionError: One cannot be loaded, implements no hook, or returned something that cannot be called.
    """
    installed = data_stores.extensions()
    given = list(extensions)
    if not installed and not given:
        return
    manager = _manager(
        [
            *((_load(claim), f"{claim.distribution}:{claim.name}") for claim in installed),
            *((each, None) for each in given),
        ]
    )
    for hook, operation in OPERATIONS.items():
        _compose(manager, store, hook, operation)
    manager.hook.store_created(store=store)
    store.on_close(lambda: _tell_closed(manager, store))


def hooks_of(claim: Claim) -> list[str]:
    """Load an installed extension; returns the names of the hooks that it implements.

    Raises:
        ExtensionError: It cannot be loaded, implements no hook, or one that does not exist.
    """
    manager = _manager([(_load(claim), claim.name)])
    return sorted(caller.name for plugin in manager.get_plugins() for caller in manager.get_hookcallers(plugin) or ())


def _load(claim: Claim) -> Any:
    module_name, _, path = claim.value.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for attribute in path.split(".") if path else ():
            found = getattr(found, attribute)
    except (Exception, SystemExit) as error:
        raise ExtensionError(
            f"the extension {claim.value} of {claim.distribution} {claim.version} cannot be loaded "
            f"({type(error).__name__}: {error}); reinstall or remove it, or hide it with "
            f"STORE_BLOCK={claim.distribution}"
        ) from error
    return found


def _manager(extensions: Iterable[tuple[Any, str | None]]) -> PluginManager:
    from pluggy import PluginManager, PluginValidationError  # not before an extension needs it

    from store_core import hookspecs

    manager = PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs.HookSpecs)
    for extension, name in extensions:
        plugin = extension() if isinstance(extension, type) else extension
        try:
            manager.register(plugin, name)
            manager.check_pending()
        except (PluginValidationError, ValueError) as error:
            raise ExtensionError(f"the extension {plugin!r} is not valid: {error}") from error
        if not manager.get_hookcallers(plugin):
            raise ExtensionError(f"the extension {plugin!r} implements no hook; decorate one with store_core.hookimpl")
    return manager


def _compose(manager: PluginManager, store: Store, hook: str, name: str) -> None:
    built: Callable[..., Any] = getattr(store, name)
    wrapped = built
    # pluggy keeps implementations in the reverse of its calling order.
    for implementation in reversed(getattr(manager.hook, hook).get_hookimpls()):
        if implementation.hookwrapper or implementation.wrapper:
            raise ExtensionError(f"{implementation.plugin!r}: {hook} cannot be a pluggy wrapper; return a callable")
        arguments = {"store": store, "operation": wrapped}
        replacement = implementation.function(*(arguments[argument] for argument in implementation.argnames))
        if replacement is None:
            continue
        if not callable(replacement):
            raise ExtensionError(f"{implementation.plugin!r}: {hook} returned {replacement!r}, not a callable")
        wrapped = replacement
    if wrapped is not built:
        setattr(store, name, wrapped)


def _tell_closed(manager: PluginManager, store: Store) -> None:
    # The store is closed already: an extension that fails here is told of, and hinders nobody.
    try:
        manager.hook.store_closed(store=store)
    except Exception:
        logger.exception("an extension failed in store_closed of %r", store)
