"""What is told of a change: the types of events, and which one a new status calls for (issue 4, items 6 and 7)."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from server.domain.enums import ApplicationSessionStatus, PolicyStatus
from server.domain.record import record
from server.domain.records import ApplicationSession, Assignment, Contractor, JobCategory, Policy, Quote

Subject = Contractor | ApplicationSession | JobCategory | Quote | Policy | Assignment
"""What an event can be about."""


class EventType(StrEnum):
    """As on the wire."""

    SESSION_STARTED = "application_session.started"
    SESSION_COMPLETED = "application_session.completed"
    SESSION_IN_REVIEW = "application_session.manual_review"
    SESSION_INELIGIBLE = "application_session.ineligible"
    SESSION_EXPIRED = "application_session.expired"
    SESSION_CANCELLED = "application_session.cancelled"
    QUOTE_CREATED = "quote.created"
    QUOTE_ISSUED = "quote.issued"
    QUOTE_EXPIRED = "quote.expired"
    POLICY_PENDING = "policy.pending"
    POLICY_ACTIVE = "policy.active"
    POLICY_FAILED = "policy.failed"
    POLICY_CANCELLED = "policy.cancelled"
    POLICY_REINSTATED = "policy.reinstated"
    POLICY_EXPIRED = "policy.expired"
    ASSIGNMENT_CREATED = "assignment.created"
    ASSIGNMENT_COVERED = "assignment.covered"
    ASSIGNMENT_UNCOVERED = "assignment.uncovered"
    ASSIGNMENT_EXTENDED = "assignment.extended"
    ASSIGNMENT_CANCELLED = "assignment.cancelled"
    CATEGORY_APPROVED = "job_category.approved"
    CATEGORY_REVOKED = "job_category.revoked"
    CONTRACTOR_DELETED = "contractor.deleted"


OF_SESSION: Mapping[ApplicationSessionStatus, EventType] = {
    ApplicationSessionStatus.STARTED: EventType.SESSION_STARTED,
    ApplicationSessionStatus.MANUAL_REVIEW: EventType.SESSION_IN_REVIEW,
    ApplicationSessionStatus.APPLICATION_COMPLETE: EventType.SESSION_COMPLETED,
    ApplicationSessionStatus.INELIGIBLE: EventType.SESSION_INELIGIBLE,
    ApplicationSessionStatus.EXPIRED: EventType.SESSION_EXPIRED,
    ApplicationSessionStatus.CANCELLED: EventType.SESSION_CANCELLED,
}
"""What a session's new status is told as. One that is only created tells nothing."""

OF_POLICY: Mapping[PolicyStatus, EventType] = {
    PolicyStatus.PENDING: EventType.POLICY_PENDING,
    PolicyStatus.ACTIVE: EventType.POLICY_ACTIVE,
    PolicyStatus.CANCELLED: EventType.POLICY_CANCELLED,
    PolicyStatus.EXPIRED: EventType.POLICY_EXPIRED,
    PolicyStatus.FAILED: EventType.POLICY_FAILED,
}
"""What a policy's new status is told as."""


@record(frozen=True, kw_only=True, slots=True)
class Event:
    id: str
    platform: str
    type: EventType
    resource: str  # the id of what it is about
    create_time: datetime
    data: bytes  # what it is about as it was, as the wire has it
    position: int | None = None  # 1, 2, 3 ... in the order of commits; None: only just recorded


def id_of(subject: Subject) -> str:
    return subject.code if isinstance(subject, JobCategory) else subject.id
