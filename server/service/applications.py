"""Application sessions."""

from collections.abc import Callable, Mapping
from typing import Any

from server.domain import application, events
from server.domain.enums import ApplicationSessionStatus, ReviewDecision
from server.domain.errors import NotFound, PremiumWithholdingRequired, WorkStateNotOffered
from server.domain.forms import Form, form, newest
from server.domain.ports import Unit
from server.domain.records import ApplicationSession
from server.domain.states import is_offered
from server.service import contractors
from server.service.context import Context, new_id
from server.service.paging import paged


def create(unit: Unit, ctx: Context, values: Mapping[str, Any]) -> ApplicationSession:
    """Raises NotFound, PremiumWithholdingRequired, WorkStateNotOffered."""
    if not values["is_general_opt_in"]:
        raise NotFound("quote", values["quote"])  # quotes are not here yet, so there is none to refer to
    contractor = contractors.lock(unit, ctx, values["contractor"])
    if not (ctx.withholds_premium or contractor.withhold_premium):
        raise PremiumWithholdingRequired(contractor=contractor.id)
    if not is_offered(values["work_state"]):
        raise WorkStateNotOffered(work_state=values["work_state"])
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


def get(unit: Unit, ctx: Context, session_id: str) -> ApplicationSession:
    """Raises NotFound."""
    session = unit.sessions.find(ctx.platform, [session_id]).get(session_id)
    if session is None:
        raise NotFound("application_session", session_id)
    return session


def get_form(unit: Unit, ctx: Context, session_id: str) -> tuple[Form, str]:
    """The form that the session began with, and the state whose questions it asks. Raises NotFound."""
    session = get(unit, ctx, session_id)
    return form(session.form_version), session.work_state


def list_page(
    unit: Unit,
    ctx: Context,
    *,
    contractor: str,
    is_general_opt_in: bool | None,
    work_state: str,
    status: ApplicationSessionStatus | None,
    size: int,
    token: str,
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


def submit_step(unit: Unit, ctx: Context, session_id: str, step: application.Step) -> ApplicationSession:
    """Raises NotFound, InvalidFields, ApplicationStepOutOfOrder, ApplicationAlreadyComplete, ApplicationClosed."""
    contractor_id = get(unit, ctx, session_id).contractor
    unit.contractors.lock([contractor_id])
    session = get(unit, ctx, session_id)  # again: what was read before the lock may have changed
    application.require_open(session, ctx.now)  # a deleted contractor's session says that it is closed
    before = contractors.get_live(unit, ctx, contractor_id)
    submitted, after = application.submit(session, before, step, ctx.now)
    _keep(unit, ctx, session, submitted)
    if after != before:
        unit.contractors.update(after)
    return submitted


def review(unit: Unit, ctx: Context, session_id: str, decision: ReviewDecision, note: str) -> ApplicationSession:
    """Raises NotFound, ApplicationNotInReview."""
    return _change(unit, ctx, session_id, lambda session: application.review(session, decision, note, ctx.now))


def cancel(unit: Unit, ctx: Context, session_id: str) -> ApplicationSession:
    """Raises NotFound, ApplicationAlreadyComplete, ApplicationClosed."""
    return _change(unit, ctx, session_id, lambda session: application.cancel(session, ctx.now))


def expire(unit: Unit, ctx: Context, session_id: str) -> ApplicationSession:
    """Raises NotFound, ApplicationAlreadyComplete, ApplicationClosed."""
    return _change(unit, ctx, session_id, lambda session: application.expire(session, ctx.now))


def _change(
    unit: Unit, ctx: Context, session_id: str, change: Callable[[ApplicationSession], ApplicationSession]
) -> ApplicationSession:
    unit.contractors.lock([get(unit, ctx, session_id).contractor])
    before = get(unit, ctx, session_id)
    after = change(before)
    _keep(unit, ctx, before, after)
    return after


def _keep(unit: Unit, ctx: Context, before: ApplicationSession, after: ApplicationSession) -> None:
    unit.sessions.update(after)
    if after.status is not before.status:
        unit.events.record(events.OF_SESSION[after.status], after, ctx.now)
