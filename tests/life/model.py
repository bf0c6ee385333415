"""What a caller knows of the world, and what follows from it by the specification, told in its own words.

Everything is as it was last seen. Whatever a call was not about has to stay as it was.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import resources_pb2 as pb

from tests.support.client import WORKERS_COMP

GENERAL = pb.COVERAGE_TYPE_GENERAL
STATE_FUND_ONLY = {"OH"}  # of the states that the machine uses
EVERY_STATE = ""

COMPLETE = pb.APPLICATION_SESSION_STATUS_APPLICATION_COMPLETE
IN_REVIEW = pb.APPLICATION_SESSION_STATUS_MANUAL_REVIEW
SESSION_OPEN = (pb.APPLICATION_SESSION_STATUS_CREATED, pb.APPLICATION_SESSION_STATUS_STARTED)
SESSION_TOLD = {
    pb.APPLICATION_SESSION_STATUS_STARTED: "application_session.started",
    IN_REVIEW: "application_session.manual_review",
    COMPLETE: "application_session.completed",
    pb.APPLICATION_SESSION_STATUS_INELIGIBLE: "application_session.ineligible",
    pb.APPLICATION_SESSION_STATUS_CANCELLED: "application_session.cancelled",
}

REUSED, BOUND = pb.BINDING_OUTCOME_COVERAGE_REUSED, pb.BINDING_OUTCOME_COVERAGE_BOUND
FALLS_BACK = pb.BINDING_OUTCOME_STANDARD_WORKFLOW

Type = pb.CoverageType.ValueType


@dataclass(frozen=True)
class Wanted:
    """What needs cover."""

    contractor: str
    types: frozenset[Type]
    state: str
    category: str
    start: int
    end: int


class Sent(NamedTuple):
    """A request, its answer, and when it was sent."""

    request: assignments_pb.CreateAssignmentRequest
    response: assignments_pb.CreateAssignmentResponse
    time: datetime


@dataclass
class Model:
    residences: dict[str, str] = field(default_factory=dict)  # by contractor
    deleted: set[str] = field(default_factory=set)
    approvals: dict[str, set[tuple[Type, str]]] = field(default_factory=dict)  # by category
    jobs: dict[str, pb.Job] = field(default_factory=dict)
    sessions: dict[str, pb.ApplicationSession] = field(default_factory=dict)
    leads_to: dict[str, pb.ApplicationSessionStatus.ValueType] = field(default_factory=dict)  # a session's answers
    quotes: dict[str, pb.Quote] = field(default_factory=dict)
    policies: dict[str, pb.Policy] = field(default_factory=dict)
    assignments: dict[str, pb.Assignment] = field(default_factory=dict)
    requests: dict[str, Sent] = field(default_factory=dict)  # by the assignment that they made
    ended: set[str] = field(default_factory=set)  # policies that were cancelled at once
    told: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # by resource, but expiries

    def is_approved(self, category: str, type_: Type, state: str) -> bool:
        return not self.approvals[category].isdisjoint({(type_, state), (type_, EVERY_STATE)})

    def has_opted_in(self, contractor: str, state: str) -> bool:
        return any(s.is_general_opt_in and s.work_state == state for s in self.complete(contractor))

    def complete(self, contractor: str) -> Iterable[pb.ApplicationSession]:
        return (s for s in self.sessions.values() if s.contractor == contractor and s.status == COMPLETE)

    def wanted(self, contractor: str, job: str, types: Collection[Type], start: int, end: int) -> Wanted:
        known = self.jobs[job]
        return Wanted(contractor, frozenset(types), known.address.region, known.category_code, start, end)

    def wanted_by(self, quote: pb.Quote, today: int) -> Wanted:
        """What a quote asks for today: what is left of its period, or else the period as it was."""
        start, end = quote.effective_time.seconds, quote.end_time.seconds
        left = max(start, today) if today < end else start
        return self.wanted(quote.contractor, quote.job, quote.coverage_types, left, end)

    def best(self, wanted: Wanted, wished: Collection[Type] = ()) -> pb.Policy | None:
        """Of those that match: which covers most of what is wished for, then expires last, then is the newest."""
        fitting = [policy for policy in self.policies.values() if self.matches(policy, wanted)]
        wished = frozenset(wished) or wanted.types
        return max(
            fitting,
            key=lambda p: (len(wished.intersection(p.coverage_types)), end_of(p), p.number),
            default=None,
        )

    def matches(self, policy: pb.Policy, wanted: Wanted) -> bool:
        types = policy.coverage_types
        return (
            policy.id not in self.ended  # besides that, the clock plays no part
            and policy.contractor == wanted.contractor
            and policy.category_code == wanted.category
            and bool(wanted.types)
            and wanted.types.issubset(types)
            and (WORKERS_COMP not in types or policy.work_state == wanted.state)
            and (GENERAL not in types or policy.residence_state == self.residences[wanted.contractor])
            and policy.effective_time.seconds <= wanted.start
            and wanted.end <= end_of(policy)
        )

    def is_eligible(self, wanted: Wanted) -> bool:
        return (
            WORKERS_COMP in wanted.types
            and self.has_opted_in(wanted.contractor, wanted.state)
            and wanted.state not in STATE_FUND_ONLY
            and self.is_approved(wanted.category, WORKERS_COMP, wanted.state)
        )

    def outcome(self, wanted: Wanted) -> tuple[pb.BindingOutcome.ValueType, str]:
        """Of a new assignment, and the policy that it reuses."""
        eligible = self.is_eligible(wanted)
        types = {WORKERS_COMP} if eligible else wanted.types
        needed = Wanted(wanted.contractor, frozenset(types), wanted.state, wanted.category, wanted.start, wanted.end)
        match = self.best(needed, wanted.types)
        if match is not None:
            return REUSED, match.id
        return (BOUND if eligible else FALLS_BACK), ""

    def quote_refusal(self, wanted: Wanted) -> str:
        """Why there is no quote for it; empty: there is."""
        if WORKERS_COMP in wanted.types and wanted.state in STATE_FUND_ONLY:
            return "WORK_STATE_NOT_OFFERED"
        if not all(self.is_approved(wanted.category, type_, wanted.state) for type_ in wanted.types):
            return "JOB_CATEGORY_NOT_APPROVED"
        return "MATCHING_POLICY_EXISTS" if self.best(wanted) else ""

    def gains(self, quote: pb.Quote, policy: pb.Policy) -> Mapping[str, set[Type]]:
        """The assignments that waited for the policy of an issued quote, and what it covers of each.

        But for those of which an earlier policy covers a part.
        """
        found = {}
        for made in self.assignments.values():
            if (made.contractor, made.job, made.status) != (quote.contractor, quote.job, pb.ASSIGNMENT_STATUS_ACTIVE):
                continue
            types = set(made.binding.standard_workflow_coverage_types).intersection(policy.coverage_types)
            start, end = made.effective_time.seconds, made.end_time.seconds
            needs = Wanted(made.contractor, frozenset(types), made.work_state, made.category_code, start, end)
            if self.matches(policy, needs) and not self.is_partly_covered(made):
                found[made.id] = types
        return found

    def is_partly_covered(self, made: pb.Assignment) -> bool:
        """Whether a type is left over that a policy covers for some of the time."""
        left = set(made.binding.standard_workflow_coverage_types)
        return any(left.intersection(self.policies[policy].coverage_types) for policy in made.binding.policies)

    def of(self, contractor: str) -> list[pb.Assignment]:
        """The contractor's assignments that stand."""
        standing = pb.ASSIGNMENT_STATUS_ACTIVE
        return [a for a in self.assignments.values() if a.contractor == contractor and a.status == standing]

    def losers(self, policy: pb.Policy, end: int) -> list[str]:
        """The assignments that lose the policy when it ends then: those whose part that rests on it starts later."""
        end = min(end, policy.expire_time.seconds)
        named = [made for made in self.of(policy.contractor) if policy.id in made.binding.policies]
        return [made.id for made in named if self.rests_from(made, policy) >= end]

    def rests_from(self, made: pb.Assignment, policy: pb.Policy) -> int:
        """When an assignment begins to need the policy for a type: where those that it had before do not go on."""
        earlier = [self.policies[id_] for id_ in made.binding.policies]
        earlier = earlier[: [one.id for one in earlier].index(policy.id)]
        starts = []
        for type_ in set(made.coverage_types).intersection(policy.coverage_types):
            until = made.effective_time.seconds
            for one in sorted(earlier, key=lambda one: one.effective_time.seconds):
                if type_ in one.coverage_types and one.effective_time.seconds <= until:
                    until = max(until, end_of(one))
            starts.append(until)
        return max(min(starts), policy.effective_time.seconds)

    def in_place_of(self, policy: pb.Policy, now: int, start: int = 0, end: int = 0) -> bool:
        """Whether another policy would do for a part of what is left of the policy's term, or of that part of it."""
        types = set(policy.coverage_types)
        start, end = start or policy.effective_time.seconds, end or policy.expire_time.seconds
        return any(
            other.id not in self.ended | {policy.id}
            and (other.contractor, other.category_code) == (policy.contractor, policy.category_code)
            and types.issubset(other.coverage_types)
            and (WORKERS_COMP not in other.coverage_types or other.work_state == policy.work_state)
            and (GENERAL not in other.coverage_types or other.residence_state == policy.residence_state)
            and other.effective_time.seconds < end
            and max(start, now) < end_of(other)
            for other in self.policies.values()
        )

    def see_session(self, session: pb.ApplicationSession) -> None:
        before = self.sessions.get(session.id)
        told = SESSION_TOLD.get(session.status)
        if told and (before is None or before.status != session.status):
            self.told[session.id].append(told)
        self.sessions[session.id] = session

    def see_quote(self, quote: pb.Quote) -> None:
        before = self.quotes.get(quote.id)
        if before is None:
            self.told[quote.id].append("quote.created")
        elif quote.status == pb.QUOTE_STATUS_ISSUED != before.status:
            self.told[quote.id].append("quote.issued")
        self.quotes[quote.id] = quote

    def see_policy(self, policy: pb.Policy) -> None:
        before = self.policies.get(policy.id)
        if before is None:
            self.told[policy.id].append("policy.active")
        elif policy.cancel_time != before.cancel_time:
            ended = policy.HasField("cancel_time")
            self.told[policy.id].append("policy.cancelled" if ended else "policy.reinstated")
        self.policies[policy.id] = policy

    def see_assignment(self, assignment: pb.Assignment) -> None:
        before = self.assignments.get(assignment.id)
        if before is None:
            self.told[assignment.id].append("assignment.created")
        elif assignment.status == pb.ASSIGNMENT_STATUS_CANCELLED != before.status:
            self.told[assignment.id].append("assignment.cancelled")
        elif assignment != before:
            left = set(assignment.binding.standard_workflow_coverage_types)
            dropped = set(before.binding.policies).difference(assignment.binding.policies)
            lost = not left.issubset(before.binding.standard_workflow_coverage_types) or any(
                left.intersection(self.policies[policy].coverage_types) for policy in dropped
            )
            extended = assignment.end_time != before.end_time
            if extended:
                self.told[assignment.id].append("assignment.extended")
            if lost or not extended:
                self.told[assignment.id].append("assignment.uncovered" if lost else "assignment.covered")
        self.assignments[assignment.id] = assignment


def end_of(policy: pb.Policy) -> int:
    """When its cover ends."""
    term_ends = policy.expire_time.seconds
    return min(policy.cancel_time.seconds, term_ends) if policy.HasField("cancel_time") else term_ends
