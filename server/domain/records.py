"""What Optin keeps: one frozen record a resource, in the field's own terms (spec 3).

Times are aware UTC datetimes with microseconds; periods are half-open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

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
    UnderwritingReason,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    region: str  # state: two upper-case letters
    line1: str = ""
    line2: str = ""
    locality: str = ""
    postalcode: str = ""  # 5 or 9 digits, or empty
    country: str = "US"


@dataclass(frozen=True, kw_only=True, slots=True)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """A category may be covered: for one coverage type, in one state or (empty) in every state."""

    coverage_type: CoverageType
    state: str
    net_rate: int  # cents per $100 of pay
    approve_time: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class JobCategory:
    code: str
    platform: str
    name: str
    create_time: datetime
    approvals: tuple[Approval, ...] = ()

    def approval(self, coverage_type: CoverageType, state: str) -> Approval | None:
        """The approval that holds: a row for the state wins over the row for every state (spec 4)."""
        rows = {a.state: a for a in self.approvals if a.coverage_type == coverage_type}
        return rows.get(state) or rows.get("")


@dataclass(frozen=True, kw_only=True, slots=True)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    document: str
    version: str
    legal_name: str
    text_sha256: str  # of the text that was signed, hex
    sign_time: datetime
    ip_address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ApplicationSession:
    id: str
    platform: str
    contractor: str
    is_general_opt_in: bool
    work_state: str
    success_url: str
    cancel_url: str
    form_version: str
    create_time: datetime
    expire_time: datetime
    quote: str = ""
    status: ApplicationSessionStatus = ApplicationSessionStatus.CREATED  # as stored: see application.status_at
    step: ApplicationStep = ApplicationStep.VERIFY_INFO  # the step that is due
    reasons: tuple[UnderwritingReason, ...] = ()
    complete_time: datetime | None = None
    answers: Mapping[str, bool | int | str] = field(default_factory=dict)
    signatures: tuple[Signature, ...] = ()
    review_note: str = ""
    expiry_told: bool = False  # that its time has passed is recorded as an event


@dataclass(frozen=True, kw_only=True, slots=True)
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
    status: PolicyStatus  # as stored: EXPIRED is only read, see matching.status_at
    origin: PolicyOrigin
    net_rate: int
    create_time: datetime
    application_session: str = ""
    quote: str = ""
    carrier_policy_number: str = ""
    cancel_time: datetime | None = None
    cancel_reason: str = ""
    remote: bool = False  # a remote carrier binds it, and is told when it ends
    fail_reason: BindingReason | None = None  # why it is FAILED
    expiry_told: bool = False  # that its term has passed is recorded as an event


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """What was decided about an assignment's cover, and why."""

    outcome: BindingOutcome
    workflow: BindingWorkflow
    policies: tuple[str, ...] = ()
    application_session: str = ""
    reasons: tuple[BindingReason, ...] = ()
    net_rate: int = 0
    standard_workflow_coverage_types: tuple[CoverageType, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
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
