"""What callers may set of each resource (spec 3), with the rule of each field: every face parses by these."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from server.domain.enums import CoverageType
from server.domain.errors import Violation
from server.service.fields import (
    AddressFields,
    CoverageTypes,
    Description,
    Email,
    Fields,
    Line,
    Metadata,
    Name,
    OptionalName,
    Phone,
    Reference,
    State,
    Time,
    Title,
    Url,
)


class ContractorFields(Fields):
    first_name: Name
    last_name: Name
    middle_name: OptionalName = ""
    email: Email
    phone: Phone
    address: AddressFields
    company_name: Line = ""
    withhold_premium: bool | None = None
    metadata: Metadata = Field(default_factory=dict)


class JobFields(Fields):
    name: Title
    description: Description = ""
    category_code: Reference
    address: AddressFields | None = None
    withhold_premium: bool | None = None


def _some(types: tuple[CoverageType, ...]) -> tuple[CoverageType, ...]:
    if not types:
        raise ValueError("is required")
    return types


SomeCoverageTypes = Annotated[CoverageTypes, AfterValidator(_some)]


class QuoteFields(Fields):
    contractor: Reference
    job: Reference
    coverage_types: SomeCoverageTypes
    effective_time: Time = None
    end_time: Time = None


class ApplicationSessionFields(Fields):
    contractor: str = ""
    is_general_opt_in: bool = False
    work_state: State = ""
    success_url: Url
    cancel_url: Url
    quote: str = ""


def fits_its_workflow(session: Mapping[str, Any]) -> Iterable[Violation]:
    """A general opt-in is for a contractor and a state, any other session for a quote (spec 5)."""
    if not session.get("is_general_opt_in"):
        if not session.get("quote"):
            yield Violation("quote", "is required unless is_general_opt_in is true")
        return
    for name in ("contractor", "work_state"):
        if not session.get(name):
            yield Violation(name, "is required for a general opt-in")
    if session.get("quote"):
        yield Violation("quote", "must not be set for a general opt-in")
