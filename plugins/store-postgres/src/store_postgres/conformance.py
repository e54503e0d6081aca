"""How the conformance kit speaks SQL: keys and values in a table. ``store conformance postgres://…`` uses it too."""

from __future__ import annotations

from typing import Any

from store_core.testing.dialect import Args, Dialect

_SET = "INSERT INTO conformance VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_INCREMENT = """
INSERT INTO conformance VALUES ($1, '1') ON CONFLICT (key) DO UPDATE
SET value = convert_to((convert_from(conformance.value, 'UTF8')::bigint + 1)::text, 'UTF8')
RETURNING convert_from(value, 'UTF8')::bigint AS value
"""


class PostgresDialect(Dialect):
    """Keys and values in a table."""

    def setup(self) -> list[Args]:
        return [
            # Two stores at once would both find that it is not there.
            ("SELECT pg_advisory_xact_lock(1)",),
            ("CREATE TABLE IF NOT EXISTS conformance (key text PRIMARY KEY, value bytea)",),
        ]

    def write(self, key: str, value: Any) -> Args:
        as_bytes = value if isinstance(value, bytes) else str(value).encode() if isinstance(value, str | int) else value
        return (_SET, key, as_bytes)

    def read(self, key: str) -> Args:
        return ("SELECT value FROM conformance WHERE key = $1", key)

    def read_value(self, reply: Any) -> bytes | None:
        return reply[0]["value"] if reply else None

    def delete(self, key: str) -> Args:
        return ("DELETE FROM conformance WHERE key = $1", key)

    def increment(self, key: str) -> Args:
        return (_INCREMENT, key)

    def increment_value(self, reply: Any) -> int:
        return int(reply[0]["value"])

    def refused(self) -> Args:
        return ("SELECT * FROM store_conformance_no_such_table",)

    def slow(self, seconds: float) -> Args | None:
        return ("SELECT pg_sleep($1)", seconds)

    def push(self, key: str, value: bytes) -> Args | None:
        return None

    def blocking_pop(self, key: str, seconds: float) -> Args | None:
        return None

    def database(self) -> str:
        return "store conformance"
