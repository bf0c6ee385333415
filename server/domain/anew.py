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


def as_it_was(assignment: Assignment, job: Job, contractor: Contractor) -> Job:
    """The job as the assignment has it: work state and category stay when the job changes (spec 3)."""
    address = replace(job.address or contractor.address, region=assignment.work_state)
    return replace(job, category_code=assignment.category_code, address=address)


def reuse(
    assignment: Assignment, kept: Sequence[Policy], types: Iterable[CoverageType], facts: Facts, now: datetime
) -> tuple[Binding, datetime]:
    """The binding with the policies that it keeps, and with another that covers the types, if there is one.

    None is bound: where one would have to be, the standard workflow applies. Also the start of what was decided about.
    """
    wanted = left_over(assignment, kept, types, assignment.end_time)
    if wanted is None:
        rate = sum(policy.net_rate for policy in kept)
        return replace(assignment.binding, policies=_ids(kept), net_rate=rate), assignment.effective_time
    issued = [policy for policy in facts.policies if policy.status is PolicyStatus.ACTIVE]
    decision = decide(wanted, replace(facts, policies=issued), now)
    part = decision.binding if decision.bind is None else _left_to_the_standard_workflow(wanted)
    return joined(assignment, kept, wanted, part), wanted.period.start


def joined(assignment: Assignment, kept: Sequence[Policy], wanted: AssignmentRequest, part: Binding) -> Binding:
    """The assignment's binding: the policies that it keeps, and what was decided about the part that was wanted."""
    already_covered = set(assignment.coverage_types).difference(wanted.coverage_types)
    # Where workers' compensation is covered, it is beside the point why the opt-in does not apply to the rest.
    reasons = () if CoverageType.WORKERS_COMP in already_covered else part.reasons
    before = set(assignment.binding.standard_workflow_coverage_types).difference(wanted.coverage_types)
    kept_ids = _ids(kept)
    added = tuple(id_ for id_ in part.policies if id_ not in kept_ids)
    return replace(
        part,
        policies=kept_ids + added,
        net_rate=sum(policy.net_rate for policy in kept) + (part.net_rate if added else 0),
        reasons=reasons,
        standard_workflow_coverage_types=tuple(sorted(before.union(part.standard_workflow_coverage_types))),
    )


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
