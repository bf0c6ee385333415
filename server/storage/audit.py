"""Reads a whole database for an audit, beside a running server or at rest; nothing is written, locked or checkpointed.

Each contractor's rows are read in one transaction, so that they agree. A transaction reads a few contractors and ends:
on SQLite one that stays open keeps the log from being reused.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Column, ColumnElement, Connection, Select, Table, and_, exc, or_, select, text
from sqlalchemy.util import greenlet_spawn

from server.domain.enums import ApplicationSessionStatus
from server.domain.errors import StorageUnavailable
from server.domain.events import EventType
from server.domain.invariants.books import (
    AboutRow,
    Books,
    Change,
    EmailRow,
    EventRow,
    Finding,
    NewestRow,
    Report,
    RequestRow,
)
from server.domain.trail import TrailEntry
from server.storage import schema
from server.storage.books import (
    ROWS,
    Key,
    Part,
    Range,
    decision_page,
    email_page,
    event_page,
    newest_event,
    request_page,
    trail_page,
)
from server.storage.failures import translated
from server.storage.sqlite import reader_engine
from server.storage.tables import application_sessions, contractors, events, metadata, policies
from server.storage.trail import WAITING

T = TypeVar("T")
Row = TypeVar("Row", AboutRow, RequestRow, EmailRow, EventRow, TrailEntry)

CONTRACTORS = 200  # in one transaction
MOST_DAMAGES = 100
UNREADABLE = (ValueError, TypeError, ArithmeticError)  # what a value that our types do not know ends in


def _changes(table: Table, changed: ColumnElement[bool], *types: EventType) -> tuple[Select[Any], Column[Any]]:
    """Those events of what was changed, and the contractor of each."""
    its = and_(events.c.platform == table.c.platform, events.c.resource == table.c.id)
    columns = (table.c.contractor, events.c.resource, events.c.type, events.c.create_time)
    found = select(*columns).join_from(table, events, its).where(changed, events.c.type.in_(types))
    return found, table.c.contractor


CHANGES = (
    _changes(policies, policies.c.revision > 0, EventType.POLICY_CANCELLED, EventType.POLICY_REINSTATED),
    _changes(
        application_sessions,
        application_sessions.c.status == ApplicationSessionStatus.CANCELLED,
        EventType.SESSION_CANCELLED,
    ),
)


class Stopped(Exception):
    """Nobody waits for the audit any more."""


class ToldPart(Part):
    """A part whose books have the changes that events tell of."""

    def books(self) -> dict[str, Books]:
        found = super().books()
        for statement, contractor in CHANGES:
            for row in self._rows(statement, contractor):
                change = Change(*row)
                found[change.contractor].changes[change.resource].append(change)
        return found


class Database:
    """A database that is only read."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection]], *, is_sqlite: bool) -> None:
        self._connect = connect
        self._is_sqlite = is_sqlite
        self._stopped = threading.Event()

    def require_current(self) -> None:
        """Raises SchemaTooOld, SchemaTooNew."""
        with self._transaction() as connection:
            schema.require_current(connection)

    def stop(self) -> None:
        """From another thread: the next transaction does not begin."""
        self._stopped.set()

    def damages(self) -> Iterator[Finding]:
        """What SQLite finds wrong with its file. PostgreSQL sees to its own."""
        if not self._is_sqlite:
            return
        try:
            with self._transaction() as connection:
                damages = connection.scalars(text(f"PRAGMA integrity_check({MOST_DAMAGES})")).all()
        except exc.DatabaseError as error:
            if type(error) is not exc.DatabaseError:  # out of reach
                raise
            damages = [str(error.orig)]
        for damage in damages:
            if damage != "ok":
                yield Finding("sqlite-integrity-check", (damage,))

    def dangling(self) -> Iterator[Finding]:
        """References to nothing, which SQLite refuses only where it is told to."""
        if not self._is_sqlite:
            return
        with self._transaction() as connection:
            found = {(table, parent) for table, _, parent, _ in connection.execute(text("PRAGMA foreign_key_check"))}
            for table, parent in sorted(found):
                for key in connection.execute(_without(metadata.tables[table], metadata.tables[parent])):
                    yield Finding("sqlite-foreign-key-check", (table, *map(str, key), f"has no {parent}"))

    def parts(self, look: Callable[[Part], Report]) -> Iterator[Report]:
        """What `look` says of all contractors, some at a time, each time inside a transaction."""
        after: str | None = ""
        size = CONTRACTORS
        while after is not None:
            with self._transaction() as connection:
                ids = _next_range(connection, after, size)
                try:
                    report = look(ToldPart(connection, ids))
                except UNREADABLE:
                    if size > 1:
                        size = 1  # to tell which one it is
                        continue
                    report = Report()
                    report.add([Finding("rows-can-be-read", (ids.upto or f"after {ids.after}",))])
            yield report
            after, size = ids.upto, min(2 * size, CONTRACTORS)

    def decisions(self) -> Iterator[AboutRow]:
        return self._paged(decision_page, lambda row: (row.assignment, row.number, row.contractor))

    def requests(self) -> Iterator[RequestRow]:
        return self._paged(request_page, lambda row: (row.platform, row.request_id))

    def emails(self) -> Iterator[EmailRow]:
        return self._paged(email_page, lambda row: (row.platform, row.email_folded))

    def events(self) -> Iterator[EventRow]:
        return self._paged(event_page, lambda row: (row.id,))

    def trail(self) -> Iterator[TrailEntry]:
        """Those that have their places, by platform and number."""
        return self._paged(trail_page, lambda entry: (entry.platform, entry.number or 0))

    def waiting_trail(self) -> list[TrailEntry]:
        """The first ones that have none."""
        with self._transaction() as connection:
            return [TrailEntry(**row) for row in connection.execute(WAITING, {"most": ROWS}).mappings()]

    def newest_event(self) -> NewestRow | None:
        with self._transaction() as connection:
            return newest_event(connection)

    def _paged(
        self, page_of: Callable[[Connection, Key | None], list[Row]], key: Callable[[Row], Key]
    ) -> Iterator[Row]:
        after: Key | None = None
        while True:
            with self._transaction() as connection:
                page = page_of(connection, after)
            yield from page
            if len(page) < ROWS:
                return
            after = key(page[-1])

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if self._stopped.is_set():
            raise Stopped
        with self._connect() as connection, connection.begin():
            yield connection


def _next_range(connection: Connection, after: str, size: int) -> Range:
    """So many contractors, and whatever has an id in between; the last range has no end."""
    statement = select(contractors.c.id).where(contractors.c.id > after).order_by(contractors.c.id).limit(size)
    ids = connection.scalars(statement).all()
    return Range(after, ids[-1] if len(ids) == size else None)


async def look_through(url: URL, work: Callable[[Database], T]) -> T:
    """Runs the work over the database that the URL names.

    Raises StorageUnavailable, SchemaTooOld, SchemaTooNew.
    """
    with translated():
        return await (_on_sqlite if url.get_backend_name() == "sqlite" else _on_postgresql)(url, work)


async def _on_sqlite(url: URL, work: Callable[[Database], T]) -> T:
    engine = reader_engine(_existing(url))
    database = Database(engine.connect, is_sqlite=True)
    working = asyncio.ensure_future(asyncio.to_thread(work, database))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        database.stop()
        await asyncio.wait([working])
        raise
    finally:
        engine.dispose()


def _existing(url: URL) -> Path:
    """The file, which SQLite would make. Raises StorageUnavailable."""
    path = Path(url.database or "").resolve()
    if not path.is_file():
        raise StorageUnavailable
    return path


async def _on_postgresql(url: URL, work: Callable[[Database], T]) -> T:
    from server.storage.postgres import async_engine

    engine = async_engine(url, isolation_level="REPEATABLE READ").execution_options(postgresql_readonly=True)
    try:
        return await greenlet_spawn(work, Database(engine.sync_engine.connect, is_sqlite=False))
    finally:
        await engine.dispose()


def _without(table: Table, parent: Table) -> Select[Any]:
    """The primary keys of a table's rows that name one of the parent's that is not there. SQLite itself counts rows,
    where they have numbers."""
    missing = [
        and_(
            *(column.is_not(None) for column in reference.columns),
            ~select(parent).where(*(pair.column == pair.parent for pair in reference.elements)).exists(),
        )
        for reference in table.foreign_key_constraints
        if reference.referred_table is parent
    ]
    return select(*table.primary_key).where(or_(*missing)).order_by(*table.primary_key)
