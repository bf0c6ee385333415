"""Commits whose answer may be lost.

Each unit leaves its name in its writer's row. When a commit raises, the row tells whether it took effect: the unit
after all succeeded, or nothing of it was written. On PostgreSQL the row is read by writing it, which waits for a
transaction that is still ending on the server.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, RootTransaction, exc
from uuid_utils import uuid7

from server.domain.errors import StorageUnavailable
from server.domain.ports import Unit
from server.storage import ready
from server.storage.events import EventOf
from server.storage.failures import translated
from server.storage.tables import writers
from server.storage.unit import SqlUnit
from server.storage.upserts import insert

T = TypeVar("T")

NONE = ""  # the name of no unit


class EndedWhileIdle(StorageUnavailable):
    """The connection was lost before the unit had begun: on another one it may succeed."""


class Waits:
    """How a unit waits: for its turn to write, and for the disk. Here it is kept waiting."""

    def begin(self, connection: Connection) -> RootTransaction:
        return connection.begin()

    def commit(self, commit: Callable[[], None]) -> None:
        commit()


class Commits:
    """The units of one writer, one at a time."""

    def __init__(self, event_of: EventOf, waits: Waits | None = None) -> None:
        self._event_of = event_of
        self._waits = waits or Waits()
        self._writer = str(uuid7())

    def run(self, connect: Callable[[], AbstractContextManager[Connection]], work: Callable[[Unit], T]) -> T:
        """The unit in one transaction, on a connection of its own. Raises as `ports.Storage.write`."""
        with translated():
            try:
                return self._run(connect, work)
            except EndedWhileIdle:
                return self._run(connect, work)

    def _run(self, connect: Callable[[], AbstractContextManager[Connection]], work: Callable[[Unit], T]) -> T:
        unit = str(uuid7())
        committing = False
        try:
            with connect() as connection, self._waits.begin(connection) as transaction:
                self._sign(connection, unit)
                current = SqlUnit(connection, self._event_of)
                result = work(current)
                current.flush()
                committing = True
                self._waits.commit(lambda: _commit(connection, transaction))
        except (exc.DBAPIError, OSError) as error:
            if not (committing and self._took_effect(connect, unit, error)):
                raise
        return result

    def _sign(self, connection: Connection, unit: str) -> None:
        """Writes the unit's name into the writer's row, first thing."""
        try:
            ready.values(connection, _upsert(connection.dialect.name, "unit"), writer=self._writer, unit=unit)
        except exc.DBAPIError as error:
            if error.connection_invalidated:
                raise EndedWhileIdle from error
            raise

    def _took_effect(
        self, connect: Callable[[], AbstractContextManager[Connection]], unit: str, why: Exception
    ) -> bool:
        try:
            with connect() as connection, self._waits.begin(connection) as transaction:
                last = _upsert(connection.dialect.name, "writer").returning(writers.c.unit)
                took_effect = bool(connection.scalar(last, {"writer": self._writer, "unit": NONE}) == unit)
                transaction.rollback()  # it is written for its lock only
                return took_effect
        except (exc.SQLAlchemyError, OSError):
            raise StorageUnavailable from why


def _commit(connection: Connection, transaction: RootTransaction) -> None:
    try:
        transaction.commit()
    except BaseException:
        # It may still be in the transaction, where the row would say what was never committed.
        connection.invalidate()
        raise


@cache
def _upsert(dialect: str, replaced: str) -> Any:
    """A writer's row, or `replaced` in the one that is there."""
    statement = insert(dialect, writers)
    return statement.on_conflict_do_update(index_elements=["writer"], set_={replaced: statement.excluded[replaced]})
