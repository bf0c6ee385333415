"""Other decisions about a contractor's assignments, when a policy that they had ends or is back (issue 4)."""

from collections.abc import Collection, Sequence
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
    policies: frozenset[str]  # that it has no more


class _Anew(NamedTuple):
    last: DecisionRecord
    policy: str  # that ended or is back
    kept: Sequence[str]  # the assignment's policies but for those that ended
    types: Collection[CoverageType]  # what they are to cover, or another one


def after_loss(unit: Unit, ctx: Context, contractor: str, losses: Sequence[Loss]) -> None:
    """What an assignment's policies covered before they ended, another one may."""
    todo = [
        _Anew(
            last,
            policy=min(lost),
            kept=[id_ for id_ in last.assignment.binding.policies if id_ not in lost],
            types=last.assignment.covered_types,
        )
        for last, lost in losses
    ]
    _decide_anew(unit, ctx, contractor, todo, EventType.POLICY_CANCELLED)


def after_reinstatement(unit: Unit, ctx: Context, policy: Policy) -> None:
    """What the policy left uncovered, it or another one may cover now."""
    todo = [
        _Anew(last, policy=policy.id, kept=binding.policies, types=binding.standard_workflow_coverage_types)
        for last in unit.assignments.uncovered_since(policy)
        for binding in [last.assignment.binding]
    ]
    _decide_anew(unit, ctx, policy.contractor, todo, EventType.POLICY_REINSTATED)


def _decide_anew(unit: Unit, ctx: Context, contractor: str, todo: Sequence[_Anew], trigger: EventType) -> None:
    """Where the policies would stay the same, there is nothing to decide."""
    if not todo:
        return
    facts = facts_about(unit, ctx, contractor, [last.assignment for last, *_ in todo])
    policies = unit.policies.find(ctx.platform, {id_ for _, _, kept, _ in todo for id_ in kept})
    for last, policy, kept, types in todo:
        assignment, about = last.assignment, facts[last.assignment.id]
        binding, start = anew.reuse(assignment, [policies[id_] for id_ in kept], types, about, ctx.now)
        if binding.policies == assignment.binding.policies:
            continue
        seen = evidence(about, binding) | part_of(assignment, start) | {"policy": policy}
        decision = last.followed_by(binding, ctx.now, trigger.value, seen)
        unit.assignments.decide_again(decision)
        uncovered = not decision.assignment.covered_types >= assignment.covered_types
        told = EventType.ASSIGNMENT_UNCOVERED if uncovered else EventType.ASSIGNMENT_COVERED
        unit.events.record(told, decision.assignment, ctx.now)
