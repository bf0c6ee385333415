"""SQLite's checkpoints: what its log holds is written into the file between two units, while answers go out.

SQLite itself does it inside a COMMIT once there are a thousand pages, and that one's callers wait for all of them.
"""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from sqlalchemy import Engine, event

WRAPS = 2**32 - 1  # where the driver's count of rows begins again
ROWS = 300  # written since the last one: less than SQLite's own thousand pages, which is left as a bound


class Checkpoints:
    """Of one writer connection, and in its thread: before SQLite 3.51.3 two connections must not checkpoint at once."""

    def __init__(self, writer: Engine, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._running: asyncio.Future[None] | None = None
        self._connection: sqlite3.Connection | None = None
        event.listen(writer, "connect", self._connected)

    def _connected(self, connection: sqlite3.Connection, _record: object) -> None:
        self._connection = connection
        self._rows = 0

    def start_if_due(self) -> None:
        """After a unit."""
        if self._connection is None:
            return
        # It is closed after some units that failed: the next one is on another. At a stop the thread takes no more.
        with suppress(sqlite3.Error, RuntimeError):
            rows = self._connection.total_changes
            if (rows - self._rows) & WRAPS >= ROWS:
                self._rows = rows
                run = partial(_checkpoint, self._connection)
                self._running = asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def over(self) -> None:
        """Returns when none is running, so that the connection is free."""
        if self._running is not None:
            await asyncio.wait([self._running])
            self._running = None


def _checkpoint(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):  # a full disk, say: the log grows, and the next COMMIT tells
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
