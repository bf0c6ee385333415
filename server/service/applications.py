"""Application sessions."""

from collections.abc import Callable, Mapping
from typing import Any

from server.domain import application, quoting
from server.domain.enums import ApplicationSessionStatus, ReviewDecision
from server.domain.errors import InvalidFields, NotFound, PremiumWithholdingRequired, Violation, WorkStateNotOffered
from server.domain.forms import Form, newest
from server.domain.ports import Unit
from server.domain.records import ApplicationSession
from server.domain.states import is_offered
from server.service import contractors, issuing, quotes, sessions
from server.service.binding import Asked, Binder
from server.service.context import Context, new_id
from server.service.issuing import Attempt
from server.service.once import Awaits
from server.service.paging import Place, paged


def create(unit: Unit, ctx: Context, values: Mapping[str, Any]) -> ApplicationSession:
    """Raises NotFound; PremiumWithholdingRequired, WorkStateNotOffered for a general opt-in; for a quote InvalidFields,
    QuoteNotOpen, QuoteAlreadyIssued."""
    prepare = _opt_in if values["is_general_opt_in"] else _for_quote
    values = prepare(unit, ctx, values)
    session = ApplicationSession(
        id=new_id("ias"),
        platform=ctx.platform,
        form_version=newest().version,
        create_time=ctx.now,
        expire_time=ctx.now + ctx.session_ttl,
        **values,
    )
    unit.sessions.insert(session)
    return session


def _opt_in(unit: Unit, ctx: Context, values: Mapping[str, Any]) -> Mapping[str, Any]:
    contractor = contractors.lock(unit, ctx, values["contractor"])
    if not (ctx.withholds_premium or contractor.withhold_premium):
        raise PremiumWithholdingRequired(contractor=contractor.id)
    if not is_offered(values["work_state"]):
        raise WorkStateNotOffered(work_state=values["work_state"])
    return values


def _for_quote(unit: Unit, ctx: Context, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Contractor, work state and types are the quote's; what else was said of them is an error."""
    quote = quotes.lock(unit, ctx, values["quote"])
    its = {"contractor": quote.contractor, "work_state": quote.work_state}
    wrong = [name for name in its if values[name] not in ("", its[name])]
    if wrong:
        raise InvalidFields([Violation(f"application_session.{name}", "must be the quote's") for name in wrong])
    quoting.require_open(quote, ctx.now)
    return {**values, **its, "coverage_types": quote.coverage_types}


def get(unit: Unit, ctx: Context, session_id: str) -> ApplicationSession:
    """Raises NotFound."""
    session = unit.sessions.find(ctx.platform, [session_id]).get(session_id)
    if session is None:
        raise NotFound("application_session", session_id)
    return session


def get_form(unit: Unit, ctx: Context, session_id: str) -> Form:
    """What the session asks and has signed. Raises NotFound."""
    return application.form_of(get(unit, ctx, session_id))


def list_page(
    unit: Unit,
    ctx: Context,
    *,
    contractor: str,
    is_general_opt_in: bool | None,
    work_state: str,
    status: ApplicationSessionStatus | None,
    size: int,
    token: Place,
) -> tuple[list[ApplicationSession], str]:
    return paged(
        lambda page: unit.sessions.page(
            ctx.platform,
            page,
            now=ctx.now,
            contractor=contractor,
            is_general_opt_in=is_general_opt_in,
            work_state=work_state,
            status=status,
        ),
        lambda session: session.id,
        size=size,
        token=token,
        bound_to=("application_sessions", ctx.platform, contractor, is_general_opt_in, work_state, status),
    )


Submitted = ApplicationSession | Awaits | Asked
"""The session; or what it waits for, before anything was written; or what its carrier is to be asked for."""


def submit_step(
    unit: Unit, ctx: Context, binder: Binder, attempt: Attempt, session_id: str, step: application.Step
) -> Submitted:
    """Raises NotFound, InvalidFields, ApplicationStepOutOfOrder, ApplicationAlreadyComplete, ApplicationClosed,
    QuoteAlreadyIssued, ConcurrentUpdate."""
    contractor_id = get(unit, ctx, session_id).contractor
    unit.contractors.lock([contractor_id])
    session = get(unit, ctx, session_id)  # again: what was read before the lock may have changed
    application.require_open(session, ctx.now)  # a deleted contractor's session says that it is closed
    if session.quote:
        quoting.require_unissued(quotes.get(unit, ctx, session.quote))
    before = contractors.get_live(unit, ctx, contractor_id)
    submitted, after = application.submit(session, before, step, ctx.now)
    if after != before:
        unit.contractors.update(after)
    return _submitted(unit, ctx, binder, attempt, session, submitted)


def review(
    unit: Unit, ctx: Context, binder: Binder, attempt: Attempt, session_id: str, decision: ReviewDecision, note: str
) -> Submitted:
    """Raises NotFound, ApplicationNotInReview, QuoteAlreadyIssued, ConcurrentUpdate."""
    session = _locked(unit, ctx, session_id)
    reviewed = application.review(session, decision, note, ctx.now)
    return _submitted(unit, ctx, binder, attempt, session, reviewed)


def _submitted(
    unit: Unit, ctx: Context, binder: Binder, attempt: Attempt, before: ApplicationSession, after: ApplicationSession
) -> Submitted:
    """Keeps the session. Where it completes the application for a quote, the policy is issued."""
    complete = after.status is ApplicationSessionStatus.APPLICATION_COMPLETE
    left = issuing.issue(unit, ctx, binder, attempt, after) if after.quote and complete else None
    if not isinstance(left, Awaits):
        sessions.keep(unit, before, after, ctx.now)
    return left or after


def cancel(unit: Unit, ctx: Context, session_id: str) -> ApplicationSession:
    """Raises NotFound, ApplicationAlreadyComplete, ApplicationClosed."""
    return _change(unit, ctx, session_id, lambda session: application.cancel(session, ctx.now))


def expire(unit: Unit, ctx: Context, session_id: str) -> ApplicationSession:
    """Raises NotFound, ApplicationAlreadyComplete, ApplicationClosed."""
    return _change(unit, ctx, session_id, lambda session: application.expire(session, ctx.now))


def _change(
    unit: Unit, ctx: Context, session_id: str, change: Callable[[ApplicationSession], ApplicationSession]
) -> ApplicationSession:
    before = _locked(unit, ctx, session_id)
    after = change(before)
    sessions.keep(unit, before, after, ctx.now)
    return after


def _locked(unit: Unit, ctx: Context, session_id: str) -> ApplicationSession:
    """The session, whose contractor no other unit can change until this one ends. Raises NotFound."""
    unit.contractors.lock([get(unit, ctx, session_id).contractor])
    return get(unit, ctx, session_id)
