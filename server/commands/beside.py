"""How a command reads and writes a database beside running servers, or without any."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL

from server.app import EVENT_OF
from server.config import Settings
from server.domain.errors import StorageUnavailable
from server.domain.ports import Conflict, Storage, Unit
from server.storage import open_storage, schema
from server.storage.sqlite import FileInUse, SqliteStorage

T = TypeVar("T")

MOST_TRIES = 10
PAUSE_SECONDS = 0.1


async def write(settings: Settings, work: Callable[[Unit], T]) -> T:
    """One unit of work, on disk when it returns.

    Raises what `work` raised, StorageUnavailable, SchemaTooOld, SchemaTooNew, and Conflict when servers keep getting
    there first.
    """
    async with opened(settings) as beside:
        return await beside.write(work)


class Beside:
    """Implements `ports.Storage`. A command can wait: what conflicts with a server's unit is tried again."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.sequence = storage.sequence
        self.ping = storage.ping
        self.read = storage.read

    async def write(self, work: Callable[[Unit], T]) -> T:
        for _ in range(MOST_TRIES - 1):
            try:
                return await self._storage.write(work)
            except Conflict:
                await asyncio.sleep(PAUSE_SECONDS)
        return await self._storage.write(work)

    async def rewrite_file(self) -> bool | None:
        """SQLite's file, without what has been overwritten or moved in it; False: a server has it. None: no SQLite."""
        if not isinstance(self._storage, SqliteStorage):
            return None
        try:
            self._storage.hold()
        except FileInUse:
            return False
        await self._storage.rewrite()
        return True


def _require_file(url: URL) -> None:
    """SQLite would make it."""
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise StorageUnavailable


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Beside]:
    """Raises StorageUnavailable, SchemaTooOld, SchemaTooNew."""
    _require_file(settings.url)
    await schema.check(settings.url)
    storage = open_storage(settings.url, EVENT_OF, beside=True)
    try:
        yield Beside(storage)
    finally:
        await storage.close()
