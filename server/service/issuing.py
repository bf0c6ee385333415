"""The end of an application for a quote: a policy is issued, and the assignments that waited for it get it."""

from collections.abc import Sequence
from datetime import datetime

from server.domain import quoting
from server.domain.enums import PolicyOrigin, PolicyStatus
from server.domain.errors import ConcurrentUpdate
from server.domain.events import EventType
from server.domain.ports import Unit
from server.domain.record import record
from server.domain.records import ApplicationSession, DecisionRecord, Evidence, Policy, Quote
from server.domain.terms import Period
from server.service.binding import Asked, Binder
from server.service.context import Context
from server.service.facts import part_of
from server.service.once import Awaits

ISSUED = EventType.QUOTE_ISSUED.value  # what a decision was triggered by


@record(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One run of a call that may have to wait for a policy that is being bound."""

    request_id: str = ""  # the caller's; empty: it gave none
    awaited: str = ""  # a policy that it has waited for
    gave_up: bool = False  # and that is still being bound

    def wait_for(self, policy: str) -> Awaits:
        """Raises ConcurrentUpdate when it gave up, to tell the caller to come again."""
        if self.gave_up:
            raise ConcurrentUpdate
        return Awaits(policy)


def issue(
    unit: Unit, ctx: Context, binder: Binder, attempt: Attempt, session: ApplicationSession
) -> Asked | Awaits | None:
    """The policy of the quote whose application is complete; the contractor is locked.

    None: the quote is settled. Where the answer is Awaits, nothing was written.
    Raises QuoteAlreadyIssued, and ConcurrentUpdate when it gave up.
    """
    quote = unit.quotes.find(ctx.platform, [session.quote])[session.quote]
    live = unit.policies.live(ctx.platform, [quote.contractor]).get(quote.contractor, ())
    todo = quoting.issue(quote, session.id, live, ctx.now)
    if todo.awaits:
        return attempt.wait_for(todo.awaits)
    if todo.bind is None:
        assert todo.attach is not None, "exactly one is set"  # noqa: S101
        settle(unit, quote, todo.attach, session.id, ctx.now)
        return None
    policy = binder.insert(unit, ctx, quote.contractor, todo.bind)
    if policy.status is PolicyStatus.PENDING:
        return binder.ask(unit, ctx, policy, request_id=attempt.request_id)
    settle(unit, quote, policy, session.id, ctx.now)
    return None


def settle(unit: Unit, quote: Quote, policy: Policy, session_id: str, now: datetime) -> None:
    """What follows from the policy: one that failed leaves the quote open, so that a new session may try again."""
    if policy.status is not PolicyStatus.ACTIVE:
        return
    issued = quoting.issued(quote, policy)
    unit.quotes.update(issued)
    unit.events.record(EventType.QUOTE_ISSUED, issued, now)
    term = Period(policy.effective_time, policy.expire_time)
    waiting = unit.assignments.uncovered(quote.platform, quote.contractor, quote.job, term)
    if waiting:
        cover(unit, waiting, quote, policy, session_id, now)


def cover(
    unit: Unit, waiting: Sequence[DecisionRecord], quote: Quote, policy: Policy, session_id: str, now: datetime
) -> list[DecisionRecord]:
    """New decisions about the assignments that gain cover by a quote's policy; `waiting`: the last about each."""
    contractor = unit.contractors.find(quote.platform, [quote.contractor])[quote.contractor]
    live = unit.policies.live(quote.platform, [quote.contractor]).get(quote.contractor, ())
    residence = contractor.address.region
    named = unit.policies.find(quote.platform, {id_ for last in waiting for id_ in last.assignment.binding.policies})
    made = []
    for last in waiting:
        bound = policy.quote == quote.id
        kept = [named[id_] for id_ in last.assignment.binding.policies]
        gained = quoting.covered_too(last.assignment, kept, policy, residence, bound=bound)
        if gained is None:
            continue
        binding, period = gained
        facts: Evidence = {
            "work_state": last.assignment.work_state,
            "residence_state": residence,
            "application_session": session_id,
            "policies": [seen.id for seen in live],
            "quote": quote.id,
            "policy": policy.id,
        }
        decision = last.followed_by(binding, now, ISSUED, facts | part_of(last.assignment, period))
        unit.assignments.decide_again(decision)
        unit.events.record(EventType.ASSIGNMENT_COVERED, decision.assignment, now)
        made.append(decision)
    return made


def catch_up(unit: Unit, last: DecisionRecord, seen: Evidence, now: datetime) -> None:
    """The last decision about an assignment that was BINDING_PENDING while policies were issued for its job.

    `seen`: what the pending decision rested on; policies that were cover then were decided about.
    """
    assignment = last.assignment
    if not assignment.binding.standard_workflow_coverage_types:
        return
    live = unit.policies.live(assignment.platform, [assignment.contractor]).get(assignment.contractor, ())
    were_cover = set(seen.get("policies", ())).difference(seen.get("being_bound", ()))
    active = (p for p in live if p.origin is PolicyOrigin.QUOTE and p.status is PolicyStatus.ACTIVE)
    issued = [p for p in active if p.id not in were_cover]
    quotes = unit.quotes.find(assignment.platform, {policy.quote for policy in issued})
    for policy in issued:
        quote = quotes[policy.quote]
        if quote.job == assignment.job and policy.id not in last.assignment.binding.policies:
            made = cover(unit, [last], quote, policy, policy.application_session, now)
            last = made[0] if made else last
