"""What invariants ask of cover: would a policy match, whatever became of it, and was an opt-in complete."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from server.domain.decision import OPT_IN_COVERS
from server.domain.enums import ApplicationSessionStatus, CoverageType, PolicyStatus
from server.domain.events import EventType
from server.domain.invariants.books import Books, Cause, Change, SessionRow, Terms
from server.domain.matching import Need, in_its_place, matches
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
    types = covered_types(cause).intersection(policy.coverage_types)
    if not types and "part_end" in cause.decision.part:  # a type that has cover up to then counts as left over
        types = frozenset(cause.assignment.coverage_types).intersection(policy.coverage_types)
    return would_match(policy, need(cause, types, residence))


def would_have_done(
    other: Policy, policy: Policy, wanted: Need, books: Books, terms: Terms, seen: Collection[str] = ()
) -> bool:
    """Whether an earlier policy matched what another was bound for, and was surely issued or being bound by then.

    `seen`: those that the decision saw. When one was reinstated, or cancelled to end later, its events tell; once they
    are swept it is known only of one that was long enough all along, or had no room to come back beside the policy.
    """
    if not would_match(other, wanted):
        return False
    if other.revision == (other.status is PolicyStatus.CANCELLED):  # whole until it ended
        return other.id in seen or _was_usable(other, policy, terms)
    if matches(other, wanted) and (other.revision == 1 or _keep_each_other_out(other, policy)):
        return True
    return _is_told_to_have_matched(other, wanted, books.changes.get(other.id, ()), policy.create_time, terms)


def _was_usable(other: Policy, policy: Policy, terms: Terms) -> bool:
    """What has ended stays so."""
    if other.status in (PolicyStatus.ACTIVE, PolicyStatus.PENDING):
        return True
    return other.cancel_time is not None and other.cancel_time > policy.create_time + terms.span


def _keep_each_other_out(other: Policy, policy: Policy) -> bool:
    """Whether both cannot be in force: none is reinstated beside one in its place, nor bound where another would do."""
    if other.cancel_time is not None or not _is_in_place_of(policy, other):
        return False
    if policy.revision and policy.cancel_time is None:  # it is back, too: maybe after the other
        return _is_in_place_of(other, policy)
    return policy.revision == (policy.cancel_time is not None)  # live ever since it was bound


def _is_in_place_of(policy: Policy, other: Policy) -> bool:
    """Whether it keeps the other from being reinstated, up to the last moment of the other's term."""
    return in_its_place(other, [policy], other.expire_time - datetime.resolution) is not None


def _is_told_to_have_matched(
    other: Policy, wanted: Need, changes: Collection[Change], time: datetime, terms: Terms
) -> bool:
    """Whether events tell that by then it had not ended yet, was back, or was as it is now.

    Until when it was to last after a cancellation that was followed by another change, is not looked for.
    """
    before, after = time - terms.span, time + terms.span
    ends = [change.time for change in changes if change.type == EventType.POLICY_CANCELLED]
    returns = [change.time for change in changes if change.type == EventType.POLICY_REINSTATED]
    if ends and min(ends) > after and len(changes) == other.revision:
        return True
    if any(back < before and not any(back - terms.span <= end <= after for end in ends) for back in returns):
        return True
    unchanged_since = terms.tell_of(time) and all(change.time < before for change in changes)
    return unchanged_since and matches(other, wanted)


def was_complete(session: SessionRow | None, state: str, time: datetime, books: Books, terms: Terms) -> bool:
    """Whether the session is a general opt-in for the state that was complete at the time.

    When it was withdrawn, its event tells; of one whose event is swept only that it was before all that is still told.
    """
    if session is None or not session.is_general_opt_in or session.work_state != state:
        return False
    if session.complete_time is None or session.complete_time > time + terms.span:
        return False
    if session.status is not ApplicationSessionStatus.CANCELLED:
        return session.status is ApplicationSessionStatus.APPLICATION_COMPLETE
    withdrawals = [change.time for change in books.changes.get(session.id, ())]
    return max(withdrawals) + terms.span >= time if withdrawals else not terms.tell_of(time)
