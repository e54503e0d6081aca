"""The PostgreSQL backend of store-core."""

from store_postgres.store import PostgresStore

__all__ = ["PostgresStore"]
