"""What requests look like in JSON: the fields that callers may set, where JSON spells them in another way."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, WithJsonSchema, model_validator

from server.domain.enums import ApplicationSessionStatus, BindingOutcome, PolicyStatus, QuoteStatus
from server.domain.errors import InvalidFields, Violation
from server.domain.ports import Page
from server.service.fields import (
    AddressFields,
    EmailFilter,
    EventTypes,
    Fields,
    FilterReference,
    PostalCode,
    Short,
    State,
)
from server.service.paging import ID
from server.service.parsing import changes_of, one_a_field
from server.service.settable import ApplicationSessionFields, ContractorFields, JobFields, QuoteFields
from server.web.values import (
    ByName,
    Id,
    OptionalId,
    RequiredSeconds,
    Seconds,
    SomeTypes,
    Types,
    digits,
    number_or_text,
)

MOST_LISTED = 100
LISTED = 10


class Given(Fields):
    """A JSON object. A field that is null or "" was not given."""

    @model_validator(mode="before")
    @classmethod
    def _given(cls, sent: Any) -> Any:
        return {name: value for name, value in sent.items() if value not in (None, "")} if type(sent) is dict else sent


class Address(AddressFields, Given):
    postalcode: Annotated[PostalCode, BeforeValidator(digits), number_or_text] = ""


class Contractor(ContractorFields, Given):
    address: Address


class Job(JobFields, Given):
    category_code: Id
    address: Address | None = None


class Quote(QuoteFields, Given):
    contractor: Id
    job: Id
    coverage_types: SomeTypes = Field(alias="coverage_type")
    effective_time: Seconds = Field(None, alias="effective_date")
    end_time: Seconds = Field(None, alias="end_date")


class ApplicationSession(ApplicationSessionFields, Given):
    contractor: OptionalId = ""
    quote: OptionalId = ""
    work_state: State = Field("", validation_alias=AliasChoices("work_state", "general_opt_in_work_state"))


class Assignment(Given):
    contractor: Id
    job: Id
    coverage_types: Types = Field(default_factory=list, alias="coverage_type")
    effective_time: Seconds = Field(None, alias="effective_date")
    end_time: Seconds = Field(None, alias="end_date")
    bind: bool = Field(True, description="False: the answer is what would happen, and nothing does.")


JOB = ("job_id", "job")  # as it may be named, the first one before the other


class Named(Given):
    """An assignment: itself, or as the only active one of a job, and of a contractor if one is given."""

    assignment: OptionalId = ""
    job: OptionalId = Field("", validation_alias=AliasChoices(*JOB))
    contractor: OptionalId = ""

    def require(self) -> None:
        """That something is named. Raises InvalidFields."""
        if not self.assignment and not self.job:
            raise InvalidFields([Violation("assignment", "is required, unless job_id is given")])


class Cancel(Named):
    reason: Short = ""


class Extend(Named):
    end_time: RequiredSeconds = Field(alias="end_date")


class Nothing(Given):
    """No field is read."""


def _cursor(value: str) -> str:
    if value and not ID.fullmatch(value):
        raise ValueError("must be the id of a listed item")
    return value


Cursor = Annotated[str, AfterValidator(_cursor)]


class Listed(Given):
    limit: int = Field(LISTED, ge=1, le=MOST_LISTED)
    starting_after: Cursor = Field("", description="The id of the last item of the page before.")
    ending_before: Cursor = Field("", description="The id of the first item of the page after.")

    @property
    def page(self) -> Page:
        return Page(self.limit, before=self.starting_after, after=self.ending_before)

    def filters(self) -> dict[str, Any]:
        """And the page, as a service's list takes them."""
        own = {name: value for name, value in self if name not in Listed.model_fields}
        return own | {"size": self.limit, "token": self.page}


class ListedContractors(Listed):
    email: EmailFilter = ""


class ListedJobs(Listed):
    category_code: FilterReference = ""


class ListedSessions(Listed):
    contractor: FilterReference = ""
    is_general_opt_in: bool | None = None
    work_state: State = ""
    status: Annotated[ApplicationSessionStatus | None, ByName(ApplicationSessionStatus)] = None


class ListedQuotes(Listed):
    contractor: FilterReference = ""
    job: FilterReference = ""
    status: Annotated[QuoteStatus | None, ByName(QuoteStatus)] = None


class ListedPolicies(Listed):
    contractor: FilterReference = ""
    status: Annotated[PolicyStatus | None, ByName(PolicyStatus)] = None


class ListedAssignments(Listed):
    contractor: FilterReference = ""
    job: FilterReference = ""
    outcome: Annotated[BindingOutcome | None, ByName(BindingOutcome)] = Field(None, alias="binding_outcome")


def _split(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


SEVERAL = {"type": "string", "description": "One, or several with commas between them."}


class ListedEvents(Listed):
    types: Annotated[EventTypes, BeforeValidator(_split), WithJsonSchema(SEVERAL)] = Field(frozenset(), alias="type")
    resource: FilterReference = ""


class Changes:
    """A PUT: only what is sent changes, nested objects merge, "" clears."""

    def __init__(self, model: type[Fields], body: Mapping[str, Any]) -> None:
        self._model = model
        keys = {field.alias or name: name for name, field in model.model_fields.items()}
        self._sent = {keys[key]: value for key, value in body.items() if key in keys and value is not None}

    def onto(self, record: Any) -> dict[str, Any]:
        """The changed fields' values, as the service's update takes them. Raises InvalidFields."""
        plain = {name: _merged(getattr(record, name), value) for name, value in self._sent.items()}
        changes, bad = changes_of(self._model, {name: v for name, v in plain.items() if v != ""}, plain)
        if bad:
            raise InvalidFields(one_a_field(bad))
        return changes


def _merged(before: Any, sent: Any) -> Any:
    """An object goes into the one that is there; where there is none, what is sent is left to the field's rule."""
    if dataclasses.is_dataclass(before) and not isinstance(before, type):
        before = dataclasses.asdict(before)
    if not isinstance(sent, dict) or not isinstance(before, Mapping | None):
        return sent
    return {name: value for name, value in {**(before or {}), **sent}.items() if value not in (None, "")}
