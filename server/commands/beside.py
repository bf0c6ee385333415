"""How a command reads and writes a database beside running servers, or without any."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL

from server.app import EVENT_OF
from server.domain.errors import StorageUnavailable
from server.domain.ports import Conflict, Storage, Unit
from server.storage import open_storage, schema
from server.storage.sqlite import FileInUse, SqliteStorage

T = TypeVar("T")

MOST_TRIES = 10
PAUSE_SECONDS = 0.1


async def write(url: URL, work: Callable[[Unit], T]) -> T:
    """One unit of work, on disk when it returns. A SQLite file that is not there is made first.

    Raises what `work` raised, StorageUnavailable, SchemaTooOld, SchemaTooNew, and Conflict when servers keep getting
    there first.
    """
    if _is_missing(url):
        await schema.migrate(url)
    async with opened(url) as beside:
        return await beside.write(work)


class Beside:
    """Implements `ports.Storage`. A command can wait: what conflicts with a server's unit is tried again."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.sequence = storage.sequence
        self.ping = storage.ping
        self.ready = storage.ready
        self.read = storage.read
        self.read_aside = storage.read_aside

    async def write(self, work: Callable[[Unit], T], *, brief: bool = False) -> T:
        for _ in range(MOST_TRIES - 1):
            try:
                return await self._storage.write(work, brief=brief)
            except Conflict:
                await asyncio.sleep(PAUSE_SECONDS)
        return await self._storage.write(work, brief=brief)

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


def _is_missing(url: URL) -> bool:
    """Of SQLite's file."""
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()


@asynccontextmanager
async def opened(url: URL) -> AsyncIterator[Beside]:
    """Raises StorageUnavailable, SchemaTooOld, SchemaTooNew."""
    if _is_missing(url):  # SQLite would make it
        raise StorageUnavailable
    await schema.check(url)
    storage = open_storage(url, EVENT_OF, beside=True)
    try:
        yield Beside(storage)
    finally:
        await storage.close()
