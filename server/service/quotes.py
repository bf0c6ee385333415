"""Quotes: the standard workflow's price for one contractor and job."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from server.domain import application, quoting
from server.domain.enums import PolicyStatus, QuoteStatus
from server.domain.errors import ConcurrentUpdate, InvalidFields, NotFound, Violation
from server.domain.events import EventType
from server.domain.ports import Unit
from server.domain.records import Quote
from server.domain.terms import Period, assignment_period
from server.service import contractors, jobs, sessions
from server.service.context import Context, new_id
from server.service.paging import Place, paged

DATES = ("effective_time", "end_time")


def create(unit: Unit, ctx: Context, values: Mapping[str, Any], period: Period) -> Quote:
    """Raises NotFound for the contractor or the job, and as `quoting.rate`."""
    rating = _rate(unit, ctx, values, period)
    quote = Quote(
        id=new_id("qt"),
        platform=ctx.platform,
        contractor=values["contractor"],
        job=values["job"],
        coverage_types=values["coverage_types"],
        effective_time=period.start,
        end_time=period.end,
        work_state=rating.work_state,
        residence_state=rating.residence_state,
        category_code=rating.category_code,
        rates=rating.rates,
        create_time=ctx.now,
        expire_time=ctx.now + quoting.TIME_TO_LIVE,
    )
    unit.quotes.insert(quote)
    unit.events.record(EventType.QUOTE_CREATED, quote, ctx.now)
    return quote


def get(unit: Unit, ctx: Context, quote_id: str) -> Quote:
    """Raises NotFound."""
    quote = unit.quotes.find(ctx.platform, [quote_id]).get(quote_id)
    if quote is None:
        raise NotFound("quote", quote_id)
    return quote


def lock(unit: Unit, ctx: Context, quote_id: str) -> Quote:
    """The quote of a live contractor, who is locked. Raises NotFound, for either."""
    contractors.lock(unit, ctx, get(unit, ctx, quote_id).contractor)
    return get(unit, ctx, quote_id)  # again: what was read before the lock may have changed


def list_page(
    unit: Unit, ctx: Context, *, contractor: str, job: str, status: QuoteStatus | None, size: int, token: Place
) -> tuple[list[Quote], str]:
    return paged(
        lambda page: unit.quotes.page(ctx.platform, page, now=ctx.now, contractor=contractor, job=job, status=status),
        lambda quote: quote.id,
        size=size,
        token=token,
        bound_to=("quotes", ctx.platform, contractor, job, status),
    )


def update(unit: Unit, ctx: Context, quote_id: str, changes: Mapping[str, Any], *, past_allowed: bool) -> Quote:
    """Rates the quote anew; sessions of it that are open follow it.

    Raises NotFound, QuoteNotOpen, QuoteAlreadyIssued, ConcurrentUpdate while its policy is being bound, InvalidFields,
    and as `quoting.rate`.
    """
    before = lock(unit, ctx, quote_id)
    if changes.get("contractor", before.contractor) != before.contractor:
        raise InvalidFields([Violation("quote.contractor", "cannot be changed")])
    quoting.require_open(before, ctx.now)
    live = unit.policies.live(ctx.platform, [before.contractor]).get(before.contractor, ())
    if any(policy.quote == before.id and policy.status is PolicyStatus.PENDING for policy in live):
        raise ConcurrentUpdate
    period = _period(before, changes, ctx.now, past_allowed=past_allowed)
    values = {name: changes.get(name, getattr(before, name)) for name in ("contractor", "job", "coverage_types")}
    rating = _rate(unit, ctx, values, period)
    after = replace(
        before,
        job=values["job"],
        coverage_types=values["coverage_types"],
        effective_time=period.start,
        end_time=period.end,
        work_state=rating.work_state,
        residence_state=rating.residence_state,
        category_code=rating.category_code,
        rates=rating.rates,
    )
    unit.quotes.update(after)
    _apply_anew(unit, ctx, after)
    return after


def _period(before: Quote, changes: Mapping[str, Any], now: datetime, *, past_allowed: bool) -> Period:
    """The dates, by the rules for new ones where one of them changes; None stands for the default."""
    if changes.keys().isdisjoint(DATES):
        return Period(before.effective_time, before.end_time)
    start, end = (changes.get(name, getattr(before, name)) for name in DATES)
    try:
        return assignment_period(start, end, now, past_allowed=past_allowed)
    except InvalidFields as error:
        raise error.within("quote") from None


def _rate(unit: Unit, ctx: Context, values: Mapping[str, Any], period: Period) -> quoting.Rating:
    """Locks the contractor. Raises NotFound, and as `quoting.rate`."""
    contractor = contractors.lock(unit, ctx, values["contractor"])
    job = jobs.get(unit, ctx, values["job"])
    wanted = quoting.QuoteRequest(
        contractor=contractor,
        job=job,
        category=jobs.get_category(unit, ctx, job.category_code),
        coverage_types=values["coverage_types"],
        period=period,
    )
    try:
        return quoting.rate(wanted, unit.policies.live(ctx.platform, [contractor.id]).get(contractor.id, ()))
    except InvalidFields as error:
        raise error.within("quote") from None


def _apply_anew(unit: Unit, ctx: Context, quote: Quote) -> None:
    for session in unit.sessions.live(ctx.platform, quote.contractor, quote=quote.id):
        after = application.applied_anew(session, quote.coverage_types, quote.work_state)
        if application.status_at(session, ctx.now) in application.LIVE and after != session:
            sessions.keep(unit, session, after, ctx.now)
