"""Other decisions about a contractor's assignments, when a policy that they had ends or is back (issue 4)."""

from collections.abc import Sequence, Set
from typing import NamedTuple

from server.domain import anew
from server.domain.enums import CoverageType
from server.domain.events import EventType
from server.domain.ports import Unit
from server.domain.records import DecisionRecord, Policy
from server.service.context import Context
from server.service.facts import evidence, facts_about, part_of


class Loss(NamedTuple):
    last: DecisionRecord  # about the assignment
    policies: Sequence[Policy]  # that it has no more


class _Anew(NamedTuple):
    last: DecisionRecord
    policy: str  # that ended or is back
    kept: Sequence[str]  # the assignment's policies but for those that ended
    types: Set[CoverageType]  # what they are to cover, or another one
    back: Policy | None = None


def after_loss(unit: Unit, ctx: Context, contractor: str, losses: Sequence[Loss]) -> None:
    """What the policies that ended covered of an assignment, another one may."""
    todo = []
    for last, lost in losses:
        assignment = last.assignment
        ids = {policy.id for policy in lost}
        served = {type_ for policy in lost for type_ in policy.coverage_types}.intersection(assignment.coverage_types)
        kept = [id_ for id_ in assignment.binding.policies if id_ not in ids]
        # Where a later part was uncovered already, no type counts as covered.
        types = served.intersection(assignment.covered_types) or served
        todo.append(_Anew(last, policy=min(ids), kept=kept, types=types))
    _decide_anew(unit, ctx, contractor, todo, EventType.POLICY_CANCELLED)


def after_reinstatement(unit: Unit, ctx: Context, policy: Policy) -> None:
    """What the policy left uncovered of its types, it or another one may cover now."""
    todo = [
        _Anew(last, policy.id, binding.policies, types.intersection(policy.coverage_types), policy)
        for last in unit.assignments.uncovered_since(policy)
        for binding in [last.assignment.binding]
        for types in [set(binding.standard_workflow_coverage_types)]
    ]
    _decide_anew(unit, ctx, policy.contractor, todo, EventType.POLICY_REINSTATED)


def _decide_anew(unit: Unit, ctx: Context, contractor: str, todo: Sequence[_Anew], trigger: EventType) -> None:
    """Where the policies would stay the same, there is nothing to decide."""
    if not todo:
        return
    facts = facts_about(unit, ctx, contractor, [entry.last.assignment for entry in todo])
    policies = unit.policies.find(ctx.platform, {id_ for entry in todo for id_ in entry.kept})
    for last, policy, kept, types, back in todo:
        assignment, about = last.assignment, facts[last.assignment.id]
        binding, period = anew.reuse(assignment, [policies[id_] for id_ in kept], types, about, ctx.now, back)
        if binding.policies == assignment.binding.policies:
            continue
        seen = evidence(about, binding) | part_of(assignment, period) | {"policy": policy}
        decision = last.followed_by(binding, ctx.now, trigger.value, seen)
        unit.assignments.decide_again(decision)
        uncovered = back is None and not types <= decision.assignment.covered_types
        told = EventType.ASSIGNMENT_UNCOVERED if uncovered else EventType.ASSIGNMENT_COVERED
        unit.events.record(told, decision.assignment, ctx.now)
