"""PostgreSQL through asyncpg: any number of server processes over one database."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import orjson
from sqlalchemy import URL, ExceptionContext, event, exc, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from server.domain.callers import EVERY_PLATFORM
from server.domain.ports import Unit
from server.storage import trail
from server.storage.commits import Commits
from server.storage.events import EventOf, any_waits, sequence
from server.storage.failures import translated
from server.storage.pools import use_of
from server.storage.types import json_text
from server.storage.unit import SqlUnit
from server.storage.walls import are_bypassed, reach_in_session

T = TypeVar("T")

READERS = 8
POOL_WAIT_SECONDS = 2.0
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 20.0  # of a statement: what the server's own limits miss, such as a server that stands still
SERVER_SETTINGS = {
    # No wait is without a limit. Milliseconds.
    "lock_timeout": "250",
    "statement_timeout": "15000",
    "idle_in_transaction_session_timeout": "30000",
    "application_name": "optin",
    "timezone": "UTC",
    # A plan that is kept was made for the table as it was (README, "How a change is written").
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",  # compiling takes longer than any of our statements
}
# What waits for its place leaves dead entries in an index, of which a plain scan takes note for the next one.
SEQUENCER_SETTINGS = SERVER_SETTINGS | {"enable_bitmapscan": "off"}


class PostgresStorage:
    """Implements `ports.Storage`.

    Units are the same synchronous functions as on SQLite: `greenlet_spawn` (what SQLAlchemy's own `run_sync` is
    made of) lets them await the driver from inside.
    """

    def __init__(self, url: URL, event_of: EventOf) -> None:
        self._event_of = event_of
        self._writer = async_engine(url, size=2)
        # Each statement has a view of its own anyway: a transaction around a read would cost two round trips.
        self._reader = async_engine(url, size=READERS, isolation_level="AUTOCOMMIT")
        self._aside = async_engine(url, isolation_level="AUTOCOMMIT")
        # Of its own: it must not wait for a unit, nor a unit for it.
        self._sequencer = async_engine(url, settings=SEQUENCER_SETTINGS)
        self._commits = Commits(event_of)

    async def read(self, work: Callable[[Unit], T], platform: str = EVERY_PLATFORM, *, brief: bool = False) -> T:
        return await greenlet_spawn(self._read, self._reader, work, platform)

    async def read_aside(self, work: Callable[[Unit], T]) -> T:
        return await greenlet_spawn(self._read, self._aside, work, EVERY_PLATFORM)

    async def write(self, work: Callable[[Unit], T], *, brief: bool = False) -> T:
        return await greenlet_spawn(self._commits.run, self._writer.sync_engine.connect, work)

    async def ready(self) -> None:
        """Always."""

    async def sequence(self, most: int) -> int:
        return await greenlet_spawn(self._sequence, most)

    async def ping(self) -> None:
        await greenlet_spawn(self._ping)

    def connections(self) -> Mapping[str, tuple[int, int]]:
        """Of each pool those in use, and the most there may be."""
        engines = {"reader": self._reader, "writer": self._writer, "sequencer": self._sequencer}
        return {name: use_of(engine.sync_engine.pool) for name, engine in engines.items()}

    async def close(self) -> None:
        await self._aside.dispose()
        await self._sequencer.dispose()
        await self._reader.dispose()
        await self._writer.dispose()

    async def has_walls(self) -> bool:
        """Whether row-level security binds the database's user. Raises StorageUnavailable."""
        return await greenlet_spawn(self._has_walls)

    def _has_walls(self) -> bool:
        with translated(), self._reader.sync_engine.connect() as connection:
            return not are_bypassed(connection)

    def _read(self, engine: AsyncEngine, work: Callable[[Unit], T], platform: str) -> T:
        with translated():
            try:
                return self._read_once(engine, work, platform)
            except exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return self._read_once(engine, work, platform)  # the connection was ended, most likely while idle

    def _read_once(self, engine: AsyncEngine, work: Callable[[Unit], T], platform: str) -> T:
        with engine.sync_engine.connect() as connection:
            reach_in_session(connection, platform)
            return work(SqlUnit(connection, self._event_of))

    def _sequence(self, most: int) -> int:
        with translated():
            with self._reader.sync_engine.connect() as connection:
                reach_in_session(connection, EVERY_PLATFORM)
                if not any_waits(connection):
                    return 0
            with self._sequencer.sync_engine.begin() as connection:
                return max(sequence(connection, most), trail.sequence(connection, most))

    def _ping(self) -> None:
        with translated(), self._reader.sync_engine.connect() as connection:
            connection.execute(text("SELECT 1"))


def async_engine(
    url: URL,
    *,
    size: int = 1,
    isolation_level: str = "READ COMMITTED",
    settings: Mapping[str, str] = SERVER_SETTINGS,
    answer_seconds: float | None = ANSWER_SECONDS,
) -> AsyncEngine:
    """`answer_seconds`: after which a statement raises TimeoutError; None: it may take its time."""
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        isolation_level=isolation_level,
        hide_parameters=True,  # an error's text ends in a log
        json_serializer=json_text,
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": answer_seconds,
            "server_settings": dict(settings),
        },
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def leave(context: ExceptionContext) -> None:
        # Else a rollback would wait on the same connection.
        if isinstance(context.original_exception, TimeoutError):
            context.is_disconnect = True

    return engine
