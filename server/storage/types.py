"""Column types: how a value that SQL does not have is kept."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache, partial
from typing import Any

import orjson
from sqlalchemy import DateTime, Dialect, SmallInteger, String
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

SQLITE = "sqlite"


def json_text(value: object) -> str:
    """Of a record too: orjson knows dataclasses and times."""
    return orjson.dumps(value).decode()


class _AsItIs(sqlite.DATETIME):
    """SQLite's column of times, without SQLAlchemy's own way to text and back, which is slower."""

    def bind_processor(self, dialect: Dialect) -> None:
        return None

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        return None


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time with microseconds. SQLite, which has no type for times, keeps it as ISO 8601 text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return _AsItIs() if dialect.name == SQLITE else self.impl_instance  # type: ignore[no-untyped-call]

    # Not `process_bind_param` and `process_result_value`: each call would go through three of SQLAlchemy's own.
    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        return _to_text if dialect.name == SQLITE else _in_utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        return _from_text if dialect.name == SQLITE else _from_asyncpg


@lru_cache(1_000)
def _to_text(value: datetime | None) -> str | None:
    time = _in_utc(value)
    return None if time is None else time.isoformat(" ", "microseconds")


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _from_asyncpg(value: datetime | None) -> datetime | None:
    """The last time there is comes back as infinity, without its zone."""
    return value if value is None or value.tzinfo is UTC else value.replace(tzinfo=UTC)


def _in_utc(value: datetime | None) -> datetime | None:
    if value is None or value.tzinfo is UTC:
        return value
    if value.utcoffset() is None:
        raise ValueError("a time without a zone must not reach the database")
    return value.astimezone(UTC)


class Enum(TypeDecorator[IntEnum]):
    """An enum by its number on the wire, which never changes."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, enum: type[IntEnum]) -> None:
        super().__init__()
        self.enum = enum
        self._values = _Values(enum)

    # Not `process_bind_param` and `process_result_value`, as above.
    def bind_processor(self, dialect: Dialect) -> Callable[[IntEnum | None], int | None]:
        return _to_number

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], Any]:
        return self._values.__getitem__


class _Values(dict[int | None, IntEnum | None]):
    """By their numbers."""

    def __init__(self, enum: type[IntEnum]) -> None:
        super().__init__({int(item): item for item in enum})
        self[None] = None
        self._enum = enum

    def __missing__(self, number: int | None) -> None:
        raise ValueError(f"no {self._enum.__name__} has the number {number}")


def _to_number(value: IntEnum | None) -> int | None:
    return None if value is None else int(value)


class EnumTuple(TypeDecorator[tuple[IntEnum, ...]]):
    """Enum values in their order, as `3,1`."""

    impl = String
    cache_ok = True

    def __init__(self, enum: type[IntEnum]) -> None:
        super().__init__()
        self.enum = enum

    # Not `process_bind_param` and `process_result_value`, as above.
    def bind_processor(self, dialect: Dialect) -> Callable[[Iterable[IntEnum] | None], str]:
        return _numbers

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Any]:
        return partial(_enum_tuple, self.enum)


def _numbers(values: Iterable[IntEnum] | None) -> str:
    return ",".join([str(int(item)) for item in values]) if values else ""


@lru_cache(1_000)
def _enum_tuple(enum: type[IntEnum], text: str | None) -> tuple[IntEnum, ...]:
    return tuple(enum(int(item)) for item in text.split(",")) if text else ()


class TextTuple(TypeDecorator[tuple[str, ...]]):
    """Ids in their order, as `pl_1,pl_2`."""

    impl = String
    cache_ok = True

    # Not `process_bind_param`, as above.
    def bind_processor(self, dialect: Dialect) -> Callable[[Iterable[str] | None], str]:
        return _ids

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...]:
        return tuple(value.split(",")) if value else ()


def _ids(values: Iterable[str] | None) -> str:
    return ",".join(values or ())
