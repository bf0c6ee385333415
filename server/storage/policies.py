"""Policies."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select, update

from server.domain.enums import PolicyStatus
from server.domain.ports import Page
from server.domain.records import Policy
from server.storage import rows
from server.storage.ready import Row
from server.storage.rows import IDS
from server.storage.tables import policies

FIND = select(policies).where(policies.c.platform == bindparam("platform"), policies.c.id.in_(IDS))
LIVE = select(policies).where(
    *rows.among_ids(policies.c.contractor),
    or_(policies.c.status == PolicyStatus.ACTIVE, policies.c.status == PolicyStatus.PENDING),
)
LAST_NUMBERS = (
    select(policies.c.contractor, func.max(policies.c.number).label("number"))
    .where(*rows.among_ids(policies.c.contractor))
    .group_by(policies.c.contractor)
)
UPDATE = update(policies).where(
    policies.c.contractor == bindparam("key_contractor"), policies.c.id == bindparam("key_id")
)


class Policies:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, Policy]:
        return {row["id"]: _record(row) for row in rows.fetch(self._connection, FIND, ids, platform=platform)}

    def live(self, platform: str, contractors: Collection[str]) -> Mapping[str, Sequence[Policy]]:
        found = defaultdict(list)
        for row in rows.fetch(self._connection, LIVE, contractors, platform=platform):
            found[row["contractor"]].append(_record(row))
        return found

    def last_numbers(self, platform: str, contractors: Collection[str]) -> Mapping[str, int]:
        found = rows.fetch(self._connection, LAST_NUMBERS, contractors, platform=platform)
        return {row["contractor"]: row["number"] for row in found}

    def page(
        self, platform: str, page: Page, *, now: datetime, contractor: str = "", status: PolicyStatus | None = None
    ) -> list[Policy]:
        conditions = rows.within(policies, platform, contractor)
        if status is not None:
            conditions.append(_reads_as(status, now))
        return rows.keyset(self._connection, policies, page, conditions, _record)

    def expired(self, now: datetime, most: int) -> list[Policy]:
        expires = and_(policies.c.status == PolicyStatus.ACTIVE, policies.c.cancel_time.is_(None))
        return rows.untold(self._connection, policies, now, most, expires, _record)

    def insert(self, added: Sequence[Policy]) -> None:
        rows.insert(self._connection, policies, added)

    def update(self, changed: Sequence[Policy]) -> None:
        self._connection.execute(
            UPDATE,
            [rows.values_of(p) | {"key_contractor": p.contractor, "key_id": p.id} for p in changed],
        )


def _reads_as(status: PolicyStatus, now: datetime) -> ColumnElement[bool]:
    """`matching.status_at`, as a condition."""
    active = policies.c.status == PolicyStatus.ACTIVE
    cancelled = and_(active, policies.c.cancel_time <= now)
    match status:
        case PolicyStatus.ACTIVE:
            still = or_(policies.c.cancel_time.is_(None), policies.c.cancel_time > now)
            return and_(active, policies.c.expire_time > now, still)
        case PolicyStatus.EXPIRED:
            return and_(active, policies.c.expire_time <= now, policies.c.cancel_time.is_(None))
        case PolicyStatus.CANCELLED:
            return or_(policies.c.status == status, cancelled)
    return policies.c.status == status


def _record(row: Row) -> Policy:
    return Policy(**row)
