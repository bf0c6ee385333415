"""Application sessions."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select, update

from server.domain.application import LIVE, OPEN
from server.domain.enums import ApplicationSessionStatus
from server.domain.ports import Page
from server.domain.records import ApplicationSession, OptIn, Signature
from server.storage import rows
from server.storage.ready import Row
from server.storage.rows import IDS
from server.storage.tables import application_sessions as sessions

FIND = select(sessions).where(sessions.c.platform == bindparam("platform"), sessions.c.id.in_(IDS))
OPT_INS = select(sessions.c.contractor, *(sessions.c[field.name] for field in fields(OptIn))).where(
    *rows.among_ids(sessions.c.contractor),
    sessions.c.is_general_opt_in,
)


class ApplicationSessions:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, ApplicationSession]:
        return {row["id"]: _record(row) for row in rows.fetch(self._connection, FIND, ids, platform=platform)}

    def opt_ins(self, platform: str, contractors: Collection[str]) -> Mapping[str, Sequence[OptIn]]:
        found: dict[str, list[OptIn]] = defaultdict(list)
        for row in rows.fetch(self._connection, OPT_INS, contractors, platform=platform):
            values = dict(row)
            found[values.pop("contractor")].append(OptIn(**values))
        return found

    def live(self, platform: str, contractor: str, *, quote: str = "") -> list[ApplicationSession]:
        statement = select(sessions).where(*rows.within(sessions, platform, contractor), sessions.c.status.in_(LIVE))
        if quote:
            statement = statement.where(sessions.c.quote == quote)
        return [_record(row) for row in self._connection.execute(statement).mappings()]

    def page(
        self,
        platform: str,
        page: Page,
        *,
        now: datetime,
        contractor: str = "",
        is_general_opt_in: bool | None = None,
        work_state: str = "",
        status: ApplicationSessionStatus | None = None,
    ) -> list[ApplicationSession]:
        conditions = rows.within(sessions, platform, contractor)
        if is_general_opt_in is not None:
            conditions.append(sessions.c.is_general_opt_in == is_general_opt_in)
        if work_state:
            conditions.append(sessions.c.work_state == work_state)
        if status is not None:
            conditions.append(_reads_as(status, now))
        return rows.keyset(self._connection, sessions, page, conditions, _record)

    def expired(self, now: datetime, most: int) -> list[ApplicationSession]:
        return rows.untold(self._connection, sessions, now, most, sessions.c.status.in_(OPEN), _record)

    def insert(self, session: ApplicationSession) -> None:
        self._connection.execute(sessions.insert(), _row(session))

    def update(self, session: ApplicationSession) -> None:
        key = (sessions.c.contractor == session.contractor, sessions.c.id == session.id)
        self._connection.execute(update(sessions).where(*key), _row(session))


def _reads_as(status: ApplicationSessionStatus, now: datetime) -> ColumnElement[bool]:
    """`application.status_at`, as a condition."""
    stored = sessions.c.status == status
    if status in OPEN:
        return and_(stored, sessions.c.expire_time > now)
    if status is ApplicationSessionStatus.EXPIRED:
        return or_(stored, and_(sessions.c.status.in_(OPEN), sessions.c.expire_time <= now))
    return stored


def _row(session: ApplicationSession) -> dict[str, Any]:
    return rows.values_of(session) | {
        "answers": dict(session.answers),
        "signatures": list(session.signatures),
    }


def _record(row: Row) -> ApplicationSession:
    values = dict(row)
    values["signatures"] = tuple(
        Signature(**entry | {"sign_time": datetime.fromisoformat(entry["sign_time"])}) for entry in row["signatures"]
    )
    return ApplicationSession(**values)
