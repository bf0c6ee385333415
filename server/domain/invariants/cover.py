"""What invariants ask of cover: would a policy match, whatever became of it, and was an opt-in complete."""

from collections.abc import Collection
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
        period=cause.period,
    )


def would_match(policy: Policy, wanted: Need) -> bool:
    """Whether it matches as long as it is usable: as if it had never been cancelled."""
    return matches(replace(policy, status=PolicyStatus.ACTIVE, cancel_time=None), wanted)


def covered_types(cause: Cause) -> frozenset[CoverageType]:
    """The types asked for that the decision says are covered."""
    return frozenset(cause.assignment.coverage_types).difference(cause.decision.standard_workflow_coverage_types)


def covers(policy: Policy, cause: Cause) -> bool:
    """Whether it covers some of what the decision says is covered, in category, state and period."""
    residence = policy.residence_state
    if CoverageType.GENERAL in policy.coverage_types:  # where the contractor lived then
        residence = cause.decision.evidence.get("residence_state", residence)
    return would_match(policy, need(cause, covered_types(cause).intersection(policy.coverage_types), residence))


def would_have_done(other: Policy, policy: Policy, wanted: Need, terms: Terms, seen: Collection[str] = ()) -> bool:
    """Whether an earlier policy matched what another was bound for, and was surely issued or being bound by then.

    `seen`: those that the decision saw. Of one that was cancelled to end later, or reinstated, it is not known when.
    """
    known_to_be_whole = other.revision == (other.status is PolicyStatus.CANCELLED)
    return known_to_be_whole and would_match(other, wanted) and (other.id in seen or _was_usable(other, policy, terms))


def _was_usable(other: Policy, policy: Policy, terms: Terms) -> bool:
    """What has ended stays so."""
    if other.status in (PolicyStatus.ACTIVE, PolicyStatus.PENDING):
        return True
    return other.cancel_time is not None and other.cancel_time > policy.create_time + terms.span


def was_complete(session: SessionRow | None, state: str, time: datetime, terms: Terms) -> bool:
    """Whether the session is a general opt-in for the state that was complete at the time."""
    if session is None or not session.is_general_opt_in or session.work_state != state:
        return False
    return session.complete_time is not None and session.complete_time <= time + terms.span
