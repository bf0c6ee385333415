"""What Optin keeps: one frozen record a resource, in the field's own terms (spec 3).

Times are aware UTC datetimes with microseconds; periods are half-open.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import TypedDict

from server.domain.enums import (
    ApplicationSessionStatus,
    ApplicationStep,
    AssignmentStatus,
    BindingOutcome,
    BindingReason,
    BindingWorkflow,
    CoverageType,
    PolicyOrigin,
    PolicyStatus,
    QuoteStatus,
    UnderwritingReason,
)
from server.domain.record import record


@record(frozen=True, kw_only=True, slots=True)
class Address:
    region: str  # state: two upper-case letters
    line1: str = ""
    line2: str = ""
    locality: str = ""
    postalcode: str = ""  # 5 or 9 digits, or empty
    country: str = "US"


@record(frozen=True, kw_only=True, slots=True)
class Contractor:
    id: str
    platform: str
    first_name: str
    last_name: str
    email: str
    phone: str  # E.164
    address: Address  # residence
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None = None
    middle_name: str = ""
    company_name: str = ""
    withhold_premium: bool | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@record(frozen=True, kw_only=True, slots=True)
class Approval:
    """A category may be covered: for one coverage type, in one state or (empty) in every state."""

    coverage_type: CoverageType
    state: str
    net_rate: int  # cents per $100 of pay
    approve_time: datetime


@record(frozen=True, kw_only=True, slots=True)
class JobCategory:
    code: str
    platform: str
    name: str
    create_time: datetime
    approvals: tuple[Approval, ...] = ()

    def approval(self, coverage_type: CoverageType, state: str) -> Approval | None:
        """The approval that holds: a row for the state wins over the row for every state (spec 4)."""
        everywhere = None
        for approval in self.approvals:
            if approval.coverage_type == coverage_type:
                if approval.state == state:
                    return approval
                if not approval.state:
                    everywhere = approval
        return everywhere


@record(frozen=True, kw_only=True, slots=True)
class Job:
    id: str
    platform: str
    name: str
    category_code: str
    create_time: datetime
    update_time: datetime
    description: str = ""
    address: Address | None = None  # None: remote work
    withhold_premium: bool | None = None

    def work_state(self, contractor: Contractor) -> str:
        """Where the work is done; remote work is done where the contractor lives (spec 3)."""
        return (self.address or contractor.address).region


@record(frozen=True, kw_only=True, slots=True)
class Signature:
    document: str
    version: str
    legal_name: str
    text_sha256: str  # of the text that was signed, hex
    sign_time: datetime
    ip_address: str = ""
    user_agent: str = ""


@record(frozen=True, kw_only=True, slots=True)
class OptIn:
    """What a decision looks at in a contractor's general opt-in: a fraction of what is kept of it."""

    id: str
    work_state: str
    create_time: datetime
    expire_time: datetime
    status: ApplicationSessionStatus = ApplicationSessionStatus.CREATED  # as stored: see application.status_at
    complete_time: datetime | None = None


@record(frozen=True, kw_only=True, slots=True)
class ApplicationSession(OptIn):
    """An application for a quote, or a general opt-in."""

    platform: str
    contractor: str
    is_general_opt_in: bool
    success_url: str
    cancel_url: str
    form_version: str
    coverage_types: tuple[CoverageType, ...] = (CoverageType.WORKERS_COMP,)  # applied for: a quote's, or an opt-in's
    quote: str = ""
    step: ApplicationStep = ApplicationStep.VERIFY_INFO  # the step that is due
    reasons: tuple[UnderwritingReason, ...] = ()
    answers: Mapping[str, bool | int | str] = field(default_factory=dict)
    signatures: tuple[Signature, ...] = ()
    review_note: str = ""
    expiry_told: bool = False  # that its time has passed is recorded as an event


@record(frozen=True, kw_only=True, slots=True)
class CoverageRate:
    coverage_type: CoverageType
    net_rate: int  # cents per $100 of pay


@record(frozen=True, kw_only=True, slots=True)
class Quote:
    """A price for one contractor and job. States, category and rates are as they were when it was rated."""

    id: str
    platform: str
    contractor: str
    job: str
    coverage_types: tuple[CoverageType, ...]
    effective_time: datetime
    end_time: datetime
    work_state: str
    residence_state: str
    category_code: str
    rates: tuple[CoverageRate, ...]  # one for each type, in the types' order
    create_time: datetime
    expire_time: datetime
    status: QuoteStatus = QuoteStatus.OPEN  # as stored: EXPIRED is only read, see quoting.status_at
    policy: str = ""  # the one that was issued for it, or found; set exactly when it is ISSUED
    expiry_told: bool = False  # whether its expiry was recorded as an event
    # Until when it is applied for: the end of the last of its open sessions, or none while it is being issued.
    applied_until: datetime | None = None  # derived, never stored

    @property
    def net_rate(self) -> int:
        return sum(rate.net_rate for rate in self.rates)


@record(frozen=True, kw_only=True, slots=True)
class Policy:
    id: str
    platform: str
    contractor: str
    number: int  # 1, 2, 3 ... for each contractor (spec 7)
    coverage_types: tuple[CoverageType, ...]
    work_state: str
    residence_state: str
    category_code: str
    effective_time: datetime
    expire_time: datetime
    status: PolicyStatus  # as stored: EXPIRED is only read, and CANCELLED may be, see matching.status_at
    origin: PolicyOrigin
    net_rate: int
    create_time: datetime
    application_session: str = ""
    quote: str = ""
    carrier_policy_number: str = ""
    cancel_time: datetime | None = None  # of an active one: still to come when it was cancelled
    cancel_reason: str = ""
    remote: bool = False  # a remote carrier binds it, and is told when it ends
    fail_reason: BindingReason | None = None  # why it is FAILED
    expiry_told: bool = False  # that its term has passed is recorded as an event
    revision: int = 0  # how often it was cancelled or reinstated

    @property
    def end(self) -> datetime:
        """Where its cover ends: with its term, or when it is cancelled."""
        return self.expire_time if self.cancel_time is None else min(self.cancel_time, self.expire_time)


@record(frozen=True, kw_only=True, slots=True)
class Binding:
    """What was decided about an assignment's cover, and why."""

    outcome: BindingOutcome
    workflow: BindingWorkflow
    policies: tuple[str, ...] = ()
    application_session: str = ""
    reasons: tuple[BindingReason, ...] = ()
    net_rate: int = 0
    standard_workflow_coverage_types: tuple[CoverageType, ...] = ()


@record(frozen=True, kw_only=True, slots=True)
class Assignment:
    id: str
    platform: str
    contractor: str
    job: str
    coverage_types: tuple[CoverageType, ...]
    effective_time: datetime
    end_time: datetime
    work_state: str
    category_code: str
    binding: Binding
    create_time: datetime
    status: AssignmentStatus = AssignmentStatus.ACTIVE
    cancel_time: datetime | None = None
    cancel_reason: str = ""

    @property
    def covered_types(self) -> frozenset[CoverageType]:
        """Those asked for that are not left to the standard workflow."""
        return frozenset(self.coverage_types).difference(self.binding.standard_workflow_coverage_types)


class ApprovalSeen(TypedDict):
    coverage_type: int
    state: str
    net_rate: int
    approve_time: str  # ISO 8601


class Evidence(TypedDict, total=False):
    """What a decision rested on, as it is kept beside it (spec 6). What played no part may be left out."""

    work_state: str
    residence_state: str
    application_session: str  # the completed application: a general opt-in, or one for a quote
    policies: list[str]  # the contractor's that were live
    approval: ApprovalSeen | None  # for workers' compensation, in the work state
    withholding: str  # the WithholdingSource in lower case; empty: the premium is not withheld
    quote: str
    policy: str  # that a carrier answered for, or that was issued, cancelled or reinstated
    answer: str  # the carrier's
    part_start: str  # ISO 8601: only what is left of the assignment from then on was decided
    part_end: str  # ISO 8601: and only up to then
    being_bound: list[str]  # those of `policies` that were no cover yet
    previous_end: str  # ISO 8601: where the assignment ended before it was extended


@record(frozen=True, kw_only=True, slots=True)
class DecisionRecord:
    """One decision about an assignment, as it is kept: never changed, only followed by another (spec 6)."""

    assignment: Assignment  # with the binding that was decided
    number: int  # 1, 2, 3 ... for each assignment
    decide_time: datetime
    trigger: str  # what called for it
    facts: Evidence

    def followed_by(self, binding: Binding, decide_time: datetime, trigger: str, facts: Evidence) -> "DecisionRecord":
        """The next decision about the assignment."""
        return DecisionRecord(
            assignment=replace(self.assignment, binding=binding),
            number=self.number + 1,
            decide_time=decide_time,
            trigger=trigger,
            facts=facts,
        )
