"""Storage for as long as a block lasts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Engine, make_url

from server.app import EVENT_OF
from server.storage import open_storage
from server.storage.postgres import PostgresStorage
from server.storage.sqlite import SqliteStorage

AnyStorage = SqliteStorage | PostgresStorage


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AnyStorage]:
    storage = open_storage(make_url(url), EVENT_OF)
    try:
        yield storage
    finally:
        await storage.close()


def writer_of(storage: AnyStorage) -> Engine:
    """The engine that units are written through: where faults are put in."""
    return storage._writer if isinstance(storage, SqliteStorage) else storage._writer.sync_engine
