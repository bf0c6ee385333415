"""What every repository does with statements and rows."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    RowMapping,
    Select,
    Table,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from server.domain.callers import EVERY_PLATFORM
from server.domain.ports import Page
from server.storage import ready
from server.storage.ready import Row
from server.storage.types import SQLITE

T = TypeVar("T")

NUL = "\0"  # PostgreSQL refuses it in a text, so no id has one
IDS: BindParameter[Any] = bindparam("ids", expanding=True)


def padded(ids: Iterable[str]) -> list[str]:
    """The ids, repeated up to a power of two, so that only a few lengths of IN are ever prepared."""
    items = sorted(ids)
    return items + items[-1:] * ((1 << (len(items) - 1).bit_length()) - len(items)) if items else items


def fetch(connection: Connection, statement: Select[Any], ids: Collection[str], **values: str) -> Sequence[Row]:
    """The rows of a statement over IDS, in no order; asks nothing when there are none."""
    possible = [id_ for id_ in ids if NUL not in id_]
    return ready.rows(connection, statement, padded(possible), values) if possible else ()


Places = tuple[tuple[str, str], ...]


def found_in(places: Mapping[str, str]) -> Places:
    """Of columns by name, where a record has their values: `binding.outcome`."""
    return tuple(places.items())


def insert(connection: Connection, table: Table, added: Sequence[object], places: Places = ()) -> None:
    """Inserts a row for each record, which has every column's value, by its name unless `places` has it elsewhere.

    As `connection.execute(table.insert(), ...)`, without what SQLAlchemy does anew for each row. On SQLite one row a
    statement: of several it would keep the pages as they were, to undo the first ones if the last one fails. PostgreSQL
    has all rows in one statement: it would plan each one anew.
    """
    if not added:
        return
    dialect = ready.dialect_of(connection)
    values_of_row, binds = _row(table, places, dialect)
    columns = zip(*map(values_of_row, added), strict=True)
    fit = [column if bind is None else map(bind, column) for bind, column in zip(binds, columns, strict=True)]
    if dialect.name == SQLITE:
        ready.run_each(connection, _insert(table, dialect), list(zip(*fit, strict=True)))
    else:
        ready.run(connection, _insert_all(table, dialect), tuple(map(list, fit)))


@cache
def _row(
    table: Table, places: Places, dialect: Dialect
) -> tuple[Callable[[object], tuple[Any, ...]], Sequence[Callable[[Any], Any] | None]]:
    """What takes the columns' values from a record, in order, and what makes each fit for the driver."""
    paths = {column.name: column.name for column in table.columns} | dict(places)
    return attrgetter(*paths.values()), [
        column.type.dialect_impl(dialect).bind_processor(dialect) for column in table.columns
    ]


@cache
def _insert(table: Table, dialect: Dialect) -> str:
    return str(table.insert().compile(dialect=dialect))


@cache
def _insert_all(table: Table, dialect: Dialect) -> str:
    """Of rows whose values come as one array for each column."""
    names = [column.name for column in table.columns]
    arrays = [cast(bindparam(column.name), ARRAY(column.type)) for column in table.columns]
    added = select(func.unnest(*arrays).table_valued(*names).render_derived())
    return str(table.insert().from_select(names, added).compile(dialect=dialect))


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


def place(connection: Connection) -> ColumnElement[Any]:
    """Where a row lies, as the database names it: the shortest way to it, within a statement."""
    return literal_column("rowid" if connection.dialect.name == SQLITE else "ctid")


def unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """The column, for a condition that must not choose the index.

    SQLite keeps no statistics of what it stores, and PostgreSQL has none of a table that is new. Given contractors and
    a platform, they may look through all that the platform has.
    """
    return column.concat("")


def among_ids(column: Column[str]) -> tuple[ColumnElement[bool], ...]:
    """The conditions for the rows of the parameter `platform` that have one of IDS in the column, found by that."""
    return column.in_(IDS), unindexed(column.table.c.platform) == bindparam("platform")


def of(table: Table) -> ColumnElement[bool]:
    """The condition for the rows of the parameter `platform`, which may be every one."""
    wanted: BindParameter[str] = bindparam("platform", EVERY_PLATFORM)
    return or_(wanted == EVERY_PLATFORM, unindexed(table.c.platform) == wanted)


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
