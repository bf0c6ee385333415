"""Contractors."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from server.domain import application
from server.domain.errors import NotFound
from server.domain.events import EventType
from server.domain.matching import status_at
from server.domain.ports import Unit
from server.domain.records import Contractor
from server.service import ending, sessions
from server.service.context import Context, new_id
from server.service.issuing import Attempt
from server.service.once import Awaits
from server.service.paging import Place, paged


def create(unit: Unit, ctx: Context, values: Mapping[str, Any]) -> Contractor:
    """Raises DuplicateEmail."""
    contractor = Contractor(id=new_id("cn"), platform=ctx.platform, create_time=ctx.now, update_time=ctx.now, **values)
    unit.contractors.insert(contractor)
    return contractor


def get(unit: Unit, ctx: Context, contractor_id: str) -> Contractor:
    """A deleted one too. Raises NotFound."""
    contractor = unit.contractors.find(ctx.platform, [contractor_id]).get(contractor_id)
    if contractor is None:
        raise NotFound("contractor", contractor_id)
    return contractor


def get_live(unit: Unit, ctx: Context, contractor_id: str) -> Contractor:
    """For every use but Get. Raises NotFound when it is deleted."""
    contractor = get(unit, ctx, contractor_id)
    if contractor.delete_time is not None:
        raise NotFound("contractor", contractor_id)
    return contractor


def lock(unit: Unit, ctx: Context, contractor_id: str) -> Contractor:
    """The live contractor, whom no other unit can change until this one ends. Raises NotFound."""
    unit.contractors.lock([contractor_id], ctx.platform)
    return get_live(unit, ctx, contractor_id)


def list_page(unit: Unit, ctx: Context, email: str, size: int, token: Place) -> tuple[list[Contractor], str]:
    return paged(
        lambda page: unit.contractors.page(ctx.platform, page, email=email),
        lambda contractor: contractor.id,
        size=size,
        token=token,
        bound_to=("contractors", ctx.platform, email.casefold()),
    )


def update(unit: Unit, ctx: Context, contractor_id: str, changes: Mapping[str, Any]) -> Contractor:
    """Raises NotFound, DuplicateEmail."""
    before = lock(unit, ctx, contractor_id)
    after = replace(before, **changes)
    if after == before:
        return before
    after = replace(after, update_time=ctx.now)
    unit.contractors.update(after)
    return after


def delete(unit: Unit, ctx: Context, attempt: Attempt, contractor_id: str) -> Contractor | Awaits:
    """Cancels the policies and the open sessions, and gives the email free (spec 7).

    Where the answer is Awaits, nothing was written. Raises NotFound, and ConcurrentUpdate when it gave up.
    """
    contractor = lock(unit, ctx, contractor_id)
    live = unit.policies.live(ctx.platform, [contractor_id]).get(contractor_id, ())
    # One that is still being bound is voided when the carrier has answered.
    active = [policy for policy in live if status_at(policy, ctx.now) in ending.CAN_END]
    last = ending.resting_on(unit, ctx, active) if active else ()
    if pending := ending.being_bound(last):
        return attempt.wait_for(pending)
    for session in unit.sessions.live(ctx.platform, contractor_id):
        if application.status_at(session, ctx.now) in application.LIVE:
            sessions.keep(unit, session, application.cancel(session, ctx.now), ctx.now)
    if active:
        ending.end(unit, ctx, active, "contractor deleted", ctx.now, last)
    contractor = replace(contractor, delete_time=ctx.now, update_time=ctx.now)
    unit.contractors.update(contractor)
    unit.events.record(EventType.CONTRACTOR_DELETED, contractor, ctx.now)
    return contractor
