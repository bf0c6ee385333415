"""Requests about assignments."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from server.api.fields import (
    ChangeRequest,
    CoverageTypes,
    Fields,
    FilterReference,
    ListRequest,
    Reference,
    known,
)
from server.api.parse import Check
from server.domain.decision import AssignmentRequest
from server.domain.enums import BindingOutcome
from server.domain.errors import InvalidFields, Violation
from server.domain.terms import assignment_period


class AssignmentFields(Fields):
    contractor: Reference
    job: Reference
    coverage_types: CoverageTypes = []  # noqa: RUF012
    effective_time: datetime | None = None
    end_time: datetime | None = None

    def request(self, now: datetime, *, past_allowed: bool) -> AssignmentRequest:
        return AssignmentRequest(
            contractor=self.contractor,
            job=self.job,
            coverage_types=tuple(self.coverage_types),
            period=assignment_period(self.effective_time, self.end_time, now, past_allowed=past_allowed),
        )


class CreateAssignment(ChangeRequest):
    assignment: AssignmentFields
    validate_only: bool = False


class ListAssignments(ListRequest):
    contractor: FilterReference = ""
    job: FilterReference = ""
    outcome: Annotated[BindingOutcome | None, known(BindingOutcome)] = None


def has_good_dates(now: datetime, *, past_allowed: bool) -> Check:
    """The rules of spec 10, which need the clock."""

    def check(request: dict[str, Any]) -> Iterable[Violation]:
        assignment = request.get("assignment", {})
        for name in ("effective_time", "end_time"):
            if name in assignment and assignment[name] is None:
                yield Violation(f"assignment.{name}", "must be a valid timestamp")
        try:
            assignment_period(
                assignment.get("effective_time"), assignment.get("end_time"), now, past_allowed=past_allowed
            )
        except InvalidFields as error:
            for violation in error.violations:
                yield Violation(f"assignment.{violation.field}", violation.rule)

    return check
