"""Storage on SQLite and PostgreSQL: tables, one repository a resource, units of work, migrations."""

from typing import TYPE_CHECKING

from sqlalchemy import URL

from server.storage.events import EventOf
from server.storage.sqlite import SqliteStorage

if TYPE_CHECKING:
    from server.storage.postgres import PostgresStorage


def open_storage(url: URL, event_of: EventOf, *, beside: bool = False) -> "SqliteStorage | PostgresStorage":
    """The storage that the URL names; SQLite or PostgreSQL, as `config.Settings` has checked.

    `event_of`: how units make the events that they record. `beside`: a server may be running on it.
    """
    if url.get_backend_name() == "sqlite":
        return SqliteStorage(url, event_of, beside=beside)
    from server.storage.postgres import PostgresStorage  # a quarter of the import time of the embedded default

    return PostgresStorage(url, event_of)
