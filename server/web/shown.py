"""What answers look like in JSON: each resource in exactly one place, from its record.

A model reads a record by its attributes, or what an event holds by the same names: a value that is unset is left out
there. What is personal is marked, as the contract of the gRPC API marks it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AliasPath, BaseModel, ConfigDict, Field

from server.domain import application, events, matching, messages, quoting, records
from server.domain.enums import (
    ApplicationSessionStatus,
    ApplicationStep,
    AssignmentStatus,
    BindingOutcome,
    BindingReason,
    BindingWorkflow,
    PolicyOrigin,
    PolicyStatus,
    QuoteStatus,
    UnderwritingReason,
)
from server.web import stored
from server.web.values import CoverageName, Named, ShownTime, ShownTimeOrNone, TextOrNone

PERSONAL = "personal"
Personal = Annotated[str, PERSONAL]
COVERED = (BindingOutcome.COVERAGE_REUSED, BindingOutcome.COVERAGE_BOUND)


class Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True, populate_by_name=True, extra="ignore")

    def body(self) -> bytes:
        return self.model_dump_json().encode()


class Address(Shown):
    line1: Personal = ""
    line2: Personal = ""
    locality: Personal = ""
    region: str = ""
    postalcode: Personal = ""
    country: str = ""


class Contractor(Shown):
    id: str
    object: Literal["contractors"] = "contractors"
    first_name: Personal
    middle_name: Personal = ""
    last_name: Personal
    email: Personal
    phone: Personal
    address: Address
    company_name: Personal = ""
    withhold_premium: bool | None = None
    metadata: Annotated[dict[str, str], PERSONAL] = {}
    deleted: Literal[False] = False
    created: ShownTime = Field(validation_alias="create_time")
    updated: ShownTime = Field(validation_alias="update_time")


class DeletedContractor(Shown):
    id: str
    object: Literal["contractors"] = "contractors"
    deleted: Literal[True] = True
    deleted_at: ShownTime = Field(validation_alias="delete_time")


class Job(Shown):
    id: str
    object: Literal["jobs"] = "jobs"
    name: str
    description: str = ""
    category_code: str
    address: Address | None = None
    withhold_premium: bool | None = None
    created: ShownTime = Field(validation_alias="create_time")
    updated: ShownTime = Field(validation_alias="update_time")


class Approval(Shown):
    coverage_type: CoverageName
    state: TextOrNone = Field(None, description="Null: every state.")
    net_rate: int = Field(0, description="Cents per $100 of pay.")
    approved: ShownTime = Field(validation_alias="approve_time")


class CategoryCode(Shown):
    id: str = Field(validation_alias="code")
    object: Literal["category_codes"] = "category_codes"
    code: str
    name: str
    approvals: list[Approval] = []


class ApplicationSession(Shown):
    id: str
    object: Literal["apply/sessions"] = "apply/sessions"
    contractor: str
    is_general_opt_in: bool = False
    work_state: str
    quote: TextOrNone = None
    success_url: Personal
    cancel_url: Personal
    url: str | None = None
    status: Annotated[str, Named(ApplicationSessionStatus)]
    step: Annotated[str, Named(ApplicationStep, lower=True)]
    reasons: list[Annotated[str, Named(UnderwritingReason)]] = []
    expired: bool = False
    created: ShownTime = Field(validation_alias="create_time")
    expiration_date: ShownTime = Field(validation_alias="expire_time")
    completed: ShownTimeOrNone = Field(None, validation_alias="complete_time")

    def model_post_init(self, _: Any) -> None:
        self.expired = self.status == ApplicationSessionStatus.EXPIRED.name


class Rate(Shown):
    coverage_type: CoverageName
    net_rate: int = Field(0, description="Cents per $100 of pay.")


class Quote(Shown):
    id: str
    object: Literal["quotes"] = "quotes"
    contractor: str
    job: str
    coverage_type: list[CoverageName] = Field(validation_alias="coverage_types")
    effective_date: ShownTime = Field(validation_alias="effective_time")
    end_date: ShownTime = Field(validation_alias="end_time")
    work_state: str
    residence_state: str
    category_code: str
    rates: list[Rate] = []
    net_rate: int = Field(0, description="Cents per $100 of pay.")
    status: Annotated[str, Named(QuoteStatus)]
    policy: TextOrNone = None
    created: ShownTime = Field(validation_alias="create_time")
    expiration_date: ShownTime = Field(validation_alias="expire_time")


class Policy(Shown):
    id: str
    object: Literal["policies"] = "policies"
    number: int
    contractor: str
    coverage_type: list[CoverageName] = Field(validation_alias="coverage_types")
    work_state: str
    residence_state: str
    category_code: str
    effective_date: ShownTime = Field(validation_alias="effective_time")
    expiration_date: ShownTime = Field(validation_alias="expire_time")
    status: Annotated[str, Named(PolicyStatus)]
    origin: Annotated[str, Named(PolicyOrigin)]
    application_session: TextOrNone = None
    quote: TextOrNone = None
    net_rate: int = Field(0, description="Cents per $100 of pay.")
    carrier_policy_number: TextOrNone = None
    created: ShownTime = Field(validation_alias="create_time")
    cancelled: ShownTimeOrNone = Field(None, validation_alias="cancel_time")
    cancel_reason: Personal = ""


class Eligible(Shown):
    result: bool = Field(description="Whether the assignment is covered.")
    message: str


class Assignment(Shown):
    id: TextOrNone = Field(None, description="Null where `bind` is false.")
    object: Literal["assignments"] = "assignments"
    contractor: str
    job: str
    coverage_type: list[CoverageName] = Field([], validation_alias="coverage_types")
    effective_date: ShownTime = Field(validation_alias="effective_time")
    end_date: ShownTime = Field(validation_alias="end_time")
    work_state: str
    category_code: str
    status: Annotated[str, Named(AssignmentStatus)]
    bind: bool = Field(True, description="False: nothing was created; this is what would be.")
    eligible: Eligible
    policy: TextOrNone = None
    application_session: TextOrNone = Field(None, validation_alias=AliasPath("binding", "application_session"))
    net_rate: int = Field(
        0, validation_alias=AliasPath("binding", "net_rate"), description="Cents per $100 of pay; 0: not covered."
    )
    binding_outcome: Annotated[str, Named(BindingOutcome)] = Field(validation_alias=AliasPath("binding", "outcome"))
    binding_reasons: list[Annotated[str, Named(BindingReason)]] = Field(
        [], validation_alias=AliasPath("binding", "reasons")
    )
    workflow: Annotated[str, Named(BindingWorkflow)] = Field(validation_alias=AliasPath("binding", "workflow"))
    standard_workflow_coverage_type: list[CoverageName] = Field(
        [], validation_alias=AliasPath("binding", "standard_workflow_coverage_types")
    )
    created: ShownTimeOrNone = Field(None, validation_alias="create_time")
    cancelled: ShownTimeOrNone = Field(None, validation_alias="cancel_time")
    cancel_reason: Personal = ""


class Event(Shown):
    id: str
    object: Literal["events"] = "events"
    type: str
    resource: str
    created: ShownTime = Field(validation_alias="create_time")
    data: Contractor | DeletedContractor | ApplicationSession | CategoryCode | Quote | Policy | Assignment = Field(
        description="What it is about, as it was right after."
    )


def contractor(record: records.Contractor) -> Contractor | DeletedContractor:
    return (Contractor if record.delete_time is None else DeletedContractor).model_validate(record)


def job(record: records.Job) -> Job:
    return Job.model_validate(record)


def category_code(record: records.JobCategory) -> CategoryCode:
    return CategoryCode.model_validate(record)


def application_session(record: records.ApplicationSession, now: datetime) -> ApplicationSession:
    return ApplicationSession.model_validate(replace(record, status=application.status_at(record, now)))


def quote(record: records.Quote, now: datetime) -> Quote:
    return Quote.model_validate(replace(record, status=quoting.status_at(record, now)))


def policy(record: records.Policy, now: datetime) -> Policy:
    return Policy.model_validate(replace(record, status=matching.status_at(record, now)))


def assignment(record: records.Assignment) -> Assignment:
    """One without an id is what would be created."""
    binding = record.binding
    values = _values(record) | {"binding": _values(binding), "policy": next(iter(binding.policies), "")}
    if not record.id:
        values["create_time"] = None
    return _assignment(values, binding.outcome, messages.sentence(binding))


def _values(record: records.Assignment | records.Binding) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _assignment(values: Mapping[str, Any], outcome: int, message: str) -> Assignment:
    eligible = Eligible(result=outcome in COVERED, message=message)
    return Assignment.model_validate({**values, "bind": bool(values["id"]), "eligible": eligible})


def created(record: records.Assignment) -> bytes:
    """As the response to who creates or extends it is kept."""
    return stored.packed(assignment(record).body())


def _contractor_told(plain: Mapping[str, Any]) -> Shown:
    return (DeletedContractor if "delete_time" in plain else Contractor).model_validate(plain)


def _assignment_told(plain: Mapping[str, Any]) -> Assignment:
    return _assignment(plain, plain["binding"]["outcome"], plain["binding"]["message"])


TOLD: Mapping[str, Callable[[Mapping[str, Any]], Shown]] = {
    "contractor": _contractor_told,
    "application_session": ApplicationSession.model_validate,
    "job_category": CategoryCode.model_validate,
    "quote": Quote.model_validate,
    "policy": Policy.model_validate,
    "assignment": _assignment_told,
}
"""What an event is about, by its kind."""


def event(record: events.Event, kind: str, plain: Mapping[str, Any]) -> Event:
    """`plain`: what it is about, as plain values, with only those that are set."""
    return Event.model_construct(
        id=record.id,
        type=record.type.value,
        resource=record.resource,
        created=record.create_time,
        data=TOLD[kind](plain),  # type: ignore[arg-type]
    )


def listed(items: Sequence[Shown]) -> bytes:
    return b"[" + b",".join(item.body() for item in items) + b"]"
