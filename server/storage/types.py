"""Column types: how a value that SQL does not have is kept."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import DateTime, Dialect, SmallInteger, String
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

SQLITE = "sqlite"


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

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is not UTC:
            value = _in_utc(value)
        if dialect.name == SQLITE:
            return value.isoformat(" ", "microseconds")
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        return time if time.tzinfo is UTC else time.astimezone(UTC)


def _in_utc(value: datetime) -> datetime:
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
        self._values: dict[int | None, IntEnum | None] = {None: None, **{int(item): item for item in enum}}

    def process_bind_param(self, value: IntEnum | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Any:
        try:
            return self._values[value]
        except KeyError:
            raise ValueError(f"no {self.enum.__name__} has the number {value}") from None


class EnumTuple(TypeDecorator[tuple[IntEnum, ...]]):
    """Enum values in their order, as `3,1`."""

    impl = String
    cache_ok = True

    def __init__(self, enum: type[IntEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: Iterable[IntEnum] | None, dialect: Dialect) -> str:
        return ",".join(str(int(item)) for item in value or ())

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return _enum_tuple(self.enum, value) if value else ()


@lru_cache(1_000)
def _enum_tuple(enum: type[IntEnum], text: str) -> tuple[IntEnum, ...]:
    return tuple(enum(int(item)) for item in text.split(","))


class TextTuple(TypeDecorator[tuple[str, ...]]):
    """Ids in their order, as `pl_1,pl_2`."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Iterable[str] | None, dialect: Dialect) -> str:
        return ",".join(value or ())

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...]:
        return tuple(value.split(",")) if value else ()
