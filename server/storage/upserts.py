"""INSERT with ON CONFLICT, which SQLite and PostgreSQL share and SQLAlchemy keeps in each dialect."""

from typing import TYPE_CHECKING

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


POSTGRESQL = "postgresql"


def is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == POSTGRESQL


def insert(dialect: str, table: Table) -> "sqlite.Insert | postgresql.Insert":
    if dialect == POSTGRESQL:
        from sqlalchemy.dialects import postgresql  # not imported where it is not used: it takes its time

        return postgresql.insert(table)
    return sqlite.insert(table)
