"""What an audit looks at: rows as they were at one moment, with what the invariants need of them."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from server.domain.carrier import CarrierOrder, PendingBinding
from server.domain.enums import (
    ApplicationSessionStatus,
    AssignmentStatus,
    BindingOutcome,
    BindingWorkflow,
    CoverageType,
)
from server.domain.records import Policy, Quote
from server.domain.terms import Period

Ids = Iterator[tuple[str, ...]]

CALL_SPAN = timedelta(minutes=1)
MOST_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant that does not hold, and for what."""

    rule: str  # a function of `invariants`, with hyphens
    ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rule}: {' '.join(self.ids)}"


@dataclass(slots=True)
class Report:
    """What an audit found: all are counted, the first ones kept."""

    findings: list[Finding] = field(default_factory=list)
    total: int = 0
    rows: Counter[str] = field(default_factory=Counter)  # looked at, by kind

    def add(self, found: Iterable[Finding]) -> None:
        for finding in found:
            self.total += 1
            if len(self.findings) < MOST_KEPT:
                self.findings.append(finding)

    def merge(self, other: "Report") -> None:
        self.add(other.findings)
        self.total += other.total - len(other.findings)
        self.rows.update(other.rows)


@dataclass(frozen=True, slots=True)
class Terms:
    now: datetime
    limit: timedelta  # how long a carrier may take for one policy
    told_since: datetime | None = None  # changes have their events from then on; None: no event is kept

    @property
    def span(self) -> timedelta:
        """A change has the time at which its call came in, and calls overtake one another: times that lie closer
        together than this do not tell which change was first."""
        return CALL_SPAN + self.limit

    def tell_of(self, time: datetime) -> bool:
        """Whether what was done then has its event still, and so has all that was done afterwards."""
        return self.told_since is not None and time >= self.told_since


class ContractorRow(NamedTuple):
    id: str
    platform: str
    email: str
    email_folded: str
    delete_time: datetime | None
    email_holder: str | None  # who has the email in `emails`


class SessionRow(NamedTuple):
    contractor: str
    id: str
    platform: str
    is_general_opt_in: bool
    work_state: str
    status: ApplicationSessionStatus
    expire_time: datetime
    complete_time: datetime | None
    quote: str


class AssignmentRow(NamedTuple):
    contractor: str
    id: str
    platform: str
    job: str
    coverage_types: tuple[CoverageType, ...]
    effective_time: datetime
    end_time: datetime
    work_state: str
    category_code: str
    decision: int
    outcome: BindingOutcome
    status: AssignmentStatus
    create_time: datetime
    cancel_time: datetime | None
    told_created: int  # events of the type that are kept
    told_cancelled: int


class DecisionRow(NamedTuple):
    contractor: str
    assignment: str
    number: int
    platform: str
    decide_time: datetime
    outcome: BindingOutcome
    workflow: BindingWorkflow
    policies: tuple[str, ...]
    application_session: str
    net_rate: int
    standard_workflow_coverage_types: tuple[CoverageType, ...]
    facts: str  # JSON

    @property
    def evidence(self) -> Mapping[str, Any]:
        facts = json.loads(self.facts)
        if not isinstance(facts, dict):
            raise TypeError("facts are an object")
        return facts

    @property
    def part(self) -> Mapping[str, str]:
        """What the evidence says of a part of the period; of most decisions nothing, which is told without reading."""
        return self.evidence if '"part_' in self.facts or '"previous_end"' in self.facts else {}


class Pending(NamedTuple):
    """A row of `pending_bindings`."""

    binding: PendingBinding
    awaits: str | None  # of its request: None where there is none


class AboutRow(NamedTuple):
    """What a decision is about."""

    contractor: str
    assignment: str
    number: int
    has_assignment: bool  # whether there is such an assignment


class RequestRow(NamedTuple):
    platform: str
    request_id: str
    awaits: str
    is_answered: bool
    awaits_pending: bool  # whether there is such a policy, and it is being bound


class EmailRow(NamedTuple):
    platform: str
    email_folded: str
    contractor: str
    holds: bool  # whether there is such a live contractor, with this email


class EventRow(NamedTuple):
    id: str
    create_time: datetime
    position: int | None  # None: waits for the sequencer
    before: int | None  # the next lower position that is kept
    has_resource: bool  # whether what it is about is there


class Change(NamedTuple):
    """An event that is kept: a policy was cancelled or is back, a complete opt-in was withdrawn."""

    contractor: str
    resource: str
    type: str
    time: datetime


class NewestRow(NamedTuple):
    """The event of the highest position."""

    id: str
    position: int
    last: int | None  # what the sequence gave last; None: there is no sequence


class Entry(NamedTuple):
    """An assignment and its decisions, the first one first."""

    contractor: str
    id: str
    assignment: AssignmentRow
    decisions: Sequence[DecisionRow]

    def causes(self) -> "list[Cause]":
        """Each decision, with the part of the assignment's period that it was about."""
        found, end = [], self.assignment.end_time
        for decision in reversed(self.decisions):
            part = decision.part
            period = Period(
                datetime.fromisoformat(part["part_start"]) if "part_start" in part else self.assignment.effective_time,
                datetime.fromisoformat(part["part_end"]) if "part_end" in part else end,
            )
            found.append(Cause(self.assignment, decision, period))
            if before := part.get("previous_end"):
                end = datetime.fromisoformat(before)
        return found[::-1]


class Cause(NamedTuple):
    """What a policy was bound or reused for: an assignment, the decision that did it, and what that was about."""

    assignment: AssignmentRow
    decision: DecisionRow
    period: Period


@dataclass(slots=True)
class Books:
    """One contractor's rows. Assignments may be many and pass by one at a time: what they leave is noted."""

    id: str
    contractor: ContractorRow | None = None  # None: rows of nobody
    sessions: dict[str, SessionRow] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)  # by policy
    orders: list[CarrierOrder] = field(default_factory=list)
    causes: defaultdict[str, list[Cause]] = field(default_factory=lambda: defaultdict(list))  # by policy
    waiting: dict[str, str] = field(default_factory=dict)  # assignments that are BINDING_PENDING, by policy
    changes: defaultdict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))  # by policy or session

    def note(self, entry: Entry) -> None:
        had: tuple[str, ...] = ()
        for cause in entry.causes():
            decision = cause.decision
            by_opt_in = decision.workflow is BindingWorkflow.GENERAL_OPT_IN
            if by_opt_in and decision.outcome in (BindingOutcome.COVERAGE_BOUND, BindingOutcome.BINDING_PENDING):
                for policy in set(decision.policies).difference(had):
                    self.causes[policy].append(cause)
            had = decision.policies
        if entry.assignment.outcome is BindingOutcome.BINDING_PENDING and had:
            self.waiting[had[-1]] = entry.id

    def in_order(self) -> Iterator[Policy]:
        return iter(sorted(self.policies.values(), key=lambda policy: policy.number))
