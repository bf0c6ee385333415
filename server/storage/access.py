"""Platforms and keys."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, func, select, update

from server.domain.callers import DEFAULT_PLATFORM, Key, Platform, Role
from server.storage import rows
from server.storage.tables import application_sessions, job_categories, keys, platforms
from server.storage.upserts import is_postgresql

VERSION = select(
    func.count(),
    func.count(keys.c.revoke_time),
    select(func.count()).select_from(platforms).scalar_subquery(),
    select(func.sum(platforms.c.revision)).scalar_subquery(),
).select_from(keys)


class Platforms:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self) -> None:
        """On SQLite the unit itself is the lock."""
        if is_postgresql(self._connection):
            self._connection.execute(select(platforms.c.id).where(platforms.c.id == DEFAULT_PLATFORM).with_for_update())

    def all(self) -> list[Platform]:
        found = self._connection.execute(select(platforms).order_by(platforms.c.id)).mappings()
        return [Platform(**row) for row in found]

    def insert(self, platform: Platform) -> None:
        self._connection.execute(platforms.insert(), rows.values_of(platform))

    def update(self, platform: Platform) -> None:
        values = rows.values_of(platform) | {"revision": platforms.c.revision + 1}
        self._connection.execute(update(platforms).where(platforms.c.id == platform.id).values(values))

    def owning(self, resource: str) -> str | None:
        if rows.NUL in resource:
            return None
        sessions = select(application_sessions.c.platform).where(application_sessions.c.id == resource)
        categories = select(job_categories.c.platform).where(job_categories.c.code == resource)
        return self._connection.scalar(sessions.union_all(categories))


class Keys:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[Key]:
        return [_key(row) for row in self._connection.execute(select(keys).order_by(keys.c.id)).mappings()]

    def insert(self, key: Key) -> None:
        self._connection.execute(keys.insert(), rows.values_of(key))

    def update(self, key: Key) -> None:
        self._connection.execute(update(keys).where(keys.c.id == key.id), rows.values_of(key))

    def version(self) -> Sequence[object]:
        return tuple(self._connection.execute(VERSION).one())


def _key(row: RowMapping) -> Key:
    return Key(**{**row, "role": Role(row["role"])})
