"""Quotes."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    update,
)

from server.domain.application import LIVE
from server.domain.enums import ApplicationSessionStatus, CoverageType, PolicyStatus, QuoteStatus
from server.domain.ports import Page
from server.domain.records import CoverageRate, Quote
from server.storage import rows
from server.storage.ready import Row
from server.storage.rows import IDS
from server.storage.tables import application_sessions as sessions
from server.storage.tables import policies, quotes
from server.storage.types import UtcDateTime

NO_END = literal(datetime(9999, 12, 31, tzinfo=UTC), UtcDateTime)

BEING_ISSUED = (
    exists()
    .where(
        policies.c.contractor == quotes.c.contractor,
        policies.c.quote == quotes.c.id,
        policies.c.status == PolicyStatus.PENDING,
    )
    .correlate(quotes)
)
IN_REVIEW = sessions.c.status == ApplicationSessionStatus.MANUAL_REVIEW  # which does not expire
LAST_SESSION_ENDS = (
    select(func.max(case((IN_REVIEW, NO_END), else_=sessions.c.expire_time), type_=UtcDateTime))
    .where(sessions.c.contractor == quotes.c.contractor, sessions.c.quote == quotes.c.id, sessions.c.status.in_(LIVE))
    .correlate(quotes)
    .scalar_subquery()
)
APPLIED_UNTIL = case((BEING_ISSUED, NO_END), else_=LAST_SESSION_ENDS)
WITH_SESSIONS = select(quotes, APPLIED_UNTIL.label("applied_until"))
FIND = WITH_SESSIONS.where(quotes.c.platform == bindparam("platform"), quotes.c.id.in_(IDS))


class Quotes:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, Quote]:
        return {row["id"]: quote_of(row) for row in rows.fetch(self._connection, FIND, ids, platform=platform)}

    def page(
        self,
        platform: str,
        page: Page,
        *,
        now: datetime,
        contractor: str = "",
        job: str = "",
        status: QuoteStatus | None = None,
    ) -> list[Quote]:
        conditions = rows.within(quotes, platform, contractor)
        if job:
            conditions.append(quotes.c.job == job)
        if status is not None:
            conditions.append(_reads_as(status, now))
        return rows.keyset(self._connection, quotes, page, conditions, quote_of, source=WITH_SESSIONS)

    def expired(self, now: datetime, most: int) -> list[Quote]:
        expires = _reads_as(QuoteStatus.EXPIRED, now)
        return rows.untold(self._connection, quotes, now, most, expires, quote_of, source=WITH_SESSIONS)

    def insert(self, quote: Quote) -> None:
        self._connection.execute(quotes.insert(), _row(quote))

    def update(self, quote: Quote) -> None:
        key = (quotes.c.contractor == quote.contractor, quotes.c.id == quote.id)
        self._connection.execute(update(quotes).where(*key), _row(quote))


def _reads_as(status: QuoteStatus, now: datetime) -> ColumnElement[bool]:
    """`quoting.status_at`, as a condition."""
    if status is QuoteStatus.ISSUED:
        return quotes.c.status == status
    lasts_until = func.coalesce(APPLIED_UNTIL, quotes.c.expire_time)
    in_time = or_(quotes.c.expire_time > now, lasts_until > now)
    return and_(quotes.c.status == QuoteStatus.OPEN, in_time if status is QuoteStatus.OPEN else not_(in_time))


def _row(quote: Quote) -> dict[str, Any]:
    row = rows.values_of(quote) | {"rates": list(quote.rates)}
    del row["applied_until"]
    return row


def quote_of(row: Row) -> Quote:
    """Without `applied_until` where the row has none."""
    rates = tuple(
        CoverageRate(coverage_type=CoverageType(rate["coverage_type"]), net_rate=rate["net_rate"])
        for rate in row["rates"]
    )
    return Quote(**dict(row) | {"rates": rates})
