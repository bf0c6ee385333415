"""The embedded database: one writer connection, and a few readers in threads.

Facts behind the settings are in the README, "Decisions". No async driver: a unit is one hop to a thread, where each
statement then costs tens of microseconds instead of a hop of its own. A brief one runs where it is called, on the event
loop: only its COMMIT, and a BEGIN that finds another process writing, wait in the writer's thread.
"""

import asyncio
import fcntl
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import orjson
from sqlalchemy import URL, Connection, Engine, RootTransaction, create_engine, event, exc, text
from sqlalchemy.pool import QueuePool
from sqlalchemy.util.concurrency import await_only, greenlet_spawn, in_greenlet

from server.domain.callers import EVERY_PLATFORM
from server.domain.errors import StorageUnavailable
from server.domain.ports import Unit
from server.storage import ready
from server.storage.checkpoints import Checkpoints
from server.storage.commits import Commits, Waits
from server.storage.events import EventOf
from server.storage.failures import translated
from server.storage.kept import Kept
from server.storage.pools import use_of
from server.storage.types import json_text
from server.storage.unit import SqlUnit

T = TypeVar("T")

READERS = 4
WRITER_CACHE_KIB = 32 * 1024  # SQLite's own 2 MiB hold the upper pages of a million assignments' indexes only
NO_CHECKPOINTS = ("wal_autocheckpoint = 0",)
BUSY_SECONDS = 5.0  # for `optin` commands that write beside the server


class FileInUse(Exception):
    """Another server process holds the file."""


class SqliteStorage:
    """Implements `ports.Storage` over one file.

    `beside`: a server may be running. Then the file has to be there, and nothing is checkpointed.
    """

    def __init__(self, url: URL, event_of: EventOf, *, beside: bool = False) -> None:
        self._event_of = event_of
        self.path = Path(url.database or "").resolve()  # one lock, by whatever name the file goes
        with translated():
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file: IO[str] | None = None
        self._writer = writer_engine(self.path, *(NO_CHECKPOINTS if beside else ()))
        self._kept = Kept(self._writer)
        self._turn = asyncio.Lock()  # of units: the connection has one at a time
        self._reader = reader_engine(self.path)
        self._aside = reader_engine(self.path, 1)
        self._here = reader_engine(self.path, 1)  # for one brief read after the other, on the event loop
        self._writer_thread = ThreadPoolExecutor(1, "sqlite-writer")
        self._reader_threads = ThreadPoolExecutor(READERS, "sqlite-reader")
        self._aside_thread = ThreadPoolExecutor(1, "sqlite-aside")
        self._checkpoints = None if beside else Checkpoints(self._writer, self._writer_thread)
        self._commits = Commits(event_of, _Waits(self._writer_thread))

    def hold(self) -> None:
        """Keeps other servers off the file until `close`. The kernel lets go at any exit.

        Raises FileInUse, StorageUnavailable.
        """
        with translated():
            self._lock_file = self.path.with_name(self.path.name + ".lock").open("w")
            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FileInUse(str(self.path)) from error

    async def read(self, work: Callable[[Unit], T], platform: str = EVERY_PLATFORM, *, brief: bool = False) -> T:
        if brief:
            return self._read(self._here, work)
        return await _in_thread(self._reader_threads, self._read, self._reader, work)

    async def read_aside(self, work: Callable[[Unit], T]) -> T:
        return await _in_thread(self._aside_thread, self._read, self._aside, work)

    async def write(self, work: Callable[[Unit], T], *, brief: bool = False) -> T:
        async with self._turn:
            try:
                if not brief:
                    return await _in_thread(self._writer_thread, self._write, work)
                await self.ready()
                return await greenlet_spawn(self._write, work)
            finally:
                if self._checkpoints is not None:
                    self._checkpoints.start_if_due()

    async def ready(self) -> None:
        if self._checkpoints is not None:
            await self._checkpoints.over()

    async def sequence(self, most: int) -> int:
        """Nothing is left to do: units give positions themselves."""
        return 0

    async def ping(self) -> None:
        await _in_thread(self._reader_threads, self._ping)

    def connections(self) -> Mapping[str, tuple[int, int]]:
        """Of each pool those in use, and the most there may be."""
        return {"reader": use_of(self._reader.pool), "writer": (self._kept.in_use, 1)}

    async def close(self) -> None:
        """The writer goes last: whoever closes last checkpoints."""
        self._reader_threads.shutdown()
        self._aside_thread.shutdown()
        self._aside.dispose()
        self._here.dispose()
        self._reader.dispose()
        self._writer_thread.shutdown()
        self._kept.close()
        self._writer.dispose()
        if self._lock_file is not None:
            self._lock_file.close()

    async def rewrite(self) -> None:
        """Writes the file anew: nothing lies in it but what is stored. Whoever calls must `hold` it.

        Takes its time, and the file's size once more on the disk. Raises StorageUnavailable.
        """
        async with self._turn:
            await _in_thread(self._writer_thread, self._rewrite)

    def _rewrite(self) -> None:
        self._kept.close()
        connection = self._writer.raw_connection()
        try:
            connection.cursor().execute("VACUUM")
        except sqlite3.Error as error:
            raise StorageUnavailable from error
        finally:
            connection.close()

    def _read(self, engine: Engine, work: Callable[[Unit], T]) -> T:
        with translated(), engine.begin() as connection:
            return work(SqlUnit(connection, self._event_of))

    def _ping(self) -> None:
        with translated(), self._reader.connect() as connection:
            connection.execute(text("SELECT 1"))

    def _write(self, work: Callable[[Unit], T]) -> T:
        return self._commits.run(self._kept.connection, work)


class _Waits(Waits):
    """Of a unit on the event loop: in the writer's thread, so that the loop goes on. Of one in a thread: there."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread

    def begin(self, connection: Connection) -> RootTransaction:
        if not in_greenlet():
            return connection.begin()
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            return connection.begin()
        except exc.OperationalError as error:
            if not _is_busy(error):
                raise
        finally:
            driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
        # A command writes beside this server.
        return await_only(_in_thread(self._thread, connection.begin))

    def commit(self, commit: Callable[[], None]) -> None:
        if in_greenlet():
            await_only(_in_thread(self._thread, commit))
        else:
            commit()


def _is_busy(error: exc.DBAPIError) -> bool:
    """By the primary code, which is an extended one's last byte."""
    return isinstance(error.orig, sqlite3.Error) and error.orig.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


async def _in_thread(threads: ThreadPoolExecutor, call: Callable[..., T], *args: object) -> T:
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, call, *args)
    except RuntimeError as error:
        if "shutdown" in str(error):
            raise StorageUnavailable from error
        raise


def writer_engine(path: Path, *more: str) -> Engine:
    pragmas = (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",  # what is deleted is overwritten: it may be personal
        f"cache_size = -{WRITER_CACHE_KIB}",
    )
    return _engine(path, "BEGIN IMMEDIATE", (*pragmas, *more), 1)


def reader_engine(path: Path, size: int = READERS) -> Engine:
    # Only the writer may checkpoint: SQLite before 3.51.3 has a race between two connections that do.
    return _engine(path, "BEGIN", ("query_only = ON", *NO_CHECKPOINTS), size)


def _engine(path: Path, begin: str, pragmas: tuple[str, ...], size: int) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,  # an error's text ends in a log
        json_serializer=json_text,
        json_deserializer=orjson.loads,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "cached_statements": 256},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin by itself: see `start`
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        # A plain BEGIN takes the write lock only at the first write, and then may fail at once.
        ready.run(connection, begin, ())

    return engine
