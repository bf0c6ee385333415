"""Assignments that end later than they were to: the rest is covered too, or left to the standard workflow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from server.domain import anew, terms
from server.domain.decision import AssignmentRequest, Facts, decide, failed, must_wait, what_to_bind
from server.domain.enums import AssignmentStatus, BindingOutcome, PolicyStatus
from server.domain.errors import AssignmentCancelled, InvalidFields, Violation
from server.domain.events import EventType
from server.domain.ports import Unit
from server.domain.records import Assignment, Binding, DecisionRecord, Policy
from server.domain.terms import Period
from server.service import contractors
from server.service.assignments import get
from server.service.binding import Asked, Binder
from server.service.context import Context
from server.service.facts import evidence, facts_about, part_of
from server.service.issuing import Attempt
from server.service.once import Awaits


def extend(
    unit: Unit,
    ctx: Context,
    binder: Binder,
    attempt: Attempt,
    assignment_id: str,
    end: datetime,
    *,
    past_allowed: bool,
) -> Assignment | Awaits | Asked:
    """The assignment; or what it waits for, before anything was written; or what its carrier is to be asked for.

    Raises NotFound, also for the contractor; AssignmentCancelled, InvalidFields, ConcurrentUpdate when it gave up.
    """
    contractor = contractors.lock(unit, ctx, get(unit, ctx, assignment_id).contractor)
    last = unit.assignments.last_decision(contractor.id, assignment_id)
    before = last.assignment
    if before.status is AssignmentStatus.CANCELLED:
        raise AssignmentCancelled(assignment=before.id)
    if end == before.end_time:
        return before
    terms.require_extension(Period(before.effective_time, before.end_time), end, ctx.now)
    if before.binding.outcome is BindingOutcome.BINDING_PENDING:
        return attempt.wait_for(before.binding.policies[-1])
    found = unit.policies.find(ctx.platform, before.binding.policies)
    kept = [found[id_] for id_ in before.binding.policies]
    wanted = anew.left_over(before, kept, before.covered_types, end)
    if wanted is None:
        after = replace(before, end_time=end)
        unit.assignments.extend(after)
        unit.events.record(EventType.ASSIGNMENT_EXTENDED, after, ctx.now)
        return after
    if not past_allowed:
        wanted = replace(wanted, period=_from_today(wanted.period, ctx.now))
    facts = facts_about(unit, ctx, contractor.id, [before])[before.id]
    rest = _Rest(unit=unit, ctx=ctx, last=last, kept=kept, wanted=wanted, facts=facts)
    return rest.decided(binder, attempt)


def _from_today(period: Period, now: datetime) -> Period:
    today = terms.start_of_day(now)
    if period.end <= today:
        raise InvalidFields([Violation("end_time", "must not be before today (UTC) in production")])
    return Period(max(period.start, today), period.end)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rest:
    """What its policies do not cover of an assignment that is extended."""

    unit: Unit
    ctx: Context
    last: DecisionRecord
    kept: Sequence[Policy]
    wanted: AssignmentRequest
    facts: Facts

    def decided(self, binder: Binder, attempt: Attempt) -> Assignment | Awaits | Asked:
        unit, ctx, types = self.unit, self.ctx, self.wanted.coverage_types
        decision = decide(self.wanted, self.facts, ctx.now)
        awaited = unit.policies.find(ctx.platform, [attempt.awaited]).get(attempt.awaited)
        if must_wait(decision, awaited) and not attempt.gave_up:
            return Awaits(decision.awaits)
        todo = what_to_bind(decision, types, awaited)
        if isinstance(todo, Binding):
            return self._extended(todo)
        policy = binder.insert(unit, ctx, self.wanted.contractor, todo)
        binding = decision.bound(policy.id)
        if policy.fail_reason is not None:
            return self._extended(failed(binding, types, policy.fail_reason))
        if policy.status is not PolicyStatus.PENDING:
            return self._extended(binding)
        pending = self._extended(replace(binding, outcome=BindingOutcome.BINDING_PENDING))
        return binder.ask(unit, ctx, policy, assignment=pending.id, request_id=attempt.request_id)

    def _extended(self, part: Binding) -> Assignment:
        """The assignment, with its new end and with what was decided about the rest."""
        before, wanted = self.last.assignment, self.wanted
        after = replace(before, end_time=wanted.period.end)
        seen = evidence(self.facts, part) | part_of(before, wanted.period)
        seen["previous_end"] = before.end_time.isoformat()
        decision = replace(self.last, assignment=after).followed_by(
            anew.joined(before, self.kept, wanted, part), self.ctx.now, EventType.ASSIGNMENT_EXTENDED.value, seen
        )
        self.unit.assignments.extend(after)
        self.unit.assignments.decide_again(decision)
        self.unit.events.record(EventType.ASSIGNMENT_EXTENDED, decision.assignment, self.ctx.now)
        if part.standard_workflow_coverage_types:
            self.unit.events.record(EventType.ASSIGNMENT_UNCOVERED, decision.assignment, self.ctx.now)
        return decision.assignment
