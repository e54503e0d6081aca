"""MODULE: there are none, and none can be loaded (``absent.py`` refuses it)."""

from __future__ import annotations

from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.table import ADMIN, NOSCRIPT, family

command = family("server")
command.container("MODULE", "A container for module commands.", since="4.0.0")


@command("MODULE|LIST", arity=2, flags=ADMIN | NOSCRIPT, since="4.0.0", tips=("nondeterministic_output_order",))
def list_(ctx: Context) -> Reply:
    """Returns all loaded modules."""
    return []
