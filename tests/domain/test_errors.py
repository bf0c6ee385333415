"""Errors of the domain: a reason, a message, and every variable part of it as metadata (spec 9)."""

import re
from collections.abc import Iterator
from string import Formatter

import pytest

from server.domain import errors
from server.domain.errors import DomainError, InvalidFields, Violation

EXAMPLES = [
    InvalidFields([Violation("assignment.job", "is required"), Violation("assignment.end_time", "must be later")]),
    errors.InvalidPageToken(),
    errors.NotFound("job", "jb_ABC123"),
    errors.DuplicateEmail(contractor="cn_123"),
    errors.MatchingPolicyExists(policy="pl_1"),
    errors.RequestIdReused(request_id="5c1f"),
    errors.PremiumWithholdingRequired(contractor="cn_123"),
    errors.WorkStateNotOffered(work_state="OH"),
    errors.CoverageNotOffered(coverage_type="GENERAL", residence_state="HI"),
    errors.JobCategoryNotApproved(category_code="jc_1", work_state="NY", coverage_types="GENERAL, CYBER"),
    errors.QuoteNotOpen(quote="qt_1", status="EXPIRED"),
    errors.QuoteAlreadyIssued(quote="qt_1", policy="pl_1"),
    errors.AssignmentStarted(assignment="an_1", effective_time="2026-12-01T00:00:00+00:00"),
    errors.AssignmentCancelled(assignment="an_1"),
    errors.ApplicationStepOutOfOrder(step="FINAL_REVIEW", due="VERIFY_INFO"),
    errors.ApplicationAlreadyComplete(application_session="ias_1"),
    errors.ApplicationClosed(application_session="ias_1", status="EXPIRED"),
    errors.ApplicationNotInReview(application_session="ias_1", status="CREATED"),
    errors.PolicyNotActive(policy="pl_1", status="CANCELLED"),
    errors.PolicyNotCancelled(policy="pl_1", status="ACTIVE"),
    errors.PolicyTermEnded(policy="pl_1", expire_time="2026-12-01T00:00:00+00:00"),
    errors.StorageUnavailable(),
    errors.ServerStopping(),
    errors.ConcurrentUpdate(),
    errors.Overloaded(limit="5000 calls wait"),
    errors.PlatformLimited(limit="its calls a second"),
    errors.InvalidCredentials(),
    errors.RoleNotAllowed(role="reader", method="optin.v1.JobService/CreateJob"),
]
every_error = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.reason)


def raised(error: type[DomainError]) -> Iterator[type[DomainError]]:
    """The domain's errors that are raised: those with a message of their own."""
    if "message" in vars(error):
        yield error
    for below in error.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from raised(below)


def test_every_error_is_among_the_examples() -> None:
    assert {type(error) for error in EXAMPLES} == set(raised(DomainError))


def test_every_reason_is_one_errors_own() -> None:
    """But for a server that stops, to its callers storage that cannot be had there, and for a platform's own limits."""
    shared = errors.ServerStopping | errors.PlatformLimited
    reasons = [error.reason for error in EXAMPLES if not isinstance(error, shared)]
    assert len(reasons) == len(set(reasons))
    assert all(re.fullmatch("[A-Z]+(_[A-Z]+)*", reason) for reason in reasons)


@every_error
def test_the_message_uses_exactly_the_metadata(error: DomainError) -> None:
    assert {name for _, name, _, _ in Formatter().parse(error.message) if name} == error.metadata.keys()
    assert str(error) == error.message.format(**error.metadata)


@every_error
def test_the_message_is_sentences(error: DomainError) -> None:
    assert str(error).endswith(".")
    assert "{" not in str(error)


def test_values_are_not_templates() -> None:
    assert str(errors.NotFound("job", "{0} {resource_type}")) == "No job has the id {0} {resource_type}."


def test_an_error_cannot_be_made_without_what_its_message_says() -> None:
    with pytest.raises(KeyError):
        errors.PolicyNotActive(policy="pl_1")


def test_invalid_fields_names_each_field_once_and_keeps_every_violation() -> None:
    violations = [Violation("job", "is required"), Violation("job", "is short"), Violation("end_time", "is late")]
    error = InvalidFields(violations)
    assert error.metadata == {"fields": "job, end_time"}
    assert error.violations == tuple(violations)


@pytest.mark.parametrize("error", [error for error in EXAMPLES if isinstance(error, errors.Retryable)])
def test_what_may_succeed_later_says_how_much_later(error: errors.Retryable) -> None:
    assert 0 < error.retry_seconds <= 1


def test_invalid_fields_of_a_message_that_is_a_field_are_named_from_outside() -> None:
    error = InvalidFields([Violation("end_time", "is late")]).within("quote")
    assert error.violations == (Violation("quote.end_time", "is late"),)
