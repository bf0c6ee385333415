"""The schema's version: brings a database up to the code's, and refuses one that is ahead of it.

Alembic is imported only where there is something to migrate: a start on a current database does without.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, inspect, text

from server.storage.failures import translated
from server.storage.sqlite import reader_engine, writer_engine
from server.storage.tables import metadata
from server.storage.types import SQLITE

MIGRATIONS = Path(__file__).with_name("migrations")
VERSION_TABLE = "alembic_version"


class SchemaTooNew(Exception):
    """The database was migrated by newer code."""


class SchemaTooOld(Exception):
    """The database is to be migrated first."""


class SchemaOfOthers(Exception):
    """The database has tables by our names that no migration of ours made."""


class RowsMissing(Exception):
    """The database, left as it was, has rows that name rows that are not there; the text says of which tables."""


async def migrate(url: URL) -> None:
    """Brings the database to the code's version.

    Raises SchemaTooNew, SchemaOfOthers, RowsMissing, StorageUnavailable.
    """
    await _run(url, _upgrade, _made)


async def check(url: URL) -> None:
    """Raises SchemaTooOld, SchemaTooNew, StorageUnavailable."""
    await _run(url, require_current, reader_engine)


async def _run(url: URL, work: Callable[[Connection], None], on_sqlite: Callable[[Path], Engine]) -> None:
    with translated():
        if url.get_backend_name() == SQLITE:
            await asyncio.to_thread(_run_on_sqlite, url, work, on_sqlite)
        else:
            await _run_on_postgresql(url, work)


def _made(path: Path) -> Engine:
    """Without foreign keys, which are checked at the end: a table is changed by dropping it for another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return writer_engine(path, "foreign_keys = OFF")


def _run_on_sqlite(url: URL, work: Callable[[Connection], None], engine_on: Callable[[Path], Engine]) -> None:
    path = Path(url.database or "")
    engine = engine_on(path)
    try:
        with engine.begin() as connection:
            work(connection)
    finally:
        engine.dispose()


async def _run_on_postgresql(url: URL, work: Callable[[Connection], None]) -> None:
    from server.storage.postgres import async_engine

    engine = async_engine(url, answer_seconds=None)  # a migration takes the time that it takes
    try:
        async with engine.begin() as connection:
            await connection.run_sync(work)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    if _is_current(connection):
        return
    if _version(connection) is None and set(metadata.tables).intersection(inspect(connection).get_table_names()):
        raise SchemaOfOthers
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    command.upgrade(config, "head")
    if connection.dialect.name == SQLITE:
        for table, _, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
            raise RowsMissing(f"{table} that name {parent}")


def require_current(connection: Connection) -> None:
    if not _is_current(connection):
        raise SchemaTooOld


def _is_current(connection: Connection) -> bool:
    """Raises SchemaTooNew."""
    version, known = _version(connection), revisions()
    if version is not None and version not in known:
        raise SchemaTooNew
    return version == known[-1]


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return version


def revisions() -> list[str]:
    """The code's revisions, oldest first: their files begin with them."""
    return sorted(file.name.partition("_")[0] for file in MIGRATIONS.glob("versions/[0-9]*.py"))
