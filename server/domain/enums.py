"""The enums of spec 3, without their wire prefixes. The numbers are those on the wire and on disk."""

from enum import IntEnum


class CoverageType(IntEnum):
    GENERAL = 1
    PROFESSIONAL = 2
    WORKERS_COMP = 3
    MEDIA = 4
    CYBER = 5


class ApplicationSessionStatus(IntEnum):
    CREATED = 1
    STARTED = 2
    MANUAL_REVIEW = 3
    APPLICATION_COMPLETE = 4
    INELIGIBLE = 5
    EXPIRED = 6
    CANCELLED = 7


class ApplicationStep(IntEnum):
    """In the order in which a contractor takes them."""

    VERIFY_INFO = 1
    APPLICATION_QUESTIONS = 2
    ESIGNATURE_DOCUMENT = 3
    FINAL_REVIEW = 4
    DONE = 5


class UnderwritingReason(IntEnum):
    UNDER_AGE = 1
    RECENT_LOSSES = 2
    HAS_EMPLOYEES = 3
    DECLINED_IN_REVIEW = 4


class ReviewDecision(IntEnum):
    APPROVE = 1
    DECLINE = 2


class QuestionType(IntEnum):
    BOOL = 1
    INT = 2
    TEXT = 3


class PolicyStatus(IntEnum):
    PENDING = 1
    ACTIVE = 2
    CANCELLED = 3
    EXPIRED = 4
    FAILED = 5


class PolicyOrigin(IntEnum):
    GENERAL_OPT_IN = 1
    QUOTE = 2


class QuoteStatus(IntEnum):
    OPEN = 1
    ISSUED = 2
    EXPIRED = 3


class CarrierOrderKind(IntEnum):
    """What a remote carrier is told about a policy. Not on the wire."""

    VOID = 1
    CANCEL = 2
    REINSTATE = 3


class AssignmentStatus(IntEnum):
    ACTIVE = 1
    CANCELLED = 2


class BindingWorkflow(IntEnum):
    GENERAL_OPT_IN = 1
    STANDARD = 2


class WithholdingSource(IntEnum):
    """Who says that the premium is withheld; of several, the first (spec 5)."""

    PLATFORM = 1
    CONTRACTOR = 2
    JOB = 3


class BindingOutcome(IntEnum):
    COVERAGE_REUSED = 1
    COVERAGE_BOUND = 2
    STANDARD_WORKFLOW = 3
    BINDING_FAILED = 4
    BINDING_PENDING = 5


class BindingReason(IntEnum):
    """In the order in which answers list them (spec 3)."""

    WORKERS_COMP_NOT_REQUESTED = 1
    NO_GENERAL_OPT_IN = 2
    OPT_IN_NOT_COMPLETE = 3
    WORK_STATE_MISMATCH = 4
    JOB_CATEGORY_NOT_APPROVED = 5
    PREMIUM_NOT_WITHHELD = 6
    WORK_STATE_NOT_OFFERED = 7
    CARRIER_DECLINED = 8
    CARRIER_UNAVAILABLE = 9
