"""Alembic's entry: `schema.py` brings the connection and the transaction."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import text
from sqlalchemy.types import TypeDecorator

from server.storage.tables import metadata

MIGRATION_LOCK = 20_261_122  # any constant: two processes that start at once migrate one after the other


def plain_type(kind: str, item: object, _: Any) -> str | Literal[False]:
    """Migrations name the types in the database, not our decorators, which may change."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl!r}"
    return False


connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(text("SET LOCAL lock_timeout = '60s'"))
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
context.configure(connection=connection, target_metadata=metadata, render_item=plain_type)
context.run_migrations()
