"""INSERT with ON CONFLICT, which SQLite and PostgreSQL share and SQLAlchemy keeps in each dialect."""

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    if connection.dialect.name == postgresql.dialect.name:
        return postgresql.insert(table)
    return sqlite.insert(table)
