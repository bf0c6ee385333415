"""Other decisions about a contractor's assignments, when a policy that they had ends or is back (issue 4)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from server.domain import anew
from server.domain.decision import Facts
from server.domain.events import EventType
from server.domain.ports import Unit
from server.domain.records import Assignment, Binding, DecisionRecord, Evidence, Policy
from server.service.context import Context
from server.service.facts import evidence, facts_about


class Loss(NamedTuple):
    last: DecisionRecord  # about the assignment
    policies: frozenset[str]  # that it has no more


def after_loss(unit: Unit, ctx: Context, contractor: str, losses: Sequence[Loss]) -> None:
    """What an assignment's policies covered before they ended, another one may."""
    if not losses:
        return
    assignments = [loss.last.assignment for loss in losses]
    named, facts = _named(unit, ctx, assignments), facts_about(unit, ctx, contractor, assignments)
    for last, lost in losses:
        assignment, about = last.assignment, facts[last.assignment.id]
        kept = [named[id_] for id_ in assignment.binding.policies if id_ not in lost]
        covered = set(assignment.coverage_types).difference(assignment.binding.standard_workflow_coverage_types)
        binding, start = anew.reuse(assignment, kept, covered, about, ctx.now)
        seen = evidence_of_part(assignment, about, binding, start) | {"policy": min(lost)}
        _keep(unit, ctx, last, binding, EventType.POLICY_CANCELLED, seen)


def after_reinstatement(unit: Unit, ctx: Context, policy: Policy) -> None:
    """What the policy left uncovered, it or another one may cover now."""
    left = unit.assignments.uncovered_since(policy)
    if not left:
        return
    assignments = [last.assignment for last in left]
    named, facts = _named(unit, ctx, assignments), facts_about(unit, ctx, policy.contractor, assignments)
    for last in left:
        assignment, about = last.assignment, facts[last.assignment.id]
        kept = [named[id_] for id_ in assignment.binding.policies]
        uncovered = assignment.binding.standard_workflow_coverage_types
        binding, start = anew.reuse(assignment, kept, uncovered, about, ctx.now)
        if binding.policies != assignment.binding.policies:
            seen = evidence_of_part(assignment, about, binding, start) | {"policy": policy.id}
            _keep(unit, ctx, last, binding, EventType.POLICY_REINSTATED, seen)


def evidence_of_part(assignment: Assignment, facts: Facts, binding: Binding, start: datetime) -> Evidence:
    """`start`: of what was decided about."""
    part: Evidence = {"part_start": start.isoformat()} if start > assignment.effective_time else {}
    return evidence(facts, binding) | part


def _keep(unit: Unit, ctx: Context, last: DecisionRecord, binding: Binding, trigger: EventType, seen: Evidence) -> None:
    decision = last.followed_by(binding, ctx.now, trigger.value, seen)
    unit.assignments.decide_again(decision)
    before = last.assignment.binding.standard_workflow_coverage_types
    lost = set(binding.standard_workflow_coverage_types).difference(before)
    told = EventType.ASSIGNMENT_UNCOVERED if lost else EventType.ASSIGNMENT_COVERED
    unit.events.record(told, decision.assignment, ctx.now)


def _named(unit: Unit, ctx: Context, assignments: Sequence[Assignment]) -> Mapping[str, Policy]:
    return unit.policies.find(ctx.platform, {id_ for entry in assignments for id_ in entry.binding.policies})
