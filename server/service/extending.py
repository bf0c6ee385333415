"""Assignments that end later than they were to: the rest is covered too, or left to the standard workflow."""

from dataclasses import replace
from datetime import datetime

from server.domain import anew, terms
from server.domain.decision import AssignmentRequest, decide, failed, given_up
from server.domain.enums import AssignmentStatus, BindingOutcome, PolicyStatus
from server.domain.errors import AssignmentCancelled, ConcurrentUpdate, InvalidFields, Violation
from server.domain.events import OF_POLICY, EventType
from server.domain.ports import Unit
from server.domain.records import Assignment, Binding, DecisionRecord, Policy
from server.domain.terms import Period
from server.service import contractors
from server.service.assignments import get
from server.service.binding import Asked, Binder
from server.service.context import Context
from server.service.facts import facts_about
from server.service.issuing import Attempt
from server.service.once import Awaits
from server.service.redeciding import evidence_of_part


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
        if attempt.gave_up:
            raise ConcurrentUpdate
        return Awaits(before.binding.policies[-1])
    found = unit.policies.find(ctx.platform, before.binding.policies)
    kept = [found[id_] for id_ in before.binding.policies]
    types = set(before.coverage_types).difference(before.binding.standard_workflow_coverage_types)
    wanted = anew.left_over(before, kept, types, end)
    after = replace(before, end_time=end)
    if wanted is None:
        unit.assignments.extend(after)
        unit.events.record(EventType.ASSIGNMENT_EXTENDED, after, ctx.now)
        return after
    if not past_allowed:
        wanted = replace(wanted, period=_from_today(wanted.period, ctx.now))
    return _Rest(unit, ctx, binder, attempt, last, kept, wanted).decided()


def _from_today(period: Period, now: datetime) -> Period:
    today = terms.start_of_day(now)
    if period.end <= today:
        raise InvalidFields([Violation("end_time", "must not be before today (UTC) in production")])
    return Period(max(period.start, today), period.end)


class _Rest:
    """The decision about what its policies do not cover of an assignment that is extended."""

    def __init__(
        self,
        unit: Unit,
        ctx: Context,
        binder: Binder,
        attempt: Attempt,
        last: DecisionRecord,
        kept: list[Policy],
        wanted: AssignmentRequest,
    ) -> None:
        self._unit = unit
        self._ctx = ctx
        self._binder = binder
        self._attempt = attempt
        self._last = last
        self._kept = kept
        self._wanted = wanted
        self._facts = facts_about(unit, ctx, wanted.contractor, [last.assignment])[last.assignment.id]

    def decided(self) -> Assignment | Awaits | Asked:
        decision = decide(self._wanted, self._facts, self._ctx.now)
        if decision.awaits and not self._attempt.gave_up:
            return Awaits(decision.awaits)
        if decision.awaits:
            return self._extended(given_up(decision.binding, self._wanted.coverage_types))
        if decision.bind is None:
            return self._extended(decision.binding)
        awaited = self._unit.policies.find(self._ctx.platform, [self._attempt.awaited]).get(self._attempt.awaited)
        if awaited is not None and awaited.fail_reason is not None:
            return self._extended(failed(decision.binding, self._wanted.coverage_types, awaited.fail_reason))
        contractor = self._wanted.contractor
        number = self._unit.policies.last_numbers(self._ctx.platform, [contractor]).get(contractor, 0) + 1
        policy = self._binder.bind(self._ctx, contractor, decision.bind, number)
        self._unit.policies.insert([policy])
        self._unit.events.record(OF_POLICY[policy.status], policy, self._ctx.now)
        binding = decision.bound(policy.id)
        if policy.fail_reason is not None:
            return self._extended(failed(binding, self._wanted.coverage_types, policy.fail_reason))
        if policy.status is not PolicyStatus.PENDING:
            return self._extended(binding)
        assignment = self._extended(replace(binding, outcome=BindingOutcome.BINDING_PENDING))
        pending = self._binder.pending(self._ctx, policy, assignment=assignment.id, request_id=self._attempt.request_id)
        self._unit.pending.insert([pending])
        return Asked(policy, pending)

    def _extended(self, part: Binding) -> Assignment:
        """The assignment, with its new end and with what was decided about the rest."""
        before, wanted = self._last.assignment, self._wanted
        binding = anew.joined(before, self._kept, wanted, part)
        after = replace(before, end_time=wanted.period.end)
        seen = evidence_of_part(before, self._facts, part, wanted.period.start)
        seen["previous_end"] = before.end_time.isoformat()
        decision = replace(self._last, assignment=after).followed_by(
            binding, self._ctx.now, EventType.ASSIGNMENT_EXTENDED.value, seen
        )
        self._unit.assignments.extend(after)
        self._unit.assignments.decide_again(decision)
        self._unit.events.record(EventType.ASSIGNMENT_EXTENDED, decision.assignment, self._ctx.now)
        if part.standard_workflow_coverage_types:
            self._unit.events.record(EventType.ASSIGNMENT_UNCOVERED, decision.assignment, self._ctx.now)
        return decision.assignment
