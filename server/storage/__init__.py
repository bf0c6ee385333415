"""Storage on SQLite and PostgreSQL: tables, one repository a resource, units of work, migrations."""

from sqlalchemy import URL

from server.storage.postgres import PostgresStorage
from server.storage.sqlite import SqliteStorage


def open_storage(url: URL) -> SqliteStorage | PostgresStorage:
    """The storage that the URL names; SQLite or PostgreSQL, as `config.Settings` has checked."""
    return SqliteStorage(url) if url.get_backend_name() == "sqlite" else PostgresStorage(url)
