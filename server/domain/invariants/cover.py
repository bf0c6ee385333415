"""What invariants ask of cover: would a policy match, whatever became of it, and was an opt-in complete."""

from dataclasses import replace
from datetime import datetime

from server.domain.decision import OPT_IN_COVERS
from server.domain.enums import CoverageType, PolicyStatus
from server.domain.invariants.books import Cause, SessionRow, Terms
from server.domain.matching import Need, matches
from server.domain.records import Policy

BY_OPT_IN = frozenset(OPT_IN_COVERS)


def need(cause: Cause, types: frozenset[CoverageType], residence_state: str) -> Need:
    """What must be covered; which policy would be the best plays no part here."""
    assignment = cause.assignment
    return Need(
        types=types,
        wished=types,
        work_state=assignment.work_state,
        residence_state=residence_state,
        category_code=assignment.category_code,
        period=assignment.period,
    )


def would_match(policy: Policy, wanted: Need) -> bool:
    """Whether it matches as long as it is usable."""
    usable = policy if policy.status is PolicyStatus.ACTIVE else replace(policy, status=PolicyStatus.ACTIVE)
    return matches(usable, wanted)


def covered_types(cause: Cause) -> frozenset[CoverageType]:
    """The types asked for that the decision says are covered."""
    return frozenset(cause.assignment.coverage_types).difference(cause.decision.standard_workflow_coverage_types)


def covers(policy: Policy, cause: Cause) -> bool:
    """Whether it covers some of what the decision says is covered, in category, state and period."""
    residence = policy.residence_state
    if CoverageType.GENERAL in policy.coverage_types:  # where the contractor lived then
        residence = cause.decision.evidence.get("residence_state", residence)
    return would_match(policy, need(cause, covered_types(cause).intersection(policy.coverage_types), residence))


def was_usable(other: Policy, policy: Policy, terms: Terms) -> bool:
    """Whether an earlier policy was surely issued or being bound when another was bound: what has ended stays so."""
    if other.status in (PolicyStatus.ACTIVE, PolicyStatus.PENDING):
        return True
    return other.cancel_time is not None and other.cancel_time > policy.create_time + terms.span


def was_complete(session: SessionRow | None, state: str, time: datetime, terms: Terms) -> bool:
    """Whether the session is a general opt-in for the state that was complete at the time."""
    if session is None or not session.is_general_opt_in or session.work_state != state:
        return False
    return session.complete_time is not None and session.complete_time <= time + terms.span
