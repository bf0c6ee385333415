"""Requests about contractors."""

from server.service.fields import ChangeRequest, EmailFilter, ListRequest
from server.service.settable import ContractorFields


class CreateContractor(ChangeRequest):
    contractor: ContractorFields


class ListContractors(ListRequest):
    email: EmailFilter = ""
