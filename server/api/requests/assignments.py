"""Requests about assignments.

The one that creates is parsed by hand: it is on the hot path, where the model took four times as long.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from optin.v1.assignment_service_pb2 import CreateAssignmentRequest

from server.api.plain import to_datetime
from server.domain.decision import AssignmentRequest
from server.domain.enums import BindingOutcome, CoverageType
from server.domain.errors import InvalidFields, Violation
from server.domain.terms import assignment_period
from server.service.fields import ChangeRequest, FilterReference, IdRequest, ListRequest, Reference, RequiredTime, known
from server.service.parsing import violations_of

COVERAGE_TYPES: Mapping[int, CoverageType] = {int(type_): type_ for type_ in CoverageType}


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
    if not wanted.contractor:
        found.append(Violation("assignment.contractor", "is required"))
    if not wanted.job:
        found.append(Violation("assignment.job", "is required"))
    types = set(wanted.coverage_types)
    if not types <= COVERAGE_TYPES.keys():
        found.append(Violation("assignment.coverage_types", "must be a known CoverageType, other than unspecified"))
    times: dict[str, datetime | None] = {"effective_time": None, "end_time": None}
    for name in times:
        if wanted.HasField(name):  # type: ignore[arg-type]
            times[name] = to_datetime(getattr(wanted, name))
            if times[name] is None:
                found.append(Violation(f"assignment.{name}", "must be a valid timestamp"))
    try:
        period = assignment_period(times["effective_time"], times["end_time"], now, past_allowed=past_allowed)
    except InvalidFields as error:
        found += error.within("assignment").violations
    if found:
        raise InvalidFields(found)
    covered = tuple([COVERAGE_TYPES[number] for number in sorted(types)])
    return AssignmentRequest(contractor=wanted.contractor, job=wanted.job, coverage_types=covered, period=period)
