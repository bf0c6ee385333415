"""Deciding anew about an assignment: when it is extended, and when a policy that it had ends or is back.

Earlier decisions stand (spec 6); another one is about the types, and the part of the period, that are to be covered.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from server.domain.decision import AssignmentRequest, Facts, decide
from server.domain.enums import BindingOutcome, BindingReason, BindingWorkflow, CoverageType, PolicyStatus
from server.domain.records import Assignment, Binding, Contractor, Job, Policy
from server.domain.terms import Period


def covered_until(type_: CoverageType, policies: Iterable[Policy], start: datetime) -> datetime:
    """Until when the policies cover the type, from the start on and without a gap; the start where they do not."""
    until = start
    for policy in sorted(policies, key=lambda policy: policy.effective_time):
        if type_ in policy.coverage_types and policy.effective_time <= until < policy.end:
            until = policy.end
    return until


def covered_from(type_: CoverageType, policies: Iterable[Policy], end: datetime) -> datetime:
    """Since when the policies cover the type, up to the end and without a gap; the end where they do not."""
    since = end
    for policy in sorted(policies, key=lambda policy: policy.end, reverse=True):
        if type_ in policy.coverage_types and policy.effective_time < since <= policy.end:
            since = policy.effective_time
    return since


def lost(types: Iterable[CoverageType], start: datetime, named: Sequence[Policy]) -> list[Policy]:
    """Of the policies that an assignment of the types names, in their order, those that were cancelled to end before
    the part begins that rests on them."""
    return [
        policy
        for position, policy in enumerate(named)
        if policy.cancel_time is not None and _begins(types, start, named[:position], policy) >= policy.end
    ]


def _begins(types: Iterable[CoverageType], start: datetime, before: Sequence[Policy], policy: Policy) -> datetime:
    """Where those named before it stop covering one of the types that it is for."""
    needed = [covered_until(type_, before, start) for type_ in set(types).intersection(policy.coverage_types)]
    return max(min(needed, default=start), policy.effective_time)


def left_over(
    assignment: Assignment, named: Sequence[Policy], types: Iterable[CoverageType], end: datetime
) -> AssignmentRequest | None:
    """What the named policies leave of those types up to the end; None: nothing. All of it from where the first stops.

    `end`: the assignment's, or the one that it is to have.
    """
    until = {t: covered_until(t, named, assignment.effective_time) for t in types}
    lacking = tuple(sorted(t for t in until if until[t] < end))
    if not lacking:
        return None
    start = min(until[t] for t in lacking)
    return AssignmentRequest(
        contractor=assignment.contractor, job=assignment.job, coverage_types=lacking, period=Period(start, end)
    )


def gap(assignment: Assignment, named: Sequence[Policy], types: Iterable[CoverageType]) -> AssignmentRequest | None:
    """As `left_over` of the assignment as it is, but only to where the named policies cover all that follows."""
    left = left_over(assignment, named, types, assignment.end_time)
    if left is None:
        return None
    stop = max(covered_from(type_, named, left.period.end) for type_ in left.coverage_types)
    return replace(left, period=Period(left.period.start, stop))


def as_it_was(assignment: Assignment, job: Job, contractor: Contractor) -> Job:
    """The job as the assignment has it: work state and category stay when the job changes (spec 3)."""
    address = replace(job.address or contractor.address, region=assignment.work_state)
    return replace(job, category_code=assignment.category_code, address=address)


def reuse(
    assignment: Assignment,
    kept: Sequence[Policy],
    types: Iterable[CoverageType],
    facts: Facts,
    now: datetime,
    back: Policy | None = None,
) -> tuple[Binding, Period]:
    """The binding with the policies that it keeps, and with another that covers the types, if there is one.

    None is bound: where one would have to be, the standard workflow applies. `back`: a policy that is in force again,
    and covers what it can where none covers everything. Also the period that was decided about.
    """
    wanted = gap(assignment, kept, types)
    if wanted is None:
        rate = sum(policy.net_rate for policy in kept)
        whole = Period(assignment.effective_time, assignment.end_time)
        return replace(assignment.binding, policies=_ids(kept), net_rate=rate), whole
    part = _reused(wanted, facts, now)
    if part.policies or back is None or not wanted.period.start < back.end < wanted.period.end:
        return joined(assignment, kept, wanted, part), wanted.period
    first = replace(wanted, period=Period(wanted.period.start, back.end))
    binding = joined(assignment, kept, first, _reused(first, facts, now))
    left = set(binding.standard_workflow_coverage_types).union(first.coverage_types)
    return replace(binding, standard_workflow_coverage_types=tuple(sorted(left))), first.period


def _reused(wanted: AssignmentRequest, facts: Facts, now: datetime) -> Binding:
    issued = [policy for policy in facts.policies if policy.status is PolicyStatus.ACTIVE]
    decision = decide(wanted, replace(facts, policies=issued), now)
    return decision.binding if decision.bind is None else _left_to_the_standard_workflow(wanted)


def joined(assignment: Assignment, kept: Sequence[Policy], wanted: AssignmentRequest, part: Binding) -> Binding:
    """The assignment's binding: the policies that it keeps, and what was decided about the part that was wanted."""
    before = set(assignment.binding.standard_workflow_coverage_types).difference(wanted.coverage_types)
    kept_ids = _ids(kept)
    added = tuple(id_ for id_ in part.policies if id_ not in kept_ids)
    return replace(
        part,
        policies=kept_ids + added,
        net_rate=sum(policy.net_rate for policy in kept) + (part.net_rate if added else 0),
        reasons=_reasons(assignment, wanted, part),
        standard_workflow_coverage_types=tuple(sorted(before.union(part.standard_workflow_coverage_types))),
    )


def _reasons(assignment: Assignment, wanted: AssignmentRequest, part: Binding) -> tuple[BindingReason, ...]:
    """Why the opt-in does not apply is beside the point where workers' compensation is covered, and stays what it was
    where that was left before and nothing is decided about it."""
    comp = CoverageType.WORKERS_COMP
    if comp in wanted.coverage_types or comp not in assignment.coverage_types:
        return part.reasons
    return () if comp in assignment.covered_types else assignment.binding.reasons


def not_bound(assignment: Assignment, policy: Policy, reason: BindingReason) -> Binding:
    """The binding of an assignment whose pending policy failed: it keeps those that it had before."""
    binding = assignment.binding
    lost = set(assignment.coverage_types).intersection(policy.coverage_types)
    return replace(
        binding,
        outcome=BindingOutcome.BINDING_FAILED,
        policies=tuple(id_ for id_ in binding.policies if id_ != policy.id),
        net_rate=binding.net_rate - policy.net_rate,
        reasons=(reason,),
        standard_workflow_coverage_types=tuple(sorted(lost.union(binding.standard_workflow_coverage_types))),
    )


def _left_to_the_standard_workflow(wanted: AssignmentRequest) -> Binding:
    return Binding(
        outcome=BindingOutcome.STANDARD_WORKFLOW,
        workflow=BindingWorkflow.STANDARD,
        standard_workflow_coverage_types=wanted.coverage_types,
    )


def _ids(policies: Iterable[Policy]) -> tuple[str, ...]:
    return tuple(policy.id for policy in policies)
