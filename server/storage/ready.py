"""Statements made ready for the driver once, and run with nothing in between: on the hot path.

SQLAlchemy executes a small statement in several times what SQLite takes for it, and the driver lets go of Python's
lock at each row, to get it back from a busy event loop. So on SQLite the driver is asked itself, for one row.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, Dialect, Executable, LargeBinary, Select, exc, func, select

from server.storage.types import SQLITE

Row = Mapping[Any, Any]
FromDriver = Callable[[Any], Any] | None
"""Makes the driver's value ours; none: it is."""


_dialects: dict[str, Dialect] = {}


def dialect_of(connection: Connection) -> Dialect:
    """The same one for all engines of a kind, so that what is made ready for one is ready for each."""
    return _dialects.setdefault(connection.dialect.name, connection.dialect)


def run(connection: Connection, sql: str, parameters: tuple[Any, ...]) -> Sequence[Sequence[Any]]:
    """The rows as the driver has them. Raises what SQLAlchemy raises."""
    if connection.dialect.name != SQLITE:
        result = connection.exec_driver_sql(sql, parameters)
        return result.all() if result.returns_rows else ()
    with _raising(connection, sql, parameters) as driver:
        found: list[Sequence[Any]] = driver.execute(sql, parameters).fetchall()
    return found


def run_each(connection: Connection, sql: str, parameters: list[tuple[Any, ...]]) -> None:
    """On SQLite: a statement without rows, for one set of parameters after the other. Raises what SQLAlchemy raises."""
    with _raising(connection, sql, parameters) as driver:
        driver.executemany(sql, parameters)


@contextmanager
def _raising(connection: Connection, sql: str, parameters: Any) -> Iterator[Any]:
    try:
        yield connection.connection.driver_connection
    except sqlite3.Error as error:
        raise exc.DBAPIError.instance(
            sql, parameters, error, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


def rows(connection: Connection, statement: Select[Any], ids: Sequence[str], values: dict[str, Any]) -> list[Row]:
    """Of a statement with the expanding parameter `ids`, in no order. The transaction has begun."""
    query = _query(statement, dialect_of(connection), len(ids), tuple(values))
    return query.rows(connection, dict(zip(query.ids, ids, strict=True)) | values)


def values(connection: Connection, statement: Executable, **given: Any) -> Sequence[Sequence[Any]]:
    """The rows of a statement whose parameters and columns are as the driver has them. The transaction has begun."""
    ready = _ready(statement, dialect_of(connection), 0, tuple(given))
    return run(connection, ready.sql, ready.filled(given))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ready:
    sql: str
    parameters: Sequence[str]  # in their order
    fixed: Mapping[str, Any]  # those that are the same each time
    ids: Sequence[str]  # those that are the ids

    def filled(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        values = {**self.fixed, **given}
        return tuple([values[name] for name in self.parameters])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Query:
    statement: _Ready
    names: Sequence[str]  # of the columns
    made: Sequence[tuple[int, Callable[[Any], Any]]]  # of those whose values the driver has otherwise
    at_once: bool  # all rows as one text, in JSON

    @property
    def ids(self) -> Sequence[str]:
        return self.statement.ids

    def rows(self, connection: Connection, given: Mapping[str, Any]) -> list[Row]:
        found = run(connection, self.statement.sql, self.statement.filled(given))
        if self.at_once:
            [(text,)] = found
            found = orjson.loads(text)
        # Column by column: a value of a row takes a third of what it takes row by row.
        columns: list[Iterable[Any]] = list(zip(*found, strict=True))
        if not columns:
            return []
        for place, made in self.made:
            columns[place] = [None if value is None else made(value) for value in columns[place]]
        return [dict(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]


@lru_cache(1_000)
def _query(statement: Select[Any], dialect: Dialect, count: int, names: tuple[str, ...]) -> _Query:
    columns = statement.selected_columns
    at_once = dialect.name == SQLITE and not any(isinstance(column.type, LargeBinary) for column in columns)
    asked = select(func.json_group_array(func.json_array(*statement.subquery().c))) if at_once else statement
    made = [(place, _from_driver(column.type, dialect)) for place, column in enumerate(columns)]
    return _Query(
        statement=_ready(asked, dialect, count, names),
        names=[column.name for column in columns],
        made=[(place, function) for place, function in made if function is not None],
        at_once=at_once,
    )


@lru_cache(1_000)
def _ready(statement: Executable, dialect: Dialect, count: int, names: tuple[str, ...]) -> _Ready:
    compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    state = compiled.construct_expanded_state({"ids": [""] * count, **dict.fromkeys(names, "")})
    ids = state.parameter_expansion.get("ids", ())
    return _Ready(
        sql=state.statement,
        parameters=state.positiontup or (),
        fixed={
            name: state.processors[name](value) if name in state.processors else value
            for name, value in state.parameters.items()
            if name not in ids and name not in names
        },
        ids=ids,
    )


def _from_driver(type_: Any, dialect: Dialect) -> FromDriver:
    made: FromDriver = type_.dialect_impl(dialect).result_processor(dialect, None)
    return made
