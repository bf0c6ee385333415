"""Errors as statuses with rich details: one table, looked up along the error's MRO (spec 9, AIP-193)."""

from collections.abc import Iterable
from functools import lru_cache

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from grpc.aio import ServicerContext

from server.domain import errors
from server.service.call_log import CALL_ID

DOMAIN = "optin.v1"
STATUS_DETAILS = "grpc-status-details-bin"
MOST_VIOLATIONS = 25  # details travel in metadata, which clients bound at 8 KiB


class MalformedRequest(errors.DomainError):
    reason = "MALFORMED_REQUEST"
    message = "The request does not parse as {message_type}."


CODES: dict[type[Exception], StatusCode] = {
    errors.InvalidFields: StatusCode.INVALID_ARGUMENT,
    errors.InvalidPageToken: StatusCode.INVALID_ARGUMENT,
    MalformedRequest: StatusCode.INVALID_ARGUMENT,
    errors.InvalidCredentials: StatusCode.UNAUTHENTICATED,
    errors.RoleNotAllowed: StatusCode.PERMISSION_DENIED,
    errors.NotFound: StatusCode.NOT_FOUND,
    errors.AlreadyExists: StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: StatusCode.FAILED_PRECONDITION,
    errors.StorageUnavailable: StatusCode.UNAVAILABLE,
    errors.ConcurrentUpdate: StatusCode.ABORTED,
    errors.Overloaded: StatusCode.RESOURCE_EXHAUSTED,
    Exception: StatusCode.INTERNAL,
}


def code_of(error: Exception) -> StatusCode:
    return errors.entry_for(error, CODES)


async def abort(context: ServicerContext[bytes, bytes], error: Exception, call_id: str) -> None:
    """Ends the call with the error's status."""
    message, details = told_of(error, call_id)
    await context.abort(code_of(error), message, trailing_metadata=((CALL_ID, call_id), (STATUS_DETAILS, details)))


def status_of(error: Exception, call_id: str) -> Status:
    """The status on the wire. Of an error that is not ours, nothing but the call id is told."""
    if not isinstance(error, errors.DomainError):
        message = f"Something went wrong on our side; please tell support the call id {call_id}."
        return _status(StatusCode.INTERNAL, message, [_info("INTERNAL", {"call_id": call_id})])
    if isinstance(error, errors.NotFound):
        error = error.without_words()
    if isinstance(error, errors.InvalidFields):
        error = errors.InvalidFields(error.violations[:MOST_VIOLATIONS])
    return _status(code_of(error), str(error), [_info(error.reason, error.metadata), *_more(error)])


def told_of(error: Exception, call_id: str) -> tuple[str, bytes]:
    """The status's message, and the status as its details carry it. Of the few refusals for load each is made once."""
    if isinstance(error, errors.Overloaded):
        return _told_of_overload(error.metadata["limit"], of_platform=isinstance(error, errors.PlatformLimited))
    status = status_of(error, call_id)
    return status.message, status.SerializeToString()


@lru_cache(16)
def _told_of_overload(limit: str, *, of_platform: bool) -> tuple[str, bytes]:
    error = errors.PlatformLimited if of_platform else errors.Overloaded
    status = status_of(error(limit=limit), "")
    return status.message, status.SerializeToString()


def _more(error: errors.DomainError) -> list[Message]:
    match error:
        case errors.InvalidFields():
            return [_bad_request((v.field, v.rule) for v in error.violations)]
        case errors.InvalidPageToken():
            return [_bad_request([("page_token", "must be one that this method gave, with the same filters")])]
        case errors.NotFound():
            return [details.ResourceInfo(**error.metadata)]
        case errors.Retryable():
            retry = details.RetryInfo()
            retry.retry_delay.FromNanoseconds(int(error.retry_seconds * 1e9))
            return [retry]
    return []


def _bad_request(violations: Iterable[tuple[str, str]]) -> Message:
    violation = details.BadRequest.FieldViolation
    bad: Message = details.BadRequest(field_violations=[violation(field=f, description=r) for f, r in violations])
    return bad


def _info(reason: str, metadata: dict[str, str]) -> Message:
    info: Message = details.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    return info


def _status(code: StatusCode, message: str, parts: list[Message]) -> Status:
    status = Status(code=code.value[0], message=message)
    for part in parts:
        packed = Any()
        packed.Pack(part)
        status.details.append(packed)
    return status
