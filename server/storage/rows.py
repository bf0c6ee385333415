"""What every repository does with statements and rows."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    RowMapping,
    Select,
    Table,
    bindparam,
    or_,
    select,
)

from server.domain.callers import EVERY_PLATFORM
from server.domain.ports import Page

T = TypeVar("T")

NUL = "\0"  # PostgreSQL refuses it in a text, so no id has one
MOST_ROWS_A_STATEMENT = 32
IDS: BindParameter[Any] = bindparam("ids", expanding=True)


def padded(ids: Iterable[str]) -> list[str]:
    """The ids, repeated up to a power of two, so that only a few lengths of IN are ever prepared."""
    items = sorted(ids)
    return items + items[-1:] * ((1 << (len(items) - 1).bit_length()) - len(items)) if items else items


def fetch(connection: Connection, statement: Select[Any], ids: Collection[str], **values: Any) -> Sequence[RowMapping]:
    """The rows of a statement over IDS; asks nothing when there are none."""
    possible = [id_ for id_ in ids if NUL not in id_]
    if not possible:
        return ()
    return connection.execute(statement, {"ids": padded(possible), **values}).mappings().all()


def insert(connection: Connection, table: Table, added: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows that have a value for every column.

    As `connection.execute(table.insert(), added)`, without what SQLAlchemy does anew for each row, and some rows a
    statement: the driver lets go of Python's lock at each one, and has to get it back from a busy event loop.
    """
    binds = _binds(table, connection.dialect)
    start = 0
    while start < len(added):
        # By powers of two, so that only a few statements are ever prepared.
        size = min(1 << (len(added) - start).bit_length() - 1, MOST_ROWS_A_STATEMENT)
        values = [
            row[name] if bind is None else bind(row[name])
            for row in added[start : start + size]
            for name, bind in binds
        ]
        connection.exec_driver_sql(_insert(table, size, connection.dialect), tuple(values))
        start += size


@cache
def _binds(table: Table, dialect: Dialect) -> list[tuple[str, Callable[[Any], Any] | None]]:
    """The columns in order, each with what makes a value fit for the driver."""
    return [(column.name, column.type.dialect_impl(dialect).bind_processor(dialect)) for column in table.columns]


@cache
def _insert(table: Table, size: int, dialect: Dialect) -> str:
    row = dict.fromkeys(column.name for column in table.columns)
    return str(table.insert().values([row] * size).compile(dialect=dialect))


def keyset(
    connection: Connection,
    table: Table,
    page: Page,
    conditions: Iterable[ColumnElement[bool]],
    record: Callable[[RowMapping], T],
    *,
    key: str = "id",
    source: Select[Any] | None = None,
) -> list[T]:
    """A page of records, newest first: ids are ordered by time, so the id is the key, or a number that counts up."""
    column = table.c[key]
    statement = (select(table) if source is None else source).where(*conditions).limit(page.size)
    if page.after:
        statement = statement.where(column > column.type.python_type(page.after)).order_by(column)
        return [record(row) for row in connection.execute(statement).mappings()][::-1]
    if page.before:
        statement = statement.where(column < column.type.python_type(page.before))
    return [record(row) for row in connection.execute(statement.order_by(column.desc())).mappings()]


def untold(
    connection: Connection,
    table: Table,
    now: datetime,
    most: int,
    expires: ColumnElement[bool],
    record: Callable[[RowMapping], T],
    *,
    source: Select[Any] | None = None,
) -> list[T]:
    """Some that have passed their time and whose expiry is not told yet, of all platforms, the longest past first."""
    statement = (select(table) if source is None else source).where(
        table.c.expiry_told.is_(False), table.c.expire_time <= now, expires
    )
    found = connection.execute(statement.order_by(table.c.expire_time).limit(most)).mappings()
    return [record(row) for row in found]


def unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """The column, for a condition that must not choose the index.

    SQLite keeps no statistics of what it stores. Given a contractor and a platform, it may look through all that the
    platform has.
    """
    return column.concat("")


def of(table: Table) -> ColumnElement[bool]:
    """The condition for the rows of the parameter `platform`, which may be every one."""
    wanted: BindParameter[str] = bindparam("platform", EVERY_PLATFORM)
    return or_(wanted == EVERY_PLATFORM, table.c.platform == wanted)


def within(table: Table, platform: str, contractor: str = "") -> list[ColumnElement[bool]]:
    """The conditions for a platform's rows, which may be every one; for those of one contractor, if one is given."""
    its = [table.c.contractor == contractor] if contractor else []
    if platform == EVERY_PLATFORM:
        return its
    return [*its, (unindexed(table.c.platform) if contractor else table.c.platform) == platform]


def values_of(record: object) -> dict[str, Any]:
    """A record's fields by name, one level deep: a row, where names and columns are the same."""
    return {name: getattr(record, name) for name in _names(type(record))}  # type: ignore[arg-type]


@cache
def _names(record: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record))
