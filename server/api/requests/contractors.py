"""Requests about contractors."""

from typing import Annotated

from server.service.fields import ChangeRequest, ListRequest, text
from server.service.settable import ContractorFields


class CreateContractor(ChangeRequest):
    contractor: ContractorFields


class ListContractors(ListRequest):
    email: Annotated[str, text(320)] = ""
