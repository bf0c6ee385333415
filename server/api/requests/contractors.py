"""Requests about contractors."""

from typing import Annotated

from pydantic import Field

from server.api.fields import (
    AddressFields,
    ChangeRequest,
    Email,
    Fields,
    Line,
    ListRequest,
    Metadata,
    Name,
    OptionalName,
    Phone,
    text,
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


class CreateContractor(ChangeRequest):
    contractor: ContractorFields


class ListContractors(ListRequest):
    email: Annotated[str, text(320)] = ""
