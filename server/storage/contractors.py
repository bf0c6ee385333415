"""Contractors, and the emails that are unique among a platform's live ones."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from server.domain.callers import EVERY_PLATFORM
from server.domain.errors import DuplicateEmail
from server.domain.ports import Page
from server.domain.records import Address, Contractor
from server.storage import rows
from server.storage.ready import Row
from server.storage.rows import IDS
from server.storage.tables import contractors, emails
from server.storage.upserts import insert, is_postgresql

FIND = select(contractors).where(*rows.among_ids(contractors.c.id))
EXISTING = select(contractors.c.id).where(contractors.c.id.in_(IDS), rows.of(contractors))
LOCK = EXISTING.order_by(contractors.c.id).with_for_update(key_share=True)
LOCK_FREE = EXISTING.order_by(contractors.c.id).with_for_update(key_share=True, skip_locked=True)

HELD_EMAIL = select(contractors.c.email_folded).where(
    contractors.c.id == bindparam("id"), contractors.c.delete_time.is_(None)
)
FREE_EMAIL = delete(emails).where(
    emails.c.platform == bindparam("platform"),
    emails.c.email_folded == bindparam("email_folded"),
    emails.c.contractor == bindparam("contractor"),
)


class Contractors:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, ids: Iterable[str], platform: str = EVERY_PLATFORM, *, may_wait: bool = True) -> frozenset[str]:
        """In id order. On SQLite the unit itself is the lock.

        Waits (for the connection's lock_timeout) only when none of them is free: a unit that holds some
        contractors and waits for others could wait in a circle.
        """
        wanted = frozenset(ids)
        if not wanted or not is_postgresql(self._connection):
            return frozenset()
        free = self._ids(LOCK_FREE, wanted, platform)
        if free == wanted:
            return frozenset()
        if not free and may_wait:
            self._ids(LOCK, wanted, platform)
            return frozenset()
        return self._ids(EXISTING, wanted - free, platform)

    def _ids(self, statement: Any, ids: Collection[str], platform: str) -> frozenset[str]:
        return frozenset(row["id"] for row in rows.fetch(self._connection, statement, ids, platform=platform))

    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, Contractor]:
        found = rows.fetch(self._connection, FIND, ids, platform=platform)
        return {row["id"]: _record(row) for row in found}

    def whosever(self, id_: str) -> Contractor | None:
        if rows.NUL in id_:
            return None
        row = self._connection.execute(select(contractors).where(contractors.c.id == id_)).mappings().first()
        return None if row is None else _record(row)

    def page(self, platform: str, page: Page, *, email: str = "") -> list[Contractor]:
        conditions = [contractors.c.platform == platform, contractors.c.delete_time.is_(None)]
        if email:
            held_by = select(emails.c.contractor).where(
                emails.c.platform == platform, emails.c.email_folded == email.casefold()
            )
            conditions.append(contractors.c.id.in_(held_by))
        return rows.keyset(self._connection, contractors, page, conditions, _record)

    def insert(self, contractor: Contractor) -> None:
        self._take_email(contractor)
        self._connection.execute(contractors.insert(), _row(contractor))

    def update(self, contractor: Contractor) -> None:
        held = self._connection.scalar(HELD_EMAIL, {"id": contractor.id})
        wanted = contractor.email.casefold() if contractor.delete_time is None else None
        if held != wanted:
            key = {"platform": contractor.platform, "email_folded": held, "contractor": contractor.id}
            self._connection.execute(FREE_EMAIL, key)
            if wanted is not None:
                self._take_email(contractor)
        self._connection.execute(update(contractors).where(contractors.c.id == contractor.id), _row(contractor))

    def _take_email(self, contractor: Contractor) -> None:
        key = {"platform": contractor.platform, "email_folded": contractor.email.casefold()}
        taken = insert(self._connection.dialect.name, emails).on_conflict_do_nothing()
        if self._connection.execute(taken, key | {"contractor": contractor.id}).rowcount == 1:
            return
        holder = select(func.max(emails.c.contractor)).filter_by(**key)
        raise DuplicateEmail(contractor=self._connection.scalar(holder) or "")


def _row(contractor: Contractor) -> dict[str, Any]:
    return rows.values_of(contractor) | {
        "email_folded": contractor.email.casefold(),
        "address": rows.values_of(contractor.address),
        "metadata": dict(contractor.metadata),
    }


def _record(row: Row) -> Contractor:
    values = dict(row)
    del values["email_folded"]
    values["address"] = Address(**row["address"])
    return Contractor(**values)
