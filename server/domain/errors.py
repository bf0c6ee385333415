"""What can go wrong, in the domain's terms. The API turns each class into a status, by one table.

    DomainError
    ├── InvalidCredentials     no caller is known by them
    ├── RoleNotAllowed
    ├── InvalidFields          bad fields, all of them at once
    ├── InvalidPageToken
    ├── NotFound               a reference to nothing
    ├── AlreadyExists
    │   ├── DuplicateEmail
    │   ├── MatchingPolicyExists
    │   └── RequestIdReused
    ├── FailedPrecondition
    │   ├── PremiumWithholdingRequired, WorkStateNotOffered
    │   ├── CoverageNotOffered, JobCategoryNotApproved
    │   ├── QuoteNotOpen, QuoteAlreadyIssued
    │   ├── ApplicationStepOutOfOrder, ApplicationAlreadyComplete
    │   ├── ApplicationClosed, ApplicationNotInReview
    │   ├── AssignmentStarted
    │   ├── AssignmentCancelled
    │   └── PolicyNotActive, PolicyNotCancelled, PolicyTermEnded
    └── Retryable              the same request may succeed later
        ├── StorageUnavailable
        │   └── ServerStopping
        ├── ConcurrentUpdate
        └── Overloaded
            └── PlatformLimited

`reason` is the `ErrorReason` on the wire (spec 9). `message` is a template over `metadata`, so that a
machine finds every variable part of it there; neither may hold personal values.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

T = TypeVar("T")

LOOKS_LIKE_AN_ID = re.compile(r"[a-z]{2,3}_[0-9A-Za-z_-]{1,40}")


def entry_for(error: Exception, table: Mapping[type[Exception], T]) -> T:
    """That of its class, or of the nearest one that its class derives from. The table has to have one."""
    return next(table[cls] for cls in type(error).__mro__ if cls in table)


@dataclass(frozen=True, slots=True)
class Violation:
    """One bad field: its path as in the proto, and the rule that it breaks."""

    field: str
    rule: str


class DomainError(Exception):
    reason: ClassVar[str]
    message: ClassVar[str]

    def __init__(self, **metadata: str) -> None:
        super().__init__(self.message.format(**metadata))
        self.metadata = metadata


class InvalidCredentials(DomainError):
    reason = "INVALID_CREDENTIALS"
    message = "Send a key that is in force as `authorization: Bearer opk_...`; `optin key create` makes one."


class RoleNotAllowed(DomainError):
    reason = "ROLE_NOT_ALLOWED"
    message = "This key's role ({role}) may not call {method}."


class InvalidFields(DomainError):
    reason = "INVALID_FIELD"
    message = "These fields are not valid: {fields}. The details give the rule that each one breaks."

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(fields=", ".join(dict.fromkeys(v.field for v in violations)))
        self.violations = tuple(violations)

    def within(self, prefix: str) -> "InvalidFields":
        """The same, of a message that is itself a field."""
        return InvalidFields([Violation(f"{prefix}.{bad.field}", bad.rule) for bad in self.violations])


class InvalidPageToken(DomainError):
    reason = "INVALID_PAGE_TOKEN"
    message = "page_token was not made by this method with these filters; start again without one."


class NotFound(DomainError):
    reason = "RESOURCE_NOT_FOUND"
    message = "No {resource_type} has the id {resource_name}."

    def __init__(self, resource_type: str, resource_name: str) -> None:
        super().__init__(resource_type=resource_type, resource_name=resource_name)

    def without_words(self) -> "NotFound":
        """For callers: without a name that has not the form of an id, since that may be anything, a person's too."""
        if LOOKS_LIKE_AN_ID.fullmatch(self.metadata["resource_name"]):
            return self
        unnamed = NotFound(self.metadata["resource_type"], "")
        unnamed.args = (f"There is no such {self.metadata['resource_type']}.",)
        return unnamed


class AlreadyExists(DomainError):
    """What the request would create is there already."""


class DuplicateEmail(AlreadyExists):
    reason = "DUPLICATE_EMAIL"
    message = "Another contractor of this platform has this email: {contractor}."


class MatchingPolicyExists(AlreadyExists):
    reason = "MATCHING_POLICY_EXISTS"
    message = "Policy {policy} covers this already; assignments reuse it without a quote."


class RequestIdReused(AlreadyExists):
    reason = "REQUEST_ID_REUSED"
    message = "request_id {request_id} was used for another request; make a new one for each request."


class FailedPrecondition(DomainError):
    """The request is well formed, but not in this state."""


class PremiumWithholdingRequired(FailedPrecondition):
    reason = "PREMIUM_WITHHOLDING_REQUIRED"
    message = "A general opt-in needs premium withholding; set withhold_premium on contractor {contractor}."


class WorkStateNotOffered(FailedPrecondition):
    reason = "WORK_STATE_NOT_OFFERED"
    message = "Workers' compensation in {work_state} is sold by the state fund only."


class CoverageNotOffered(FailedPrecondition):
    reason = "COVERAGE_NOT_OFFERED"
    message = "{coverage_type} is not offered to residents of {residence_state}."


class JobCategoryNotApproved(FailedPrecondition):
    reason = "JOB_CATEGORY_NOT_APPROVED"
    message = "Job category {category_code} is not approved in {work_state} for {coverage_types}."


class QuoteNotOpen(FailedPrecondition):
    reason = "QUOTE_NOT_OPEN"
    message = "Quote {quote} takes no changes and no application: it is {status}."


class QuoteAlreadyIssued(FailedPrecondition):
    reason = "QUOTE_ALREADY_ISSUED"
    message = "Quote {quote} was issued: its policy is {policy}."


class ApplicationStepOutOfOrder(FailedPrecondition):
    reason = "APPLICATION_STEP_OUT_OF_ORDER"
    message = "{step} cannot be taken yet; the step that is due is {due}."


class ApplicationAlreadyComplete(FailedPrecondition):
    reason = "APPLICATION_ALREADY_COMPLETE"
    message = "Application session {application_session} is complete."


class ApplicationClosed(FailedPrecondition):
    reason = "APPLICATION_CLOSED"
    message = "Application session {application_session} takes no changes: it is {status}."


class ApplicationNotInReview(FailedPrecondition):
    reason = "APPLICATION_NOT_IN_REVIEW"
    message = "Application session {application_session} is not in review: it is {status}."


class PolicyNotActive(FailedPrecondition):
    reason = "POLICY_NOT_ACTIVE"
    message = "Policy {policy} cannot be cancelled: it is {status}."


class PolicyNotCancelled(FailedPrecondition):
    reason = "POLICY_NOT_CANCELLED"
    message = "Policy {policy} cannot be reinstated: it is {status}, and not cancelled."


class PolicyTermEnded(FailedPrecondition):
    reason = "POLICY_TERM_ENDED"
    message = "Policy {policy} cannot be reinstated: its term ended at {expire_time}."


class AssignmentStarted(FailedPrecondition):
    reason = "ASSIGNMENT_STARTED"
    message = "Assignment {assignment} cannot be cancelled: it started at {effective_time}."


class AssignmentCancelled(FailedPrecondition):
    reason = "ASSIGNMENT_CANCELLED"
    message = "Assignment {assignment} is cancelled already."


class Retryable(DomainError):
    """Nothing was written; the same request, with the same request_id, may succeed after `retry_seconds`."""

    retry_seconds: ClassVar[float] = 1.0


class StorageUnavailable(Retryable):
    reason = "STORAGE_UNAVAILABLE"
    message = "The database cannot be reached at the moment."


class ServerStopping(StorageUnavailable):
    message = "This server is stopping and takes no more calls; another one does."
    retry_seconds = 0.1


class ConcurrentUpdate(Retryable):
    reason = "CONCURRENT_UPDATE"
    message = "Other requests were changing the same records; please send it again."
    retry_seconds = 0.1


class Overloaded(Retryable):
    reason = "OVERLOADED"
    message = "The server has more work than it can take: {limit}."


class PlatformLimited(Overloaded):
    message = "The platform has reached its limit: {limit}."
