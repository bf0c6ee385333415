"""Errors as HTTP responses, in the field's own codes: one table, looked up along the error's MRO (issue 6)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel, Field

from server.domain import errors


class Told(NamedTuple):
    status: int
    error_code: str


class MalformedBody(errors.DomainError):
    reason = "MALFORMED_REQUEST"
    message = "The body must be a JSON object in UTF-8, sent as application/json."


class BodyTooDeep(MalformedBody):
    message = "Lists and objects in the body must be at most {most} deep."


class BodyTooLarge(errors.DomainError):
    reason = "MALFORMED_REQUEST"
    message = "The body must be at most {most} bytes."


class BodyTooSlow(errors.DomainError):
    reason = "MALFORMED_REQUEST"
    message = "The body did not come within {seconds} seconds."


class NoSuchPath(errors.DomainError):
    reason = "RESOURCE_NOT_FOUND"
    message = "There is nothing at this path; /docs lists the paths there are."


class NoSuchMethod(errors.DomainError):
    reason = "RESOURCE_NOT_FOUND"
    message = "This path does not take this method; /docs lists those that it takes."


class NotFromHere(errors.DomainError):
    reason = "ROLE_NOT_ALLOWED"
    message = "A server that asks for no keys takes calls by its own name, and none from other sites' pages."


class UnknownCategory(errors.DomainError):
    reason = "RESOURCE_NOT_FOUND"
    message = "category_code is not that of a job category; GET /api/v1/category_codes lists them."


TABLE: Mapping[type[Exception], Told] = {
    MalformedBody: Told(400, "invalid_input"),
    BodyTooLarge: Told(413, "invalid_input"),
    BodyTooSlow: Told(400, "invalid_input"),
    NoSuchPath: Told(404, "resource_not_found"),
    NoSuchMethod: Told(405, "invalid_input"),
    UnknownCategory: Told(400, "invalid_job_category_code"),
    errors.InvalidCredentials: Told(401, "invalid_api_key"),
    NotFromHere: Told(403, "insufficient_permissions"),
    errors.RoleNotAllowed: Told(403, "insufficient_permissions"),
    errors.InvalidFields: Told(400, "invalid_input"),
    errors.InvalidPageToken: Told(400, "invalid_input"),
    errors.NotFound: Told(404, "resource_not_found"),
    errors.DuplicateEmail: Told(400, "duplicate_email"),
    errors.MatchingPolicyExists: Told(400, "contractor_has_matching_policy"),
    errors.RequestIdReused: Told(400, "idempotency"),
    errors.JobCategoryNotApproved: Told(400, "job_category_not_approved"),
    errors.ApplicationAlreadyComplete: Told(400, "application_already_complete"),
    errors.FailedPrecondition: Told(400, "invalid_input"),
    errors.ConcurrentUpdate: Told(409, "general_error"),
    errors.PlatformLimited: Told(429, "rate_limit"),
    errors.Overloaded: Told(503, "general_error"),
    errors.StorageUnavailable: Told(503, "general_error"),
    Exception: Told(500, "general_error"),
}

# Of the codes that logs, metrics and traces know calls of both faces by.
CODES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}

OF_FIELDS = {"effective_date": "effective_date_invalid", "end_date": "end_date_invalid"}
RENAMED = {"effective_time": "effective_date", "end_time": "end_date", "coverage_types": "coverage_type"}
NAMES = re.compile(rf"\b({'|'.join(RENAMED)})\b")
WRAPPED = re.compile(r"^(assignment|quote|application_session)\.")
MOST_FIELDS = 25


class Error(BaseModel):
    """What every answer but 200 and 201 has as its body."""

    message: str = Field(description="For a person; its wording may change.")
    error_code: str = Field(description="For a program, in the field's own terms.")
    reason: str = Field(description="For a program, in the terms of the gRPC API.")
    fields: dict[str, str] = Field(description="Each field that is not valid, and the rule that it breaks.")


def told_of(error: Exception, call_id: str) -> tuple[int, Error]:
    """The status and the body. Of an error that is not ours, nothing but the call id is told."""
    status, code = errors.entry_for(error, TABLE)
    if not isinstance(error, errors.DomainError):
        message = f"Something went wrong on our side; please tell support the request id {call_id}."
        return status, Error(message=message, error_code=code, reason="INTERNAL", fields={})
    message, fields = str(error), dict[str, str]()
    match error:
        case errors.InvalidFields():
            bad = error.violations[:MOST_FIELDS]
            fields = {in_our_terms(violation.field): in_our_terms(violation.rule) for violation in bad}
            message = "; ".join(f"{field} {rule}" for field, rule in fields.items()) + "."
            if fields.keys() <= OF_FIELDS.keys():
                code = OF_FIELDS[next(iter(fields))]
        case errors.NotFound():
            message = str(error.without_words())
        case errors.ApplicationClosed() if error.metadata["status"] == "EXPIRED":
            code = "session_expired"
    return status, Error(message=message, error_code=code, reason=error.reason, fields=fields)


def headers_of(error: Exception, call_id: str) -> dict[str, str]:
    """The call's id, and when to come again."""
    headers = {"request-id": call_id}
    if isinstance(error, errors.Retryable):
        headers["retry-after"] = str(max(1, round(error.retry_seconds)))
    return headers


def in_our_terms(text: str) -> str:
    """A field's path, or a rule that names fields, as in the JSON."""
    return NAMES.sub(lambda found: RENAMED[found[1]], WRAPPED.sub("", text))
