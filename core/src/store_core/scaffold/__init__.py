"""The template behind ``store new-backend``: a complete distribution, over SQLite, that works at once."""

from __future__ import annotations

from store_core.scaffold.scaffold import LICENCES, Scaffold, ScaffoldError, write

__all__ = ["LICENCES", "Scaffold", "ScaffoldError", "write"]
