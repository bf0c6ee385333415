"""Requests about assignments.

The one that creates is parsed by hand: it is on the hot path, where the model took four times as long.
"""

from datetime import datetime
from functools import lru_cache
from typing import Annotated

from optin.v1.assignment_service_pb2 import CreateAssignmentRequest

from server.api.plain import to_datetime
from server.domain.decision import AssignmentRequest
from server.domain.enums import BindingOutcome, CoverageType
from server.domain.errors import InvalidFields, Violation
from server.domain.terms import assignment_period
from server.service.fields import ChangeRequest, FilterReference, IdRequest, ListRequest, Reference, RequiredTime, known
from server.service.parsing import violations_of


class ExtendAssignment(IdRequest):
    end_time: RequiredTime


class ListAssignments(ListRequest):
    contractor: FilterReference = ""
    job: FilterReference = ""
    outcome: Annotated[BindingOutcome | None, known(BindingOutcome)] = None


class ListBindingDecisions(ListRequest):
    assignment: Reference


def creation(request: CreateAssignmentRequest, now: datetime, *, past_allowed: bool) -> AssignmentRequest:
    """Raises InvalidFields."""
    wanted = request.assignment
    found = violations_of(ChangeRequest, {"request_id": request.request_id}) if request.request_id else []
    contractor, job = wanted.contractor, wanted.job
    if not contractor:
        found.append(Violation("assignment.contractor", "is required"))
    if not job:
        found.append(Violation("assignment.job", "is required"))
    types = _in_order(tuple(wanted.coverage_types))
    if types is None:
        found.append(Violation("assignment.coverage_types", "must be a known CoverageType, other than unspecified"))
    start = to_datetime(wanted.effective_time) if wanted.HasField("effective_time") else None
    if start is None and wanted.HasField("effective_time"):
        found.append(Violation("assignment.effective_time", "must be a valid timestamp"))
    end = to_datetime(wanted.end_time) if wanted.HasField("end_time") else None
    if end is None and wanted.HasField("end_time"):
        found.append(Violation("assignment.end_time", "must be a valid timestamp"))
    try:
        period = assignment_period(start, end, now, past_allowed=past_allowed)
    except InvalidFields as error:
        found += error.within("assignment").violations
    if found or types is None:
        raise InvalidFields(found)
    return AssignmentRequest(contractor=contractor, job=job, coverage_types=types, period=period)


@lru_cache(100)
def _in_order(numbers: tuple[int, ...]) -> tuple[CoverageType, ...] | None:
    """The types, each once; None where there is one that is not known."""
    try:
        return tuple(sorted({CoverageType(number) for number in numbers}))
    except ValueError:
        return None
