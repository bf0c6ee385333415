"""The schema's version: brings a database up to the code's, and refuses one that is ahead of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection

from server.storage.failures import translated
from server.storage.postgres import async_engine
from server.storage.sqlite import writer_engine


class SchemaTooNew(Exception):
    """The database was migrated by newer code."""


class SchemaTooOld(Exception):
    """The database is to be migrated first."""


async def migrate(url: URL) -> None:
    """Brings the database to the code's version. Raises SchemaTooNew, StorageUnavailable."""
    await _run(url, _upgrade)


async def check(url: URL) -> None:
    """Raises SchemaTooOld, SchemaTooNew, StorageUnavailable."""
    await _run(url, _require_current)


async def _run(url: URL, work: Callable[[Connection], None]) -> None:
    with translated():
        if url.get_backend_name() == "sqlite":
            await asyncio.to_thread(_run_on_sqlite, url, work)
            return
        engine = async_engine(url)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(work)
        finally:
            await engine.dispose()


def _run_on_sqlite(url: URL, work: Callable[[Connection], None]) -> None:
    path = Path(url.database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = writer_engine(path)
    try:
        with engine.begin() as connection:
            work(connection)
    finally:
        engine.dispose()


def config(connection: Connection) -> Config:
    made = Config(attributes={"connection": connection})
    made.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return made


def _upgrade(connection: Connection) -> None:
    if _version(connection) not in {*_known(connection), None}:
        raise SchemaTooNew
    command.upgrade(config(connection), "head")


def _require_current(connection: Connection) -> None:
    version, known = _version(connection), _known(connection)
    if version is not None and version not in known:
        raise SchemaTooNew
    if version != known[0]:
        raise SchemaTooOld


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known(connection: Connection) -> list[str]:
    """The code's versions, newest first."""
    return [script.revision for script in ScriptDirectory.from_config(config(connection)).walk_revisions()]
