"""Units of work of commands, on a database that a server may be using."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import URL

from server.api import render
from server.domain.ports import Unit
from server.service.events import event_maker
from server.storage import open_storage, schema
from server.storage.sqlite import FileInUse, SqliteStorage

T = TypeVar("T")


async def write(url: URL, work: Callable[[Unit], T]) -> T:
    """Runs the unit. A new SQLite file gets its schema first; PostgreSQL is migrated by `optin migrate` alone.

    Raises what `work` raises, StorageUnavailable, Conflict, SchemaTooNew, SchemaTooOld, SchemaOfOthers.
    """
    storage = open_storage(url, event_maker(render.data))
    try:
        if isinstance(storage, SqliteStorage):
            await _prepare(storage, url)
        else:
            await schema.check(url)
        return await storage.write(work)
    finally:
        await storage.close()


async def _prepare(storage: SqliteStorage, url: URL) -> None:
    """A running server has migrated its file, and checkpoints it: nobody else may."""
    try:
        storage.hold()
    except FileInUse:
        storage.leave_checkpoints_to_the_server()
        await schema.check(url)
    else:
        await schema.migrate(url)
